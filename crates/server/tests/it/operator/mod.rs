//! What operators do by hand, on the running program: real store, processor and courier, and a stand-in for Telegram.

mod accepting;
mod closing;
mod deciding;
mod erasing;
mod rehearsing;
mod resending;

use alertcast::operator::{Actor, OperatorAction};
use alertcast_conformance::dump::every;
use alertcast_core::admin::Permissions;
use alertcast_core::audit::AuditEntry;
use alertcast_core::fixtures::{admin_id, config_id, user_id};
use alertcast_core::store::{Collection, read};
use alertcast_core::trade::document::Trade;
use serde_json::{Value, json};

use crate::harness::app::START;
use crate::harness::post::{alert, with};
use crate::harness::{App, TestPeople};

/// One configuration, one plan, and users 1 to 3.
fn small_world() -> TestPeople {
    TestPeople::at(START).config(1, |_| {}).plan(1, &[1], |_| {}).users(1..=3, 1)
}

/// BUY of configuration 1 with a target 10 % above and a stop 5 % below.
fn buy(price: f64) -> Value {
    with(alert(1, "BUY", price), json!({ "tp": price * 1.1, "sl": price * 0.95 }))
}

/// An act of the operator `asha`.
fn act() -> OperatorAction {
    let who = Actor {
        admin_id: admin_id(1),
        username: "asha".to_owned(),
        token: None,
        ip: Some("192.0.2.7".to_owned()),
        permissions: Permissions::ALL,
    };
    OperatorAction { who, reason: Some("asked by phone".to_owned()), seen: None, also: Vec::new() }
}

/// The trades of user `n`, by number.
async fn trades(app: &App, n: u32) -> Vec<Trade> {
    app.books().await.trades_of(user_id(n), config_id(1)).into_iter().cloned().collect()
}

/// The acts on record, each with its collection: who, what and why.
async fn records(app: &App) -> Vec<(String, String)> {
    let kept = every(&*app.store, Collection::AuditLog).await;
    let entries = kept.into_iter().map(|entry| read::<AuditEntry>(Collection::AuditLog, entry).unwrap());
    let told = entries.map(|entry| {
        assert_eq!((entry.username.as_str(), entry.reason.as_deref()), ("asha", Some("asked by phone")));
        (entry.action, entry.collection)
    });
    told.collect()
}

fn recorded(action: &str, collection: Collection) -> (String, String) {
    (action.to_owned(), collection.name().to_owned())
}
