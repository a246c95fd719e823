//! The link in a mail by which its reader stops the mails.

use alertcast_core::delivery::DeliveryState::Dropped;
use alertcast_core::fixtures::user_id;
use reqwest::{Client, Response};
use serde_json::json;

use super::{App, MailServer, buy, finish, start, to, tp_hit};
use crate::support::{House, Post};

/// The path of the link in the last mail to user `n`.
fn link(server: &MailServer, n: u32) -> String {
    let mail = server.mails_to(n).pop().unwrap();
    assert_eq!(mail.header("List-Unsubscribe-Post"), Some("List-Unsubscribe=One-Click"));
    let header = mail.header("List-Unsubscribe").unwrap();
    let link = header.strip_prefix('<').and_then(|link| link.strip_suffix('>')).unwrap();
    assert!(mail.bodies.values().all(|body| body.contains(link)), "the readers find it too");
    link.strip_prefix("https://alerts.example.com").unwrap().to_owned()
}

async fn get(app: &App, path: &str) -> Response {
    Client::new().get(app.url(path)).send().await.unwrap()
}

/// As mail programs post it (RFC 8058).
async fn click(app: &App, path: &str) -> Response {
    let request = Client::new().post(app.url(path)).header("content-type", "application/x-www-form-urlencoded");
    request.body("List-Unsubscribe=One-Click").send().await.unwrap()
}

async fn wants_mail(app: &App, n: u32) -> bool {
    app.books().await.users[&user_id(n)].preferences.notifications.email
}

#[tokio::test]
async fn one_click_stops_the_mails_at_once_and_nothing_else() {
    let server = MailServer::start();
    let mut app = start(&server).await;
    app.done(buy(100.0)).await;
    app.allow.audience_changed = true;
    let before = app.books().await.users[&user_id(2)].clone();
    let answer = click(&app, &link(&server, 2)).await;
    assert_eq!(answer.status(), 200);
    assert!(answer.text().await.unwrap().contains("No more e-mails"));
    let mut expected = before;
    expected.preferences.notifications.email = false;
    expected.updated_at = app.books().await.users[&user_id(2)].updated_at;
    assert_eq!(app.books().await.users[&user_id(2)], expected);
    app.done(tp_hit(112.0)).await;
    let counts = |n| (server.mails_to(n).len(), app.messages(n).len());
    assert_eq!((counts(1), counts(2)), ((2, 2), (1, 2)));
    finish(app, &server).await;
}

#[tokio::test]
async fn a_mail_that_waits_is_not_sent_any_more() {
    let mut server = MailServer::start();
    let mut app = start(&server).await;
    app.done(buy(100.0)).await;
    app.allow.audience_changed = true;
    server.rule("rcpt", "reply", json!({ "text": "451 4.7.1 later", "to": "2@" }));
    app.accept(tp_hit(112.0)).await;
    app.until("the others have it", || server.mails().len() == 5).await;
    assert_eq!(click(&app, &link(&server, 2)).await.status(), 200);
    server.clear();
    app.quiet().await;
    assert_eq!(server.mails_to(2).len(), 1);
    let books = finish(app, &server).await;
    assert_eq!(to(&books, 2)[1].state, Dropped);
}

#[tokio::test]
async fn looking_at_the_link_shows_a_button_and_changes_nothing() {
    let server = MailServer::start();
    let mut app = start(&server).await;
    app.done(buy(100.0)).await;
    let path = link(&server, 2);
    let answer = get(&app, &path).await;
    assert_eq!(answer.status(), 200);
    assert!(answer.headers()["content-type"].to_str().unwrap().starts_with("text/html"));
    assert_eq!(answer.headers()["referrer-policy"], "no-referrer");
    let page = answer.text().await.unwrap();
    assert!(page.contains("<form method=\"post\">") && page.contains("<button>Stop the e-mails</button>"), "{page}");
    let head = Client::new().head(app.url(&path)).send().await.unwrap();
    assert_eq!(head.status(), 200);
    assert!(wants_mail(&app, 2).await);
    finish(app, &server).await;
}

#[tokio::test]
async fn the_pages_button_does_what_one_click_does() {
    let server = MailServer::start();
    let mut app = start(&server).await;
    app.done(buy(100.0)).await;
    app.allow.audience_changed = true;
    let path = link(&server, 2);
    // A form of a browser posts to the page's own address.
    let form = [("List-Unsubscribe", "One-Click")];
    let body = form.map(|(name, value)| format!("{name}={value}")).join("&");
    let request = Client::new().post(app.url(&path)).header("origin", "null");
    let request = request.header("content-type", "application/x-www-form-urlencoded").body(body);
    assert_eq!(request.send().await.unwrap().status(), 200);
    assert!(!wants_mail(&app, 2).await);
    // Twice is as good as once.
    assert_eq!(click(&app, &path).await.status(), 200);
    finish(app, &server).await;
}

#[tokio::test]
async fn a_wrong_link_is_told_nothing_and_changes_nothing() {
    let server = MailServer::start();
    let mut app = start(&server).await;
    app.done(buy(100.0)).await;
    let path = link(&server, 2);
    let mut forged = path.clone();
    let last = forged.pop().unwrap();
    forged.push(if last == '0' { '1' } else { '0' });
    let mut bodies = std::collections::BTreeSet::new();
    for wrong in [forged.as_str(), "/unsubscribe/00", "/unsubscribe/%ff", &path[..path.len() - 32]] {
        for answer in [click(&app, wrong).await, get(&app, wrong).await] {
            assert_eq!(answer.status(), 404, "{wrong}");
            assert_eq!(answer.headers()["content-type"], "text/html; charset=utf-8", "a person reads it");
            bodies.insert(answer.text().await.unwrap());
        }
    }
    assert_eq!(bodies.len(), 1, "{bodies:?}");
    let page = bodies.pop_first().unwrap();
    assert!(page.contains("width=device-width") && page.contains("Nothing was changed"), "{page}");
    let books = finish(app, &server).await;
    assert!((1..=3).all(|n| books.users[&user_id(n)].preferences.notifications.email));
}

#[tokio::test]
async fn when_the_store_does_not_answer_the_reader_is_asked_to_come_again() {
    let house = House::new().await;
    let path = format!("/unsubscribe/{}", house.app.links.token(user_id(1)).unwrap());
    let stall = house.store.stall_for_tests();
    let request = tokio::spawn(Post::body("List-Unsubscribe=One-Click").to(&path).through(house.router.clone()));
    while house.clock.next_wake().is_none() {
        tokio::task::yield_now().await;
    }
    house.wait(5);
    let answer = request.await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (503, "5"));
    assert!(answer.text.contains("try again in a moment"), "a page: {}", answer.text);
    drop(stall);
    // Who is not there any more gets no mail: that is as good as stopped.
    Post::body("List-Unsubscribe=One-Click").to(&path).send(&house).await.assert(200);
}
