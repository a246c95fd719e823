//! `admin`: what administrators need that no browser gives them. While a server runs on the data folder, it is asked to
//! do the work: it alone may write.

use std::time::Duration;

use alertcast_core::token::{TOKEN_DAYS, token_end};
use secrecy::{ExposeSecret as _, SecretString};

use super::failure::CommandFailure;
use super::{store, terminal};
use crate::base::ObjectIds;
use crate::clock::{Clock, SystemClock};
use crate::control::{self, ControlAnswer, ControlRequest};
use crate::running::set_up;
use crate::settings::loading::LoadedSettings;
use crate::tokens::{self, TokenLookup};

/// How often the folder and the server are tried in turn: one of them may just be starting or stopping.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(250);

/// Makes a token and prints it, alone on a line.
pub(super) async fn token(loaded: &LoadedSettings, wanted: TokenLookup) -> anyhow::Result<()> {
    let days = wanted.expires_days.unwrap_or(TOKEN_DAYS);
    let token = make_admin(loaded, wanted).await?;
    terminal::line(token.expose_secret());
    terminal::aside("this is the token; it is shown this once and kept nowhere");
    let end = token_end(SystemClock::new().now(), days).to_jiff().strftime("%Y-%m-%d").to_string();
    terminal::aside(format!("it ends on {end}, and before with a change of the administrator's password"));
    Ok(())
}

async fn make_admin(loaded: &LoadedSettings, wanted: TokenLookup) -> anyhow::Result<SecretString> {
    let settings = &loaded.settings;
    let clock = SystemClock::new();
    let ask = ControlRequest::Token(wanted);
    let mut silent = None;
    for _ in 0..TRIES {
        if let Some(opened) = store::open_unless_in_use(settings).await? {
            let ControlRequest::Token(wanted) = &ask;
            set_up(&*opened.store).await?;
            return tokens::make(&*opened.store, &ObjectIds, clock.now(), wanted)
                .await
                .map_err(|error| CommandFailure::new(error.to_string(), error.fix()).into());
        }
        match control::ask(&settings.data_dir, &ask).await {
            Ok(ControlAnswer::Token { token }) => return Ok(token.into()),
            Ok(ControlAnswer::Refused { what, fix }) => return Err(CommandFailure::new(what, fix).into()),
            Err(error) => silent = Some(error),
        }
        clock.sleep(PAUSE).await;
    }
    let why = silent.map_or_else(String::new, |error| format!(" ({error})"));
    Err(CommandFailure::new(
        format!("the alertcast that runs on {} does not answer{why}", settings.data_dir.display()),
        "its log says whether it could make its control socket; else stop it, run this command, and start it again",
    )
    .into())
}
