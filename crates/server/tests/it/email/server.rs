//! The mail server as such: how many connections it sees, in how many lanes, and encrypted or not.

use alertcast::clock::Clock as _;
use alertcast_core::delivery::Channel;
use alertcast_core::delivery::DeliveryState::{Expired, Sent};

use super::{App, MailServer, buy, finish, settings, to, tp_hit, wants_mail, world};
use crate::harness::TestPeople;

fn many(users: u32) -> TestPeople {
    (4..=users).fold(world(), |world, n| wants_mail(world.user(n, 1, |_| {}), n))
}

#[tokio::test]
async fn mails_share_a_few_connections() {
    let server = MailServer::start();
    let mut app = App::start_with(many(40), |all| settings(all, &server)).await;
    app.done(buy(100.0)).await;
    assert_eq!(server.mails().len(), 40);
    let connections = server.connections();
    assert!((1..=8).contains(&connections), "{connections} connections for 40 mails, 4 at once");
    finish(app, &server).await;
}

#[tokio::test]
async fn several_lanes_share_the_mails() {
    let server = MailServer::start();
    let change = |all: &mut alertcast::settings::Settings| {
        settings(all, &server);
        all.email.shards = 3.try_into().unwrap();
    };
    let mut app = App::start_with(many(12), change).await;
    app.done(buy(100.0)).await;
    let books = finish(app, &server).await;
    let by_mail = books.deliveries.values().filter(|delivery| delivery.channel == Channel::Email);
    let lanes: std::collections::BTreeSet<&str> = by_mail.map(|delivery| delivery.lane.as_str()).collect();
    assert_eq!(lanes.into_iter().collect::<Vec<_>>(), ["mail:0", "mail:1", "mail:2"]);
    assert!((1..=12).all(|n| to(&books, n)[0].state == Sent));
}

#[tokio::test]
async fn mails_leave_at_the_pace_that_is_set() {
    let server = MailServer::start();
    let change = |all: &mut alertcast::settings::Settings| {
        settings(all, &server);
        all.email.per_second = 2.try_into().unwrap();
    };
    let mut app = App::start_with(many(10), change).await;
    let begun = app.clock.monotonic();
    app.done(buy(100.0)).await;
    let took = app.clock.monotonic() - begun;
    assert!(took.as_secs() >= 3, "{took:?}");
    finish(app, &server).await;
}

#[tokio::test]
async fn without_encryption_where_it_is_asked_for_nothing_is_sent() {
    let server = MailServer::start();
    let change = |all: &mut alertcast::settings::Settings| {
        settings(all, &server);
        all.email.smtp_url = Some(format!("{}?tls=required", server.url()).into());
    };
    let mut app = App::start_with(world(), change).await;
    app.accept(buy(100.0)).await;
    app.until("Telegram has it", || (1..=3).all(|n| app.messages(n).len() == 1)).await;
    // After five failures they go one at a time.
    app.until("each was tried, and more", || server.connections() > 8).await;
    let books = app.books().await;
    let errors: Vec<&str> = (1..=3).filter_map(|n| to(&books, n)[0].last_error.as_deref()).collect();
    assert!(errors.len() == 3 && errors.iter().all(|e| e.contains("STARTTLS is not supported")), "{errors:?}");
    app.advance(std::time::Duration::from_secs(2 * 60 * 60));
    app.quiet().await;
    assert_eq!(server.mails().len(), 0);
    let books = finish(app, &server).await;
    assert!((1..=3).all(|n| to(&books, n)[0].state == Expired));
}

#[tokio::test]
async fn when_e_mail_is_not_set_up_nobody_is_promised_one() {
    let mut app = App::start(world()).await;
    app.done(buy(100.0)).await;
    app.done(tp_hit(112.0)).await;
    let books = app.finish().await;
    assert!(books.deliveries.values().all(|delivery| delivery.channel == Channel::Telegram));
}
