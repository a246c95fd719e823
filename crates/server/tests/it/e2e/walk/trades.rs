//! Trades: an exit after something else came to stand in an open one, and an entry.

use alertcast_core::fixtures;
use alertcast_core::reading::{pack, read_bytes};
use alertcast_core::store::{Collection, document};
use alertcast_core::trade::document::{Trade, TradeStatus};

use super::{STEP, SpoiltPlace, at, places};
use crate::e2e::{buy, tp_hit};
use crate::harness::app::START;
use crate::harness::post::alert;
use crate::harness::{App, TestPeople};

/// Beside what is declared: what Alertcast keeps with a trade.
const OWN: [&str; 9] = [
    "alertcast",
    "alertcast.rev",
    "alertcast.quantity",
    "alertcast.tradeRef",
    "alertcast.targets",
    "alertcast.decimals",
    "alertcast.preferenceId",
    "alertcast.entryDeliveries",
    "alertcast.endDeliveries",
];

/// What an exit comes to for the holder of a trade.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It is read, and ends.
    Ends,
    /// It cannot be read: its holder is told, and it stays as it is.
    Told,
    /// It does not say whose it is, or of what.
    Nobodys,
}

fn fate(place: &SpoiltPlace) -> Fate {
    if ["userId", "alertConfigId"].contains(&place.path) {
        return Fate::Nobodys;
    }
    let spoilt = place.put_into(&sound(1));
    let read = read_bytes::<Trade>(Collection::Trades, &pack(&spoilt).unwrap());
    if read.is_ok() { Fate::Ends } else { Fate::Told }
}

fn is_anothers(place: &SpoiltPlace) -> bool {
    place.path == "userId" && matches!(place.value, bson::Bson::ObjectId(_))
}

fn sound(user: u32) -> bson::Document {
    document(&fixtures::trade(99, 1, user, 1, &[])).unwrap()
}

/// What a user has read, and what it should be.
fn story(app: &App, user: u32) -> Vec<&'static str> {
    let told = |text: &str| match text {
        text if text.contains("cannot be read") => "told",
        text if text.starts_with('🟢') => "entry",
        text if text.contains("P&L") => "exit",
        _ => "something else",
    };
    app.messages(user).iter().map(|message| told(&message.plain)).collect()
}

async fn walk(step: usize) {
    let places = places(Collection::Trades, &OWN, step);
    let last = u32::try_from(places.len()).unwrap();
    let spoilt: Vec<(u32, &SpoiltPlace, Fate)> =
        (1..=last).zip(&places).map(|(user, place)| (user, place, fate(place))).collect();
    let world = TestPeople::at(START).config(1, |_| {}).plan(1, &[1], |_| {}).users(0..=last + 1, 1);
    let mut app = App::start(world).await;
    let mut put = vec![0, last + 1];
    for user in [0, last + 1] {
        assert!(app.desk.put_past_checks(Collection::Trades, &sound(user)));
    }
    for (user, place, _) in &spoilt {
        if app.desk.put_past_checks(Collection::Trades, &place.put_into(&sound(*user))) {
            put.push(*user);
        }
    }
    assert!(put.len() * 10 > places.len() * 9, "{} of {}", put.len(), places.len());
    for message in [alert(1, "exit", 105.0), buy(100.0), tp_hit(110.0)] {
        app.done(message).await;
    }
    let mut counts = [0; 3];
    for (user, place, fate) in spoilt.iter().filter(|(user, ..)| put.contains(user)) {
        let before = place.put_into(&sound(*user));
        let (wanted, status) = match fate {
            Fate::Ends => (vec!["exit", "entry", "exit"], Some(TradeStatus::Closed.as_str())),
            Fate::Told => (vec!["told", "told"], at(&before, "status").and_then(|it| it.as_str())),
            // It has become the trade of somebody who is not there: an exit ends it, and nobody hears of it.
            Fate::Nobodys if is_anothers(place) => (vec!["entry", "exit"], Some(TradeStatus::Closed.as_str())),
            Fate::Nobodys => (vec!["entry", "exit"], Some(TradeStatus::Open.as_str())),
        };
        assert_eq!(story(&app, *user), wanted, "{place:?}: {:?}", app.messages(*user));
        let id = fixtures::trade_id(99, *user).0;
        let kept = app.store.get(Collection::Trades, &[id]).await.unwrap().remove(0);
        assert_eq!(at(&kept, "status").and_then(|it| it.as_str()), status, "{place:?}");
        counts[*fate as usize] += 1;
    }
    for neighbour in [0, last + 1] {
        assert_eq!(story(&app, neighbour), ["exit", "entry", "exit"], "the neighbour {neighbour}");
    }
    assert!(counts.iter().all(|count| count * 40 > places.len()), "{counts:?}");
    let known = app.store.unreadables().list_known();
    for (user, place, _) in spoilt.iter().filter(|(user, _, fate)| *fate == Fate::Told && put.contains(user)) {
        let id = fixtures::trade_id(99, *user).0.to_hex();
        assert!(known.iter().any(|one| one.id_text() == id), "the operators hear of {place:?}");
    }
    app.stop_without_books().await;
}

#[tokio::test]
async fn whatever_stands_in_an_open_trade_its_holder_hears_of_each_exit_once_and_enters_nothing_beside_it() {
    walk(STEP).await;
}

#[tokio::test]
async fn long_each_type_in_each_field_of_an_open_trade() {
    walk(1).await;
}
