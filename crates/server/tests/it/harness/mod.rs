//! What the tests of the whole program have in common: a stand-in for Telegram that outlives the program, a [`TestPeople`] of
//! subscribers, the program itself ([`App`] in this process, [`Child`] as one of its own), and a [`Model`] of what must be
//! true afterwards.

pub(crate) mod app;
pub(crate) mod books;
pub(crate) mod child;
pub(crate) mod desk;
pub(crate) mod fleet;
pub(crate) mod front;
pub(crate) mod gate;
pub(crate) mod mail;
pub(crate) mod model;
pub(crate) mod mongod;
pub(crate) mod panics;
pub(crate) mod patience;
pub(crate) mod place;
pub(crate) mod post;
pub(crate) mod told;

pub(crate) use alertcast_core::fixtures::TestPeople;
pub(crate) use app::App;
pub(crate) use books::Books;
pub(crate) use child::{Child, Site};
pub(crate) use fleet::Fleet;
pub(crate) use model::{Allowances, Model};
pub(crate) use patience::Patience;
pub(crate) use place::Place;
pub(crate) use post::Sender;

use std::time::Duration;

/// For what shows no progress: nothing that a test does by itself takes longer in real time, however busy the machine is.
pub(crate) const PATIENCE: Duration = Duration::from_secs(600);
/// The bot that everybody has started who has no other.
pub(crate) const BOT: &str = "101:first";
/// A second bot.
pub(crate) const OTHER_BOT: &str = "202:second";
/// The operators' chat: a group.
pub(crate) const OPERATORS: i64 = -4_711;

/// To be called before a stand-in for Telegram is started: it brings a client for webhooks.
pub(crate) fn prepare_process() {
    alertcast::tls::choose_provider();
    panics::watch();
}

/// The chat of user `n` of the fixtures.
pub(crate) fn chat(n: u32) -> i64 {
    alertcast_core::fixtures::chat(n).parse().unwrap()
}
