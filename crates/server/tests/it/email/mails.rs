//! What a mail says, as its reader's program shows it.

use alertcast_core::delivery::DeliveryState::{self, Sent};
use alertcast_core::store::Collection;
use serde_json::json;

use super::{App, MailServer, buy, finish, settings, start, to, tp_hit, world};
use crate::harness::mail::Mail;

/// The mail as one text: headers, then each body.
fn shown(mail: &Mail) -> String {
    let headers = mail.headers.iter().map(|(name, value)| format!("{name}: {value}\n"));
    let bodies = mail.bodies.iter().map(|(kind, body)| format!("\n=== {kind}\n{}", body.replace("\r\n", "\n")));
    let all: String = headers.chain(bodies).collect();
    let date = mail.header("Date").unwrap();
    assert!(
        date.starts_with("Sun, 15 Jun 2025 15:1") && date.ends_with(" +0000"),
        "the clock's, not the machine's: {date}"
    );
    let id = mail.id().trim_matches(['<', '>']).split('@').next().unwrap();
    all.replace(id, "[delivery]").replace(token(mail), "[token]").replace(date, "[date]")
}

fn token(mail: &Mail) -> &str {
    let link = mail.header("List-Unsubscribe").unwrap();
    link.trim_matches(['<', '>']).rsplit('/').next().unwrap()
}

#[tokio::test]
async fn an_entry_is_a_mail_of_text_and_html() {
    let server = MailServer::start();
    let mut app = start(&server).await;
    app.done(buy(100.0)).await;
    let mail = server.mails_to(1).remove(0);
    insta::assert_snapshot!("entry", shown(&mail));
    assert_eq!((mail.kind.as_str(), mail.defects.as_slice()), ("multipart/alternative", [].as_slice()));
    assert_eq!((mail.sender.as_str(), mail.hello.as_str(), mail.login), ("alerts@example.com", "example.com", None));
    assert!(mail.bare_line_feeds == 0 && mail.longest_line <= 998, "{} {}", mail.bare_line_feeds, mail.longest_line);
    let books = finish(app, &server).await;
    assert!((1..=3).all(|user| to(&books, user).iter().all(|delivery| delivery.state == Sent)));
}

#[tokio::test]
async fn an_exit_answers_its_entry() {
    let server = MailServer::start();
    let mut app = start(&server).await;
    app.done(buy(100.0)).await;
    app.done(tp_hit(112.0)).await;
    let [entry, exit] = server.mails_to(2).try_into().unwrap();
    assert_eq!(exit.header("In-Reply-To"), Some(entry.id()));
    assert_eq!(exit.header("References"), Some(entry.id()));
    assert_eq!(entry.header("Subject"), Some("🟢 BUY SYM1 · 1h"));
    assert_eq!(
        exit.header("Subject"),
        Some("Re: 🟢 BUY SYM1 · 1h"),
        "the entry's, unchanged: mail programs thread by it"
    );
    assert!(exit.text().starts_with("✅ Closed at 112 · take profit · +12.00%"), "{}", exit.text());
    assert!(exit.bodies["text/html"].contains(">✅ Closed at 112 · take profit · +12.00%</p>"));
    assert_eq!((entry.header("In-Reply-To"), entry.header("References")), (None, None));
    finish(app, &server).await;
}

#[tokio::test]
async fn an_exit_that_overtakes_its_entry_tells_both_in_one_mail() {
    let mut server = MailServer::start();
    server.rule("rcpt", "reply", json!({ "text": "451 4.7.1 later", "to": "2@" }));
    let mut app = start(&server).await;
    app.accept(buy(100.0)).await;
    let others_have_it = || server.mails().len() == 2 && (1..=3).all(|user| app.messages(user).len() == 1);
    app.until("the others have it, and all chats", others_have_it).await;
    app.accept(tp_hit(112.0)).await;
    let superseded = || app.desk.count(Collection::Deliveries, &[("state", "superseded")]) == 1;
    app.until("the exit has taken the entry's place", superseded).await;
    server.clear();
    app.quiet().await;
    let [mail] = server.mails_to(2).try_into().unwrap();
    assert!(mail.text().contains("Over before its entry could be sent"), "{}", mail.text());
    assert_eq!(mail.header("In-Reply-To"), None, "there is no mail to answer");
    assert_eq!(app.messages(2).len(), 2, "Telegram had both");
    let books = finish(app, &server).await;
    assert_eq!(to(&books, 2).iter().map(|d| d.state).collect::<Vec<_>>(), [DeliveryState::Superseded, Sent]);
}

#[tokio::test]
async fn without_a_public_address_a_mail_has_no_link() {
    let server = MailServer::start();
    let change = |all: &mut _| {
        settings(all, &server);
        all.public_url = None;
    };
    let mut app = App::start_with(world(), change).await;
    app.done(buy(100.0)).await;
    let mail = server.mails_to(1).remove(0);
    assert_eq!((mail.header("List-Unsubscribe"), mail.header("List-Unsubscribe-Post")), (None, None));
    assert!(mail.bodies.values().all(|body| !body.contains("Stop these")));
    finish(app, &server).await;
}

#[tokio::test]
async fn one_click_is_offered_for_encrypted_links_only() {
    let server = MailServer::start();
    let change = |all: &mut _| {
        settings(all, &server);
        all.public_url = Some("http://alerts.example.com".parse().unwrap());
    };
    let mut app = App::start_with(world(), change).await;
    app.done(buy(100.0)).await;
    let mail = server.mails_to(1).remove(0);
    assert!(mail.header("List-Unsubscribe").unwrap().starts_with("<http://alerts.example.com/unsubscribe/"));
    assert_eq!(mail.header("List-Unsubscribe-Post"), None);
    finish(app, &server).await;
}

#[tokio::test]
async fn what_an_alert_brings_cannot_break_out_of_the_mail() {
    let server = MailServer::start();
    let mut app = start(&server).await;
    let hostile = json!({ "comment": "<script>alert(1)</script>\r\nBcc: other@example.com" });
    app.done(crate::harness::post::with(buy(100.0), hostile)).await;
    let mail = server.mails_to(1).remove(0);
    assert!(mail.defects.is_empty() && !mail.bodies["text/html"].contains("<script"));
    assert_eq!(mail.header("Bcc"), None);
    finish(app, &server).await;
}

#[tokio::test]
async fn a_mail_is_from_the_provider_by_name() {
    let server = MailServer::start();
    let change = |all: &mut _| {
        settings(all, &server);
        all.email.provider = Some("Example & Co".to_owned());
    };
    let mut app = App::start_with(world(), change).await;
    app.done(buy(100.0)).await;
    let mail = server.mails_to(1).remove(0);
    assert!(mail.header("From").unwrap().contains("Example & Co"), "{:?}", mail.header("From"));
    assert!(mail.text().contains("You get this from Example & Co because"), "{}", mail.text());
    assert!(mail.bodies["text/html"].contains("from Example &#38; Co because"));
    finish(app, &server).await;
}
