//! The way into a running server from the same machine: a Unix socket in the data folder, for commands that need the
//! store while the server has it locked. Only the user who runs the server may use it. One line of JSON each way.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::app::App;
use crate::base::Base;
use crate::tokens::{self, TokenLookup};

/// The socket's name in the data folder.
const NAME: &str = "control.sock";
/// The most bytes of a line.
const LINE_BYTES_MAX: u64 = 16 * 1024;
/// How long one may take to ask, and the server to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// After a failure to accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What can be asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub(crate) enum ControlRequest {
    Token(TokenLookup),
}

/// What is answered.
#[derive(Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub(crate) enum ControlAnswer {
    Token { token: String },
    Refused { what: String, fix: String },
}

/// The listening side.
#[derive(Debug)]
pub(crate) struct ControlSocket {
    listener: UnixListener,
    path: PathBuf,
    /// Whose process this is.
    owner: u32,
}

impl ControlSocket {
    /// Makes the socket, in place of one that a dead server left: whoever calls this holds the folder's lock.
    pub(crate) fn open(data_dir: &Path) -> io::Result<Self> {
        let path = data_dir.join(NAME);
        // Under another name until nobody else can use it.
        let new = data_dir.join(format!("{NAME}.new"));
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&new)?;
        fs::set_permissions(&new, Permissions::from_mode(0o600))?;
        let owner = fs::metadata(&new)?.uid();
        fs::rename(&new, &path)?;
        Ok(Self { listener, path, owner })
    }

    /// Answers until `stop`, then takes the socket away.
    pub(crate) async fn serve(self, app: App, stop: CancellationToken) {
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) if self.may_ask(&stream) => {
                    let app = app.clone();
                    // One after the other: a person waits at the other end.
                    if tokio::time::timeout(PATIENCE, answer(&app, stream)).await.is_err() {
                        warn!("a command on this machine took too long, and was broken off");
                    }
                }
                Ok(_) => warn!("another user of this machine tried to use the control socket"),
                Err(error) => {
                    warn!(%error, "the control socket cannot be used");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        let _ = fs::remove_file(&self.path);
    }

    /// The socket's owner, and root, who could read the store anyway.
    fn may_ask(&self, stream: &UnixStream) -> bool {
        stream.peer_cred().is_ok_and(|peer| peer.uid() == self.owner || peer.uid() == 0)
    }
}

async fn answer(base: &Base, mut stream: UnixStream) {
    let mut line = String::new();
    let read = BufReader::new((&mut stream).take(LINE_BYTES_MAX)).read_line(&mut line).await;
    let answer = match read.map(|_| serde_json::from_str::<ControlRequest>(&line)) {
        Ok(Ok(ControlRequest::Token(wanted))) => token(base, &wanted).await,
        _ => ControlAnswer::Refused {
            what: "the running alertcast does not know this command".to_owned(),
            fix: "use the same version of alertcast for both".to_owned(),
        },
    };
    let mut line = serde_json::to_string(&answer).unwrap_or_default();
    line.push('\n');
    // Whoever asked may have gone.
    let _ = stream.write_all(line.as_bytes()).await;
    let _ = stream.shutdown().await;
}

async fn token(base: &Base, wanted: &TokenLookup) -> ControlAnswer {
    match tokens::make(&*base.store, &*base.ids, base.clock.now(), wanted).await {
        Ok(token) => ControlAnswer::Token { token: token.expose_secret().to_owned() },
        Err(error) => ControlAnswer::Refused { what: error.to_string(), fix: error.fix().to_owned() },
    }
}

/// Asks the server that runs on this data folder.
pub(crate) async fn ask(data_dir: &Path, ask: &ControlRequest) -> io::Result<ControlAnswer> {
    let asking = async {
        let mut stream = UnixStream::connect(data_dir.join(NAME)).await?;
        let mut line = serde_json::to_string(ask)?;
        line.push('\n');
        stream.write_all(line.as_bytes()).await?;
        let mut answer = String::new();
        BufReader::new(stream.take(LINE_BYTES_MAX)).read_line(&mut answer).await?;
        Ok(serde_json::from_str(&answer)?)
    };
    tokio::time::timeout(PATIENCE, asking).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}
