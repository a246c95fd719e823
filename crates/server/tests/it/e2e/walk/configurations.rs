//! Configurations: an entry and an exit after something else came to stand in one.

use alertcast_core::alert::document::Alert;
use alertcast_core::alert_configuration::AlertConfiguration;
use alertcast_core::fixtures;
use alertcast_core::reading::{FieldFlaw, pack, read_leniently};
use alertcast_core::schema::{FieldWeight, contract_fields};
use alertcast_core::store::{Collection, document, read};
use bson::Document;

use super::{STEP, SpoiltPlace, places};
use crate::harness::app::START;
use crate::harness::post::{Reply, alert};
use crate::harness::{App, TestPeople};

/// What a configuration is called by.
const NAMES: [&str; 3] = ["symbol", "timeframe", "strategy"];
/// Beside what is declared.
const OWN: [&str; 3] = ["alertcast", "alertcast.currency", "alertcast.closedByTp"];

fn sound(n: u32) -> Document {
    document(&fixtures::config(n)).unwrap()
}

/// What becomes of a configuration's alerts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// As if nothing stood there.
    Works,
    /// Its entries are refused, its exits go.
    HeldBack,
    /// No alert finds it.
    Unknown,
    /// It is read, and says something else: its alerts go by that.
    Otherwise,
}

fn fate(place: &SpoiltPlace) -> Fate {
    let spoilt = place.put_into(&sound(1));
    let read = read_leniently::<AlertConfiguration>(Collection::AlertConfigurations, &pack(&spoilt).unwrap());
    let Ok(read) = read else { return Fate::Unknown };
    let decides = |flaw: &FieldFlaw| flaw.weight == FieldWeight::Decides;
    let before = fixtures::config(1);
    match read.value {
        _ if read.flaws.iter().any(decides) => Fate::HeldBack,
        config if NAMES.contains(&place.path) && config.symbol != before.symbol => Fate::Unknown,
        config if NAMES.contains(&place.path) && config.strategy != before.strategy => Fate::Unknown,
        config
            if (&config.trade_management, &config.alert_types, &config.validation, config.status)
                != (&before.trade_management, &before.alert_types, &before.validation, before.status) =>
        {
            Fate::Otherwise
        }
        _ => Fate::Works,
    }
}

/// What cannot be read and decides is never taken for what was there.
fn holds_back(place: &SpoiltPlace) -> bool {
    let declared = contract_fields(Collection::AlertConfigurations).into_iter().find(|field| field.path == place.path);
    let is_other = matches!(place.value, bson::Bson::MinKey | bson::Bson::Timestamp(_) | bson::Bson::Symbol(_));
    declared.is_some_and(|field| field.weight == FieldWeight::Decides) && is_other
}

/// The codes of a refusal.
fn codes(reply: &Reply) -> Vec<String> {
    let errors = reply.body["errors"].as_array().cloned().unwrap_or_default();
    errors.iter().map(|error| error["code"].as_str().unwrap_or_default().to_owned()).collect()
}

async fn walk(step: usize) {
    let places = places(Collection::AlertConfigurations, &OWN, step);
    let last = u32::try_from(places.len()).unwrap();
    let mut world = TestPeople::at(START);
    for n in 0..=last {
        world = world.config(n, |_| {}).plan(n, &[n], |_| {}).user(n, n, |_| {});
    }
    let mut app = App::prepare(world).await;
    let mut put = Vec::new();
    for (n, place) in (1..=last).zip(&places) {
        let trade = document(&fixtures::trade(99, n, n, 1, &[])).unwrap();
        assert!(app.desk.put_past_checks(Collection::Trades, &trade));
        if app.desk.put_past_checks(Collection::AlertConfigurations, &place.put_into(&sound(n))) {
            put.push((n, place, fate(place)));
        }
    }
    assert!(put.len() * 10 > places.len() * 9, "{} of {}", put.len(), places.len());
    app.prepare_again().await;
    app.run().await;
    let mut counts = [0; 4];
    for (n, place, fate) in &put {
        if holds_back(place) {
            assert!([Fate::HeldBack, Fate::Unknown].contains(fate), "{place:?}");
        }
        let (exit, entry) = (app.post(&alert(*n, "exit", 105.0)).await, app.post(&alert(*n, "BUY", 100.0)).await);
        let statuses = (exit.status, entry.status);
        match fate {
            Fate::Works => assert_eq!(statuses, (202, 202), "{place:?}: {exit:?} {entry:?}"),
            Fate::HeldBack => {
                assert_eq!(statuses, (202, 422), "{place:?}: {exit:?} {entry:?}");
                assert_eq!(codes(&entry), ["configuration_unreadable"], "{place:?}");
            }
            Fate::Unknown => {
                assert_eq!(statuses, (422, 422), "{place:?}: {exit:?} {entry:?}");
                assert_eq!(codes(&exit), ["unknown_configuration"], "{place:?}");
            }
            Fate::Otherwise => {
                assert!(
                    [202, 422].contains(&exit.status) && [202, 422].contains(&entry.status),
                    "{place:?}: {entry:?}"
                );
            }
        }
        for refused in [&exit, &entry].into_iter().filter(|reply| reply.status == 422) {
            let id = refused.alert().unwrap();
            let kept = app.store.get(Collection::Alerts, &[id.0]).await.unwrap().remove(0);
            let kept: Alert = read(Collection::Alerts, kept).unwrap();
            assert_eq!(kept.alertcast.refused_for, codes(refused), "{place:?}: it is kept, and says why");
        }
        counts[*fate as usize] += 1;
    }
    assert_eq!(app.post(&alert(0, "BUY", 100.0)).await.status, 202, "others go on");
    app.quiet().await;
    assert_eq!(app.messages(0).len(), 1, "others go on");
    for (n, place, fate) in &put {
        let told: Vec<String> = app.messages(*n).into_iter().map(|message| message.plain).collect();
        let is_exit = |text: &String| text.contains("105");
        let is_entry = |text: &String| text.starts_with('🟢');
        let wanted = match fate {
            Fate::Works => (1, 1),
            Fate::HeldBack => (1, 0),
            Fate::Unknown => (0, 0),
            Fate::Otherwise => continue,
        };
        let found = (
            told.iter().filter(|text| is_exit(text) && !is_entry(text)).count(),
            told.iter().filter(|text| is_entry(text)).count(),
        );
        assert_eq!(found, wanted, "{place:?}: {told:?}");
    }
    assert!(counts.iter().all(|count| count * 40 > places.len()), "{counts:?}");
    app.stop_without_books().await;
}

#[tokio::test]
async fn whatever_stands_in_a_configuration_its_entries_rest_on_no_guess_and_its_exits_go_while_it_is_known() {
    walk(STEP).await;
}

#[tokio::test]
async fn long_each_type_in_each_field_of_a_configuration() {
    walk(1).await;
}
