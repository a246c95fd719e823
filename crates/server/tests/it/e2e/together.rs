//! Alerts of one configuration that wait together are planned on what those before come to, and committed together; the
//! chunks of one alert are planned one ahead. What comes of it is what comes of them one by one.

use alertcast_core::alert::document::AlertStatus;
use alertcast_core::alert_configuration::AlertConfiguration;
use alertcast_core::fixtures::{self, config_id, price, user_id};
use alertcast_core::money::Count;
use alertcast_core::store::{Collection, DocumentWrite, document};
use alertcast_core::trade::document::TradeStatus::{Closed, Open};
use serde_json::Value;

use super::{buy, sell, small_world, states, tp_hit, trades};
use crate::harness::app::START;
use crate::harness::post::with;
use crate::harness::{App, Books, TestPeople};

/// Two trades at once, of either side.
fn world() -> TestPeople {
    let limited = |config: &mut AlertConfiguration| config.trade_management.max_open_trades = Count(2);
    TestPeople::at(START).config(1, limited).plan(1, &[1], |_| {}).users(1..=4, 1)
}

/// Entries, exits and replacements, in the order of their own times.
fn alerts() -> Vec<Value> {
    let bodies =
        [buy(100.0), buy(101.0), tp_hit(110.0), buy(102.0), buy(103.0), sell(104.0), tp_hit(113.0), buy(105.0)];
    let timed =
        |(n, body): (i64, Value)| with(body, serde_json::json!({ "time": START.millis() - 60_000 + n * 1_000 }));
    (0..).zip(bodies).map(timed).collect()
}

/// Posts alerts while the processor waits for a request under way: it finds all of them by one look.
async fn accept_together(app: &mut App, bodies: Vec<Value>) {
    let ticket = app.parts.in_flight.enter();
    for body in bodies {
        app.accept(body).await;
    }
    drop(ticket);
}

/// What was decided and what became of it, without ids and moments.
fn come_to(books: &Books) -> Vec<String> {
    let mut told = Vec::new();
    for user in (1..=4).map(user_id) {
        for trade in books.trades_of(user, config_id(1)) {
            let (data, entry) = (&trade.trade_data, trade.alerts.entry_alert_id.map(|alert| &books.alerts[&alert]));
            let exit = trade.alerts.exit_alert_id.map(|alert| books.alerts[&alert].alert_data.price);
            told.push(format!(
                "{user} #{} {data:?} {} {:?} {:?} {exit:?} {:?}",
                trade.trade_number.0,
                trade.status,
                trade.pnl,
                entry.map(|alert| alert.alert_data.price),
                trade.alertcast.decimals,
            ));
        }
        let quota = books.quotas.get(&user).map(|quota| (quota.rev, quota.day_entries));
        told.push(format!("{user} {quota:?}"));
    }
    let mut decided: Vec<String> = Vec::new();
    for alert in books.alerts.values() {
        let all: Vec<String> =
            books.decided(alert.id).map(|one| format!("{} {}", one.verdict, one.actions.len())).collect();
        decided.push(format!("{:?} {all:?}", alert.alert_data.price));
    }
    decided.sort();
    let statistics = |config: &AlertConfiguration| {
        let counted = &config.statistics;
        format!("{:?} {:?} {:?}", counted.total_alerts, counted.total_trades, counted.success_rate)
    };
    told.extend(decided);
    told.extend(books.configs.values().map(statistics));
    told
}

#[tokio::test]
async fn alerts_that_wait_together_come_to_what_they_come_to_one_by_one() {
    let mut together = App::start(world()).await;
    accept_together(&mut together, alerts()).await;
    together.quiet().await;
    let commits = together.gate.commits();
    let mut one_by_one = App::start(world()).await;
    for body in alerts() {
        one_by_one.done(body).await;
    }
    assert_eq!(one_by_one.gate.commits(), [1; 8]);
    assert_eq!(commits, [8], "all by one commit");
    assert_eq!(come_to(&together.finish().await), come_to(&one_by_one.finish().await));
}

#[tokio::test]
async fn an_alert_that_fails_among_others_is_tried_alone_and_those_behind_it_wait_for_it() {
    let mut app = App::prepare(small_world()).await;
    for n in 1..=5 {
        let mut waiting = fixtures::alert(n, 1);
        (waiting.webhook.received_at, waiting.alert_data.price) = (START, price(100.0 + f64::from(n)));
        waiting.alertcast.intent = Some(match n {
            3 => bson::doc! { "kind": "nonsense" },
            _ => bson::doc! { "kind": "entry", "side": "BUY" },
        });
        let keys = vec![fixtures::key(&format!("waiting {n}"), alertcast_core::time::Time::from_millis(i64::MAX))];
        app.store.accept_alert(waiting, keys, START).await.unwrap();
    }
    let broken = fixtures::alert_id(3);
    app.allow.parked.push(broken);
    app.run().await;
    app.quiet().await;
    assert_eq!(app.gate.commits(), [2, 2]);
    let books = app.finish().await;
    assert_eq!(books.alerts[&broken].processing.status, AlertStatus::Failed);
    for n in 1..=3 {
        let entries: Vec<_> = trades(&books, n).iter().map(|trade| trade.trade_data.entry_price).collect();
        assert_eq!(entries, [101.0, 102.0, 104.0, 105.0].map(price));
    }
}

/// An open trade of a user.
fn trade_of(user: u32) -> DocumentWrite {
    let trade = fixtures::trade(99, 1, user, 1, &[]);
    DocumentWrite::Insert { collection: Collection::Trades, document: document(&trade).unwrap() }
}

fn close_by_hand(user: u32) -> DocumentWrite {
    let set = bson::doc! { "status": "closed", "tradeData.exitReason": "MANUAL", "alertcast.rev": 2 };
    let id = fixtures::trade_id(99, user).0;
    DocumentWrite::Update { collection: Collection::Trades, id, set, unset: Vec::new(), expect: Vec::new() }
}

#[tokio::test]
async fn of_alerts_that_wait_together_one_whose_trades_change_is_planned_anew_with_those_behind_it() {
    let mut app = App::start(small_world().plan(2, &[], |_| {}).user(4, 2, |_| {})).await;
    // User 4 holds a trade, and is no candidate: it concerns the exit alone.
    app.store.write(vec![trade_of(4)]).await.unwrap();
    app.gate.meddle_before(0, vec![close_by_hand(4)]);
    accept_together(&mut app, vec![buy(100.0), buy(101.0), tp_hit(120.0), buy(102.0)]).await;
    app.quiet().await;
    assert_eq!(app.gate.commits(), [4, 2], "the exit and what came behind it were planned anew");
    let books = app.books().await;
    for n in 1..=3 {
        assert_eq!(states(&books, n).len(), 3);
    }
    let by_hand = &trades(&books, 4)[0];
    assert_eq!((by_hand.status, by_hand.alerts.exit_alert_id), (Closed, None), "the exit came too late for it");
    app.stop_without_books().await;
}

#[tokio::test]
async fn a_chunk_that_was_planned_ahead_of_a_conflict_is_planned_anew() {
    let world = TestPeople::at(START).config(1, |_| {}).plan(1, &[1], |_| {}).users(1..=1_200, 1);
    let mut app = App::start(world).await;
    // By the time that the second chunk is committed, somebody in it has a trade, and the third is planned.
    app.gate.meddle_before(1, vec![trade_of(700)]);
    app.done(buy(100.0)).await;
    assert_eq!(app.gate.commits(), [1; 4], "the second twice");
    let books = app.books().await;
    for n in [1, 500, 501, 1_000, 1_001, 1_200] {
        assert_eq!(states(&books, n), [Open]);
    }
    let numbers: Vec<i64> = trades(&books, 700).iter().map(|trade| trade.trade_number.0).collect();
    assert_eq!(numbers, [1, 2], "what others opened is counted on");
    app.stop_without_books().await;
}
