//! `/unsubscribe/{token}`, from the mails: a POST switches the subscriber's e-mail off at once, without a cookie and
//! without logging in (RFC 8058); a GET shows a page with a button that posts, and changes nothing, for programs that
//! look at the links in mails are not their readers.

use std::time::Duration;

use alertcast_core::id::UserId;
use alertcast_core::store::{Collection, DocumentWrite, StoreError};
use askama::Template;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse as _, Response};
use bson::doc;
use tracing::{info, warn};

use crate::app::App;

/// What the pages say, in one frame.
#[derive(Template)]
enum UnsubscribePage {
    /// Asks whether it is meant.
    #[template(path = "unsubscribe/question.html")]
    Question,
    /// Says that it is done.
    #[template(path = "unsubscribe/done.html")]
    Done,
    /// Says that there is no such link.
    #[template(path = "unsubscribe/wrong.html")]
    Wrong,
    /// Says that it could not be done.
    #[template(path = "unsubscribe/later.html")]
    Later,
}

/// The pages load nothing, and post to themselves only. The address is a key: it goes to nobody else.
const HEADERS: [(header::HeaderName, HeaderValue); 4] = [
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
        ),
    ),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (header::HeaderName::from_static("x-robots-tag"), HeaderValue::from_static("noindex")),
];

/// How long the store may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// After a failure of the store.
const AGAIN_AFTER: Duration = Duration::from_secs(5);

type TokenPath = Result<Path<String>, PathRejection>;

/// `GET`: the question.
pub(super) async fn ask(State(app): State<App>, token: TokenPath) -> Response {
    match reader(&app, token) {
        Some(_) => show(&UnsubscribePage::Question),
        None => no_such_link(),
    }
}

/// `POST`: no more e-mails.
pub(super) async fn stop(State(app): State<App>, token: TokenPath) -> Response {
    let Some(user) = reader(&app, token) else { return no_such_link() };
    let stopped = tokio::select! {
        stopped = switch_off(&app, user) => stopped,
        () = app.clock.sleep(PATIENCE) => Err(StoreError::Unavailable("no answer yet".to_owned())),
    };
    match stopped {
        Ok(()) => show(&UnsubscribePage::Done),
        Err(error) => {
            warn!(%user, %error, "a subscriber could not switch e-mail off");
            let again = HeaderValue::from(AGAIN_AFTER.as_secs());
            (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, again)], show(&UnsubscribePage::Later))
                .into_response()
        }
    }
}

fn reader(app: &App, token: TokenPath) -> Option<UserId> {
    app.links.user(&token.ok()?.0)
}

async fn switch_off(app: &App, user: UserId) -> Result<(), StoreError> {
    let set = doc! { "preferences.notifications.email": false, "updatedAt": app.clock.now() };
    let off =
        DocumentWrite::Update { collection: Collection::Users, id: user.0, set, unset: Vec::new(), expect: Vec::new() };
    match app.store.write(vec![off]).await {
        Ok(()) => info!(%user, "a subscriber switched e-mail off by the link in a mail"),
        // Who is not there any more gets no mail either.
        Err(StoreError::Conflict) => return Ok(()),
        Err(error) => return Err(error),
    }
    if let Err(error) = app.audience.catch_up(&*app.store).await {
        warn!(%error, "the change is kept, and is known here with the next alert");
    }
    Ok(())
}

fn show(page: &UnsubscribePage) -> Response {
    match page.render() {
        Ok(html) => (HEADERS, Html(html)).into_response(),
        Err(error) => {
            warn!(%error, "a page could not be made");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

fn no_such_link() -> Response {
    (StatusCode::NOT_FOUND, show(&UnsubscribePage::Wrong)).into_response()
}
