//! E-mail, from TradingView's request to the mail as another program reads it: the whole program in this process, a real
//! SMTP server beside it, and at the end of each test every rule of the harness's model.

mod encrypted;
mod extremes;
mod faults;
mod mails;
mod server;
mod unsubscribing;

use std::time::Duration;

use alertcast::settings::Settings;
use alertcast_core::delivery::{Channel, Delivery, DeliveryState};
use alertcast_core::fixtures::user_id;
use serde_json::{Value, json};

use crate::harness::app::START;
use crate::harness::mail::MailServer;
use crate::harness::post::{alert, with};
use crate::harness::{App, Books, TestPeople};

/// One configuration, one plan, and users 1 to 3, who want Telegram and e-mail.
fn world() -> TestPeople {
    let world = TestPeople::at(START).config(1, |_| {}).plan(1, &[1], |_| {}).users(1..=3, 1);
    (1..=3).fold(world, wants_mail)
}

fn wants_mail(world: TestPeople, user: u32) -> TestPeople {
    world.preference(1, user, |preference| preference.preferences.notifications.email = true)
}

/// Mail by this server.
fn settings(settings: &mut Settings, server: &MailServer) {
    settings.public_url = Some("https://alerts.example.com".parse().unwrap());
    let email = &mut settings.email;
    email.smtp_url = Some(server.url().into());
    email.from = Some("Signals <alerts@example.com>".parse().unwrap());
    email.per_second = 500.try_into().unwrap();
    email.timeout = Duration::from_secs(5);
}

async fn start(server: &MailServer) -> App {
    App::start_with(world(), |all| settings(all, server)).await
}

/// With servers that stall: who waits for one waits in real time.
fn impatient(settings: &mut Settings) {
    settings.email.timeout = Duration::from_secs(1);
}

async fn start_impatient(server: &MailServer) -> App {
    let change = |all: &mut Settings| {
        settings(all, server);
        impatient(all);
    };
    App::start_with(world(), change).await
}

/// BUY of configuration 1 with a target 10 % above and a stop 5 % below.
fn buy(price: f64) -> Value {
    with(alert(1, "BUY", price), json!({ "tp": price * 1.1, "sl": price * 0.95 }))
}

fn tp_hit(price: f64) -> Value {
    alert(1, "TP_HIT", price)
}

/// The mails to user `n`, as the store has them, in their order.
fn to(books: &Books, n: u32) -> Vec<&Delivery> {
    let of = |delivery: &&Delivery| delivery.channel == Channel::Email && delivery.user_id == Some(user_id(n));
    books.deliveries.values().filter(of).collect()
}

/// Ends the test. What the store calls sent has arrived, and of two copies of a mail at least one says so.
async fn finish(app: App, server: &MailServer) -> Books {
    let books = app.finish().await;
    let mails = server.mails();
    let id = |delivery: &Delivery| format!("<{}@example.com>", delivery.id);
    for delivery in books.deliveries.values().filter(|delivery| delivery.channel == Channel::Email) {
        let copies: Vec<_> = mails.iter().filter(|mail| mail.id() == id(delivery)).collect();
        let unmarked = copies.iter().filter(|mail| !mail.is_marked()).count();
        assert!(unmarked <= 1, "{} came {} times", delivery.id, copies.len());
        assert!(delivery.state != DeliveryState::Sent || !copies.is_empty(), "{} did not arrive", delivery.id);
        assert!(copies.iter().all(|mail| mail.recipients == [delivery.to.as_str()]));
    }
    for mail in &mails {
        assert!(books.deliveries.values().any(|delivery| id(delivery) == mail.id()), "nobody decided {}", mail.id());
    }
    books
}
