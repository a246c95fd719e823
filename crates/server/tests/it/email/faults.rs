//! What goes wrong between us and the reader's mailbox, and what becomes of the mail. In each case whoever else gets the
//! alert gets it, and Telegram takes no notice.

use alertcast_core::store::Collection;
use std::net::TcpListener;
use std::time::Duration;

use alertcast::clock::Clock as _;
use alertcast_conformance::scene::set;
use alertcast_core::delivery::DeliveryState::{Dead, Pending, Sent};
use alertcast_core::fixtures::user_id;
use bson::doc;
use serde_json::json;
use telegram_sim::SimConfig;

use super::{App, MailServer, buy, finish, impatient, settings, start, start_impatient, to, tp_hit, world};
use crate::harness::child::now;
use crate::harness::{Site, TestPeople};

/// Everybody's Telegram message, and the mails of users 1 and 3.
fn others_have_it(app: &App, server: &MailServer) -> bool {
    (1..=3).all(|user| app.messages(user).len() == 1) && [1, 3].iter().all(|user| !server.mails_to(*user).is_empty())
}

#[tokio::test]
async fn a_recipient_that_is_refused_for_good_is_dead_and_the_reason_names_nobody() {
    for at in ["rcpt", "content"] {
        let mut server = MailServer::start();
        let text = "550 5.1.1 <user2@example.com>: no such user user2";
        server.rule(at, "reply", json!({ "text": text, "to": "2@" }));
        let mut app = start(&server).await;
        app.done(buy(100.0)).await;
        assert!(others_have_it(&app, &server));
        let books = finish(app, &server).await;
        let [delivery] = to(&books, 2).try_into().unwrap();
        let error = delivery.last_error.as_deref().unwrap();
        assert_eq!((delivery.state, delivery.attempts.0), (Dead, 1), "{at}");
        assert!(error.contains("550 5.1.1") && !error.contains('@') && !error.contains("user2"), "{error}");
    }
}

#[tokio::test]
async fn who_is_greylisted_gets_it_a_little_later_and_is_told_of_no_repeat() {
    let mut server = MailServer::start();
    server.rule("rcpt", "reply", json!({ "text": "451 4.7.1 Greylisted, come again", "to": "2@", "times": 3 }));
    let mut app = start(&server).await;
    app.done(buy(100.0)).await;
    let [mail] = server.mails_to(2).try_into().unwrap();
    assert!(!mail.is_marked());
    let books = finish(app, &server).await;
    let [delivery] = to(&books, 2).try_into().unwrap();
    assert_eq!((delivery.state, delivery.attempts.0, delivery.possible_repeat), (Sent, 4, false));
}

#[tokio::test]
async fn greylisting_of_everybody_does_not_count_as_trouble_with_the_server() {
    let mut server = MailServer::start();
    server.rule("rcpt", "reply", json!({ "text": "450 4.2.0 Greylisted", "times": 30 }));
    let world = (4..=30).fold(world(), |world, n| super::wants_mail(world.user(n, 1, |_| {}), n));
    let mut app = App::start_with(world, |all| settings(all, &server)).await;
    app.done(buy(100.0)).await;
    assert_eq!(server.mails().len(), 30);
    let books = finish(app, &server).await;
    assert!((1..=30).all(|n| to(&books, n)[0].attempts.0 <= 3), "they waited for each other");
}

/// What is given to the server and never confirmed is sent again, says so, and is the same mail to a mail program.
async fn in_doubt(what: &str, copies: usize) {
    let mut server = MailServer::start();
    server.rule("content", what, json!({ "to": "2@", "times": 1 }));
    let mut app = start_impatient(&server).await;
    app.done(buy(100.0)).await;
    assert!(others_have_it(&app, &server));
    let mails = server.mails_to(2);
    assert_eq!(mails.len(), copies, "{what}");
    assert!(mails.last().unwrap().is_marked(), "{what}");
    assert!(mails.iter().all(|mail| mail.id() == mails[0].id()), "{what}");
    let books = finish(app, &server).await;
    let [delivery] = to(&books, 2).try_into().unwrap();
    assert_eq!((delivery.state, delivery.attempts.0, delivery.possible_repeat), (Sent, 2, true), "{what}");
}

#[tokio::test]
async fn a_mail_that_the_server_never_confirms_is_in_doubt() {
    in_doubt("stall", 1).await;
    in_doubt("take_and_stall", 2).await;
}

#[tokio::test]
async fn a_mail_during_which_the_server_breaks_off_is_in_doubt() {
    in_doubt("cut", 1).await;
    in_doubt("take_and_cut", 2).await;
}

/// Whatever goes wrong before the mail is given leaves nothing in doubt.
async fn before_the_mail(at: &str) {
    for (what, text) in [("cut", ""), ("stall", ""), ("reply", "421 4.3.2 shutting down")] {
        let mut server = MailServer::start();
        server.rule(at, what, json!({ "text": text, "times": 2 }));
        let mut app = start_impatient(&server).await;
        app.done(buy(100.0)).await;
        assert_eq!(server.mails().len(), 3, "{at} {what}");
        assert!(server.mails().iter().all(|mail| !mail.is_marked()), "{at} {what}");
        let books = finish(app, &server).await;
        let deliveries: Vec<_> = (1..=3).flat_map(|n| to(&books, n)).collect();
        assert!(deliveries.iter().all(|d| d.state == Sent && !d.possible_repeat), "{at} {what}");
    }
}

#[tokio::test]
async fn trouble_while_the_sender_is_named_leaves_nothing_in_doubt() {
    before_the_mail("mail").await;
}

#[tokio::test]
async fn trouble_while_the_recipient_is_named_leaves_nothing_in_doubt() {
    before_the_mail("rcpt").await;
}

#[tokio::test]
async fn trouble_before_the_server_is_ready_for_the_mail_leaves_nothing_in_doubt() {
    before_the_mail("data").await;
}

#[tokio::test]
async fn a_mail_refused_for_now_is_not_in_doubt() {
    let mut server = MailServer::start();
    server.rule("content", "reply", json!({ "text": "452 4.3.1 no room just now", "times": 2 }));
    let mut app = start(&server).await;
    app.done(buy(100.0)).await;
    assert!(server.mails().len() == 3 && server.mails().iter().all(|mail| !mail.is_marked()));
    finish(app, &server).await;
}

#[tokio::test]
async fn while_the_server_is_away_telegram_goes_on_and_afterwards_the_mails_come() {
    let mut server = MailServer::start();
    server.stop();
    let mut app = start(&server).await;
    app.accept(buy(100.0)).await;
    app.until("Telegram has it", || (1..=3).all(|n| app.messages(n).len() == 1)).await;
    let tried = || app.desk.count(Collection::Deliveries, &[("lane", "mail:0"), ("state", "pending")]) == 3;
    app.until("the mails wait", tried).await;
    app.accept(tp_hit(112.0)).await;
    app.until("Telegram has the exit", || (1..=3).all(|n| app.messages(n).len() == 2)).await;
    server.start_again();
    app.quiet().await;
    assert!((1..=3).all(|n| !server.mails_to(n).is_empty()));
    assert!(server.mails().iter().all(|mail| !mail.is_marked()));
    finish(app, &server).await;
}

#[tokio::test]
async fn while_the_server_stalls_telegram_goes_on() {
    let mut server = MailServer::start();
    server.rule("content", "stall", json!({}));
    let mut app = start_impatient(&server).await;
    app.accept(buy(100.0)).await;
    app.until("Telegram has it", || (1..=3).all(|n| app.messages(n).len() == 1)).await;
    app.accept(tp_hit(112.0)).await;
    app.until("Telegram has the exit", || (1..=3).all(|n| app.messages(n).len() == 2)).await;
    assert_eq!(server.mails().len(), 0);
    server.clear();
    app.quiet().await;
    assert!((1..=3).all(|n| server.mails_to(n).last().is_some_and(|mail| mail.text().contains("TAKE PROFIT HIT"))));
    finish(app, &server).await;
}

#[tokio::test]
async fn a_server_that_takes_the_connection_and_says_nothing_is_not_waited_for() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let server = MailServer::start();
    let change = |all: &mut alertcast::settings::Settings| {
        settings(all, &server);
        impatient(all);
        all.email.smtp_url = Some(format!("smtp://127.0.0.1:{port}").into());
    };
    let mut app = App::start_with(world(), change).await;
    app.accept(buy(100.0)).await;
    let tried = || app.desk.count(Collection::Deliveries, &[("lane", "mail:0"), ("state", "pending")]) == 3;
    app.until("Telegram has it, and the mails wait", || tried() && app.messages(1).len() == 1).await;
    // Entries: they are of no use after their deadline.
    app.advance(Duration::from_secs(2 * 60 * 60));
    let books = finish(app, &server).await;
    assert!((1..=3).flat_map(|n| to(&books, n)).all(|delivery| !delivery.possible_repeat));
}

#[tokio::test]
async fn a_connection_that_died_unnoticed_costs_no_attempt() {
    let mut server = MailServer::start();
    let mut app = start(&server).await;
    app.done(buy(100.0)).await;
    server.hang_up();
    app.done(tp_hit(112.0)).await;
    let books = finish(app, &server).await;
    for delivery in (1..=3).flat_map(|n| to(&books, n)) {
        assert_eq!((delivery.state, delivery.attempts.0, delivery.possible_repeat), (Sent, 1, false));
    }
}

#[tokio::test]
async fn an_address_that_is_none_is_dead_and_its_reader_has_telegram() {
    let mut all = world();
    all.users[1].email = "no..body@example.com".to_owned();
    let server = MailServer::start();
    let mut app = App::start_with(all, |all| settings(all, &server)).await;
    app.done(buy(100.0)).await;
    assert!(others_have_it(&app, &server));
    let books = finish(app, &server).await;
    assert_eq!((to(&books, 2)[0].state, to(&books, 2)[0].attempts.0), (Dead, 1));
}

/// While the server does not accept us nothing is tried in vain, and nothing is lost.
async fn refused(at: &str, text: &str) {
    let mut server = MailServer::with(&["--login", "signals:right"]);
    server.rule(at, "reply", json!({ "text": text }));
    let change = |all: &mut alertcast::settings::Settings| {
        settings(all, &server);
        all.email.smtp_url = Some(format!("smtp://signals:right@127.0.0.1:{}", server.port).into());
    };
    let mut app = App::start_with(world(), change).await;
    app.accept(buy(100.0)).await;
    app.until("Telegram has it", || (1..=3).all(|n| app.messages(n).len() == 1)).await;
    app.until("it was tried", || server.connections() > 0).await;
    let until = app.clock.monotonic() + Duration::from_secs(100);
    let hurry = || app.advance(Duration::from_millis(500));
    app.until("some time has passed", || {
        hurry();
        app.clock.monotonic() > until
    })
    .await;
    let books = app.books().await;
    for delivery in (1..=3).flat_map(|n| to(&books, n)) {
        assert_eq!((delivery.state, delivery.possible_repeat), (Pending, false), "{at}");
        assert!(delivery.attempts.0 <= 1, "{at}: {}", delivery.attempts.0);
    }
    assert!(server.connections() <= 3 + 3, "seldom and ever more so: {}", server.connections());
    server.clear();
    app.until("we are let in, and the mails come", || {
        hurry();
        server.mails().len() == 3
    })
    .await;
    app.quiet().await;
    assert!((1..=3).all(|n| server.mails_to(n).len() == 1 && !server.mails_to(n)[0].is_marked()));
    assert_eq!(server.mails()[0].login.as_deref(), Some("signals"));
    finish(app, &server).await;
}

#[tokio::test]
async fn a_refused_log_in_burns_no_mail() {
    refused("auth", "535 5.7.8 Authentication credentials invalid").await;
}

#[tokio::test]
async fn a_refused_sender_burns_no_mail() {
    refused("mail", "553 5.7.1 Sender address rejected: not owned by user").await;
}

#[tokio::test]
async fn a_mail_under_way_when_the_program_is_killed_comes_again_and_says_so() {
    let mut server = MailServer::start();
    server.rule("content", "take_and_stall", json!({ "times": 1 }));
    let people = TestPeople::at(now()).config(1, |_| {}).plan(1, &[1], |_| {}).users([1], 1);
    let site = Site::new(super::wants_mail(people, 1), SimConfig::default().no_limits()).await;
    let url = server.url();
    let variables = [("ALERTCAST_SMTP_URL", url.as_str()), ("ALERTCAST_EMAIL_FROM", "alerts@example.com")];
    let mut program = site.spawn_as(&[], &variables);
    assert!(site.ready(&mut program).await, "{}", site.last_words());
    site.sender().accept(&buy(100.0)).await;
    site.until("the server has the mail", || server.mails().len() == 1).await;
    program.kill().await;
    let mut program = site.spawn_as(&[], &variables);
    assert!(site.ready(&mut program).await, "{}", site.last_words());
    site.quiet().await;
    assert_eq!(program.terminate().await.code(), Some(0));
    let [first, second] = server.mails_to(1).try_into().unwrap();
    assert_eq!((first.is_marked(), second.is_marked()), (false, true));
    assert_eq!(first.id(), second.id(), "a mail program shows it once");
}

#[tokio::test]
async fn an_address_without_a_mailbox_is_not_tried_again_until_it_is_another() {
    let mut server = MailServer::start();
    server.rule("rcpt", "reply", json!({ "text": "550 5.1.1 User unknown", "to": "2@" }));
    let mut app = start(&server).await;
    app.allow.audience_changed = true;
    app.done(buy(100.0)).await;
    server.clear();
    app.done(tp_hit(112.0)).await;
    app.done(buy(101.0)).await;
    let told: Vec<String> = app.operator_texts();
    let about = |text: &&String| text.contains("address has no mailbox");
    assert_eq!(told.iter().filter(about).count(), 1, "{told:?}");
    assert_eq!(app.messages(2).len(), 3, "Telegram takes no notice");
    assert!(server.mails_to(2).is_empty());
    let books = app.books().await;
    assert_eq!(to(&books, 2).len(), 1, "no mail was so much as made out");
    assert!(books.users[&user_id(2)].email_bounced_since().is_some());
    let address = doc! { "email": "user2@example.org" };
    app.change(vec![set(Collection::Users, user_id(2), address)]).await;
    app.done(tp_hit(113.0)).await;
    let mails = server.mails();
    assert!(mails.iter().any(|mail| mail.recipients == ["user2@example.org"]), "another address is written to");
    finish(app, &server).await;
}

#[tokio::test]
async fn an_address_that_a_policy_keeps_from_us_is_tried_with_each_alert() {
    let mut server = MailServer::start();
    server.rule("rcpt", "reply", json!({ "text": "550 5.7.1 We do not like you", "to": "2@" }));
    let mut app = start(&server).await;
    app.done(buy(100.0)).await;
    server.clear();
    app.done(tp_hit(112.0)).await;
    assert_eq!(server.mails_to(2).len(), 1, "the exit");
    let books = finish(app, &server).await;
    assert_eq!(books.users[&user_id(2)].email_bounced_since(), None);
}
