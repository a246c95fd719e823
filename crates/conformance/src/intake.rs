//! Rules of [`Intake`](alertcast_core::store::Intake): accepting an alert once, refusing, and what the webhook looks up.

use std::collections::HashSet;
use std::sync::Arc;

use bson::doc;

use super::StoreHarness;
use super::dump::{StoreDump, find, one};
use super::scene::{TestScene, accept, at_once, doors, insert, people, set};
use alertcast_core::alert::document::{Alert, AlertStatus, PricePoint};
use alertcast_core::delivery::{Delivery, DeliveryState, MessageFacts, MessageKind};
use alertcast_core::fixtures::*;
use alertcast_core::market::Signal;
use alertcast_core::money::Count;
use alertcast_core::store::{AlertAcceptance, Collection, DocumentWrite, RejectedWebhook, Store};

pub async fn an_accepted_alert_is_kept_as_it_came_with_its_place_in_the_order(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    let mut offered = alert(1, 1);
    offered.webhook.raw_payload = doc! {
        "int": 1, "long": 2_i64, "double": 3.5, "list": [true, null, "x", { "deep": [1.0] }], "": "empty name",
        "a.b": "dotted", "$c": "dollar",
    };
    offered.alert_data.additional_data = Some(doc! { "tp2": 120.0, "comment": "Größe ☕" });
    let answer = store.accept_alert(offered.clone(), vec![own_key(1)], at(1)).await;
    assert_eq!(answer, Ok(AlertAcceptance::Stored));
    let kept: Alert = one(&*store, Collection::Alerts, offered.id).await;
    offered.alertcast.seq = kept.alertcast.seq;
    assert_eq!(kept, offered);
    assert_eq!(kept.processing.status, AlertStatus::Received);
}

pub async fn an_alert_of_the_greatest_size_is_kept(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    let mut offered = alert(1, 1);
    offered.webhook.raw_payload.insert("_text", "☕".repeat(64 * 1_024 / 3));
    let kept = accept(&*store, offered.clone()).await;
    assert_eq!(kept.webhook.raw_payload, offered.webhook.raw_payload);
}

pub async fn a_second_alert_with_either_key_is_a_duplicate_and_writes_nothing(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    let until = at(600);
    let keys = |names: &[&str]| names.iter().map(|name| key(name, until)).collect::<Vec<_>>();
    let first = store.accept_alert(alert(1, 1), keys(&["a", "b"]), at(1)).await;
    assert_eq!(first, Ok(AlertAcceptance::Stored));
    let before = StoreDump::of(&*store).await;
    for names in [&["a"][..], &["b"], &["b", "c"], &["c", "a"], &["a", "b"]] {
        let answer = store.accept_alert(alert(2, 1), keys(names), at(2)).await;
        assert_eq!(answer, Ok(AlertAcceptance::Duplicate { of: alert_id(1) }), "{names:?}");
    }
    before.assert_same(&StoreDump::of(&*store).await);
    let answer = store.accept_alert(alert(2, 1), keys(&["c"]), at(3)).await;
    assert_eq!(answer, Ok(AlertAcceptance::Stored), "a duplicate's other key stays free");
}

pub async fn a_key_is_free_again_from_its_end_on(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    let offer = async |n: u32, until: i64, now: i64| {
        let keys = vec![key("same", at(until))];
        store.accept_alert(alert(n, 1), keys, at(now)).await.unwrap()
    };
    assert_eq!(offer(1, 45, 1).await, AlertAcceptance::Stored);
    assert_eq!(offer(2, 80, 44).await, AlertAcceptance::Duplicate { of: alert_id(1) });
    assert_eq!(offer(3, 90, 45).await, AlertAcceptance::Stored);
    assert_eq!(offer(4, 99, 46).await, AlertAcceptance::Duplicate { of: alert_id(3) });
}

pub async fn keys_of_two_alerts_make_a_duplicate_of_one_of_them(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    for n in 1..=2 {
        accept(&*store, alert(n, 1)).await;
    }
    let answer = store.accept_alert(alert(3, 1), vec![own_key(1), own_key(2)], at(3)).await;
    let Ok(AlertAcceptance::Duplicate { of }) = answer else {
        panic!("{answer:?}");
    };
    assert!(of == alert_id(1) || of == alert_id(2));
    assert_eq!(find(&*store, Collection::Alerts, alert_id(3)).await, None);
}

pub async fn an_alert_without_keys_is_stored(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    let answer = store.accept_alert(alert(1, 1), Vec::new(), at(1)).await;
    assert_eq!(answer, Ok(AlertAcceptance::Stored));
    assert_eq!(store.count(Collection::Alerts).await, Ok(1));
}

pub async fn offering_an_accepted_alert_again_answers_itself(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    accept(&*store, alert(1, 1)).await;
    let before = StoreDump::of(&*store).await;
    let answer = store.accept_alert(alert(1, 1), vec![own_key(1)], at(2)).await;
    assert_eq!(answer, Ok(AlertAcceptance::Duplicate { of: alert_id(1) }));
    before.assert_same(&StoreDump::of(&*store).await);
}

pub async fn of_many_alerts_with_a_common_key_at_once_one_is_stored(harness: &dyn StoreHarness) {
    const OFFERS: u32 = 32;
    let store = harness.fresh().await;
    let doors = doors(harness, &store, 2).await;
    let offers = (1..=OFFERS).zip(doors.into_iter().cycle()).map(|(n, store)| async move {
        let keys = vec![own_key(n), key("common", at(600))];
        (n, store.accept_alert(alert(n, 1), keys, at(1)).await.unwrap())
    });
    let answers = at_once(offers).await;
    let stored: Vec<_> =
        answers.iter().filter_map(|&(n, answer)| (answer == AlertAcceptance::Stored).then_some(n)).collect();
    let [winner] = stored[..] else {
        panic!("stored: {stored:?}");
    };
    let of = alert_id(winner);
    for (n, answer) in answers {
        assert!(n == winner || answer == AlertAcceptance::Duplicate { of }, "{n}: {answer:?}");
    }
    assert_eq!(store.count(Collection::Alerts).await, Ok(1));
    let losers_key = own_key(if winner == 1 { 2 } else { 1 });
    assert_eq!(store.find_duplicate(&[losers_key], at(2)).await, Ok(None));
}

pub async fn alerts_that_cross_their_keys_at_once_come_to_an_end(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    let doors = doors(harness, &store, 2).await;
    for round in 0..8 {
        let (a, b) = (key(&format!("a{round}"), at(600)), key(&format!("b{round}"), at(600)));
        let offers = doors.iter().cycle().take(8).enumerate().map(|(n, store)| {
            let store = Arc::clone(store);
            let mut keys = vec![a.clone(), b.clone()];
            if n % 2 == 1 {
                keys.reverse();
            }
            let n = round * 8 + u32::try_from(n).unwrap();
            async move { store.accept_alert(alert(n, 1), keys, at(1)).await.unwrap() }
        });
        let answers = at_once(offers).await;
        let stored = answers.iter().filter(|&&answer| answer == AlertAcceptance::Stored).count();
        assert_eq!(stored, 1, "{answers:?}");
    }
}

pub async fn the_place_in_the_order_grows_with_every_acceptance(harness: &dyn StoreHarness) {
    let mut store = harness.fresh().await;
    let mut last = 0;
    for n in 1..=9 {
        if n % 3 == 0 {
            store = harness.reopen(store).await;
        }
        // Ids that fall while the order rises, and duplicates between: neither may show in it.
        let kept = accept(&*store, alert(100 - n, 1)).await;
        assert!(kept.alertcast.seq.0 > last, "{} after {last}", kept.alertcast.seq.0);
        last = kept.alertcast.seq.0;
        let again = store.accept_alert(alert(200, 1), vec![own_key(100 - n)], at(1)).await;
        assert_eq!(again, Ok(AlertAcceptance::Duplicate { of: kept.id }));
    }
}

pub async fn alerts_accepted_at_once_have_places_of_their_own(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    let doors = doors(harness, &store, 2).await;
    let before = accept(&*store, alert(100, 1)).await.alertcast.seq.0;
    let offers = (1..=32).zip(doors.into_iter().cycle());
    let kept = at_once(offers.map(|(n, store)| async move { accept(&*store, alert(n, n % 4)).await })).await;
    // The order is one for each configuration.
    let config = |alert: &Alert| alert.processing.alert_config_id;
    let places: HashSet<_> = kept.iter().map(|alert| (config(alert), alert.alertcast.seq.0)).collect();
    assert_eq!(places.len(), 32);
    let later = kept.iter().filter(|alert| config(alert) == Some(config_id(1)));
    assert!(later.map(|alert| alert.alertcast.seq.0).all(|seq| seq > before));
}

pub async fn a_receipt_mark_divides_what_was_answered_from_what_comes(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    store.receipt_mark(config_id(1)).await.unwrap();
    let doors = doors(harness, &store, 2).await;
    // Each worker accepts, asks for the mark, accepts: the mark lies at or above the first and below the second, and
    // at or above whatever any worker was answered before.
    let workers = (0..8).zip(doors.into_iter().cycle()).map(|(worker, store)| async move {
        for round in 0..6 {
            let n = worker * 100 + round * 2;
            let first = accept(&*store, alert(n + 1, 1)).await.alertcast.seq.0;
            let mark = store.receipt_mark(config_id(1)).await.unwrap();
            let second = accept(&*store, alert(n + 2, 1)).await.alertcast.seq.0;
            assert!(first <= mark && mark < second, "{first} <= {mark} < {second}");
        }
    });
    at_once(workers).await;
    let highest = StoreDump::of(&*store).await.all::<Alert>(Collection::Alerts);
    let highest = highest.iter().map(|alert| alert.alertcast.seq.0).max();
    let store = harness.reopen(store).await;
    assert!(Some(store.receipt_mark(config_id(1)).await.unwrap()) >= highest);
}

pub async fn find_duplicate_names_who_holds_a_key_at_the_moment(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    let keys = vec![key("a", at(45)), key("b", at(600))];
    store.accept_alert(alert(1, 1), keys, at(1)).await.unwrap();
    let find = async |names: &[&str], now: i64| {
        let keys: Vec<_> = names.iter().map(|name| key(name, at(9_999))).collect();
        store.find_duplicate(&keys, at(now)).await.unwrap()
    };
    assert_eq!(find(&["a"], 44).await, Some(alert_id(1)));
    assert_eq!(find(&["a"], 45).await, None);
    assert_eq!(find(&["a", "b"], 45).await, Some(alert_id(1)));
    assert_eq!(find(&["x", "b"], 2).await, Some(alert_id(1)));
    assert_eq!(find(&["x"], 2).await, None);
    assert_eq!(find(&[], 2).await, None);
}

pub async fn recent_prices_are_those_of_entries_newest_first_and_at_most_eight(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    let offer = async |n: u32, config: u32, signal: Signal| {
        let mut offered = alert(n, config);
        offered.alert_data.signal = signal;
        offered.alert_data.price = price(f64::from(n));
        accept(&*store, offered).await;
    };
    // Received in another order than accepted.
    for n in [12, 3, 9, 4, 11, 5, 10, 6, 8, 7] {
        offer(n, 1, if n % 2 == 0 { Signal::Buy } else { Signal::Sell }).await;
    }
    offer(20, 1, Signal::TpHit).await;
    offer(21, 1, Signal::SlHit).await;
    offer(22, 2, Signal::Buy).await;
    let point = |n: u32| PricePoint { price: price(f64::from(n)), at: at(i64::from(n)), accepted: true };
    let all = store.recent_prices(config_id(1), at(-100)).await.unwrap();
    assert_eq!(all, [12, 11, 10, 9, 8, 7, 6, 5].map(point));
    let late = store.recent_prices(config_id(1), at(9)).await.unwrap();
    assert_eq!(late, [12, 11, 10, 9].map(point));
    assert_eq!(store.recent_prices(config_id(3), at(-100)).await, Ok(Vec::new()));
}

pub async fn recent_prices_are_the_newest_of_now_whatever_came_and_went(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    let beside = harness.beside(&store).await;
    let newest = async || {
        let points = store.recent_prices(config_id(1), at(-100)).await.unwrap();
        points.iter().map(|point| point.price.to_f64()).collect::<Vec<_>>()
    };
    let expected = |ns: &[u32]| ns.iter().map(|n| f64::from(*n)).collect::<Vec<_>>();
    let offer = async |by: &dyn Store, n: u32| {
        let mut offered = alert(n, 1);
        offered.alert_data.price = price(f64::from(n));
        accept(by, offered).await;
    };
    for n in [2, 3, 4, 5, 6, 7, 8, 9] {
        offer(&*store, n).await;
    }
    assert_eq!(newest().await, expected(&[9, 8, 7, 6, 5, 4, 3, 2]));
    // Others have accepted meanwhile: later, in between, and before all that was known.
    for n in [30, 1] {
        offer(&*beside, n).await;
    }
    assert_eq!(newest().await, expected(&[30, 9, 8, 7, 6, 5, 4, 3]));
    let delete = |n: u32| DocumentWrite::Delete { collection: Collection::Alerts, id: alert_id(n).0 };
    store.write(vec![delete(30), delete(5)]).await.unwrap();
    assert_eq!(newest().await, expected(&[9, 8, 7, 6, 4, 3, 2, 1]), "what had fallen out is among them again");
    offer(&*beside, 31).await;
    assert_eq!(newest().await, expected(&[31, 9, 8, 7, 6, 4, 3, 2]));
}

pub async fn recent_prices_have_of_the_refused_those_refused_only_for_their_price(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    scene.accept(1, 1).await;
    let refusals: [(u32, &[&str]); 4] =
        [(2, &["price_tolerance"]), (3, &["price_tolerance", "too_old"]), (4, &["too_old"]), (5, &["price_tolerance"])];
    for (n, codes) in refusals {
        scene.store.refuse_alert(refused_alert(n, 1, codes), Vec::new()).await.unwrap();
    }
    // One that was accepted, and failed later, was accepted.
    scene.accept(6, 1).await;
    let error =
        alertcast_core::alert::document::AlertError { message: "broken".to_owned(), timestamp: at(7), stack: None };
    let park = scene.store.record_failure(&scene.work, alert_id(6), error, true, Vec::new());
    park.await.unwrap();
    let points = scene.store.recent_prices(config_id(1), at(-100)).await.unwrap();
    let seen: Vec<_> = points.iter().map(|point| (point.at, point.accepted)).collect();
    assert_eq!(seen, [(at(6), true), (at(5), false), (at(2), false), (at(1), true)]);
}

pub async fn recent_prices_leave_out_what_is_no_price(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    for n in 1..=12 {
        scene.accept(n, 1).await;
    }
    // As an application may have left it.
    for (n, price) in [(3, f64::NAN), (10, f64::INFINITY), (12, 1e300)] {
        scene.store.write(vec![set(Collection::Alerts, alert_id(n), doc! { "alertData.price": price })]).await.unwrap();
    }
    for _ in 0..2 {
        let points = scene.store.recent_prices(config_id(1), at(-100)).await.unwrap();
        let seen: Vec<_> = points.iter().map(|point| point.at).collect();
        assert_eq!(seen, [11, 9, 8, 7, 6, 5, 4, 2].map(at));
    }
}

pub async fn a_refused_alert_is_kept_and_is_no_work(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    let mut offered = refused_alert(1, 1, &["too_old"]);
    store.refuse_alert(offered.clone(), Vec::new()).await.unwrap();
    let kept: Alert = one(&*store, Collection::Alerts, offered.id).await;
    offered.alertcast.seq = kept.alertcast.seq;
    assert_eq!(kept, offered);
    let partitions: Vec<i32> = (0..alertcast_core::store::PARTITIONS).collect();
    assert_eq!(store.pending_alerts(&partitions, &[], 10).await, Ok(Vec::new()));
    assert_eq!(store.count(Collection::IntakeKeys).await, Ok(0), "a refused alert claims no key");
}

pub async fn refusing_the_same_alert_again_changes_nothing(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    let offered = refused_alert(1, 1, &["too_old"]);
    store.refuse_alert(offered.clone(), vec![notice(1, 1)]).await.unwrap();
    let before = StoreDump::of(&*store).await;
    store.refuse_alert(offered, vec![notice(1, 1)]).await.unwrap();
    before.assert_same(&StoreDump::of(&*store).await);
}

pub async fn a_rejected_webhook_is_kept_once(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    let rejected = rejected_webhook(1);
    store.reject_webhook(rejected.clone(), vec![notice(1, 1)]).await.unwrap();
    let kept: RejectedWebhook = one(&*store, Collection::RejectedWebhooks, rejected.id).await;
    assert_eq!(kept, rejected);
    let before = StoreDump::of(&*store).await;
    store.reject_webhook(rejected, vec![notice(1, 1)]).await.unwrap();
    before.assert_same(&StoreDump::of(&*store).await);
}

pub async fn operators_hear_once_and_then_a_count(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    let refuse = async |n: u32| {
        let told = store.refuse_alert(refused_alert(n, 1, &["too_old"]), vec![notice(1, n)]).await;
        told.unwrap();
        operator_deliveries(&*store).await
    };
    assert_eq!(refuse(1).await, [operator(MessageKind::Operator, 1, 1)]);
    for (n, count) in [(2, 1), (3, 2)] {
        let told = refuse(n).await;
        assert_eq!(told.len(), 2);
        assert_eq!(told[0], operator(MessageKind::Operator, 1, 1));
        assert_eq!(told[1].id, operator(MessageKind::OperatorMore, 1, 2).id);
        assert_eq!(read_count(&told), Some(count), "after refusal {n}");
    }
    store.reject_webhook(rejected_webhook(1), vec![notice(1, 4)]).await.unwrap();
    assert_eq!(read_count(&operator_deliveries(&*store).await), Some(3));
    store.reject_webhook(rejected_webhook(2), vec![notice(2, 5)]).await.unwrap();
    assert_eq!(operator_deliveries(&*store).await.len(), 3, "another group is told of anew");
}

pub async fn a_count_that_has_left_is_not_raised_any_more(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    for n in 1..=2 {
        let told = store.refuse_alert(refused_alert(n, 1, &["too_old"]), vec![notice(1, n)]).await;
        told.unwrap();
    }
    let more = operator(MessageKind::OperatorMore, 1, 2).id;
    for state in [DeliveryState::Sending, DeliveryState::Sent] {
        let gone = set(Collection::Deliveries, more, doc! { "state": state });
        store.write(vec![gone]).await.unwrap();
        let before = StoreDump::of(&*store).await;
        let again = store.reject_webhook(rejected_webhook(state as u32), vec![notice(1, 9)]).await;
        again.unwrap();
        let after = StoreDump::of(&*store).await;
        assert_eq!(before.documents(Collection::Deliveries), after.documents(Collection::Deliveries));
    }
}

pub async fn refusals_at_once_are_all_counted(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    store.write(people(1, 1)).await.unwrap();
    let doors = doors(harness, &store, 2).await;
    let refusals = (1..=16).zip(doors.into_iter().cycle()).map(|(n, store)| async move {
        let told = store.refuse_alert(refused_alert(n, 1, &["too_old"]), vec![notice(1, n)]).await;
        told.unwrap();
    });
    at_once(refusals).await;
    let told = operator_deliveries(&*store).await;
    assert_eq!(told.len(), 2);
    assert_eq!(read_count(&told), Some(15));
    assert_eq!(store.count(Collection::Alerts).await, Ok(16));
}

pub async fn a_count_restored_from_a_backup_is_raised_whatever_number_it_is(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    let mut more = alertcast_core::store::document(&operator(MessageKind::OperatorMore, 1, 1)).unwrap();
    more.get_document_mut("facts").unwrap().insert("count", 4.0);
    let first = insert(Collection::Deliveries, &operator(MessageKind::Operator, 1, 1));
    let more = alertcast_core::store::DocumentWrite::Insert { collection: Collection::Deliveries, document: more };
    store.write(vec![first, more]).await.unwrap();
    store.reject_webhook(rejected_webhook(1), vec![notice(1, 2)]).await.unwrap();
    assert_eq!(read_count(&operator_deliveries(&*store).await), Some(5));
}

/// What is kept for the operators; the first word before the counts.
async fn operator_deliveries(store: &dyn Store) -> Vec<Delivery> {
    StoreDump::of(store).await.all(Collection::Deliveries)
}

fn read_count(deliveries: &[Delivery]) -> Option<i64> {
    deliveries.iter().find_map(|delivery| match delivery.facts {
        MessageFacts::OperatorMore { count: Count(count), .. } => Some(count),
        _ => None,
    })
}

pub(super) fn rejected_webhook(n: u32) -> RejectedWebhook {
    RejectedWebhook {
        id: oid(14, 0, n),
        received_at: at(i64::from(n)),
        ip_address: None,
        body: "buy now".to_owned(),
        query: String::new(),
        errors: vec!["symbol: is missing".to_owned()],
        status: 422,
    }
}
