//! Random interleavings of alerts, queues, retries and limits, through the whole program: whatever a subscriber reads is
//! true in the order in which they read it. What must hold of the chats stands in the harness's model (`reading`), which
//! is held against every test here.

use std::num::NonZeroU32;
use std::time::Duration;

use alertcast::operator::{Actor, OperatorAction, close_trade};
use alertcast_conformance::random::RandomSequence;
use alertcast_core::admin::Permissions;
use alertcast_core::fixtures::{admin_id, config_id, price, user_id};
use alertcast_core::id::TradeId;
use alertcast_core::trade::document::TradeStatus;
use serde_json::{Value, json};
use telegram_sim::{FaultAction, FreezeScope, InjectedFault};

use super::{buy, sell, tp_hit};
use crate::harness::app::START;
use crate::harness::post::{alert, with};
use crate::harness::{App, TestPeople, chat};

const USERS: u32 = 5;

/// One configuration in which so many trades are open at once, and its subscribers.
fn world(open: i64, users: u32) -> TestPeople {
    let limited = |config: &mut alertcast_core::alert_configuration::AlertConfiguration| {
        config.trade_management.max_open_trades = alertcast_core::money::Count(open);
    };
    TestPeople::at(START).config(1, limited).plan(1, &[1], |_| {}).users(1..=users, 1)
}

async fn start(world: TestPeople, per_second: u32) -> App {
    App::start_with(world, |settings| {
        settings.telegram.limits.bot_per_second = NonZeroU32::new(per_second).unwrap();
    })
    .await
}

async fn pass(app: &App, time: Duration) {
    let until = app.clock_now() + time;
    app.until("time has passed", || app.clock_now() >= until).await;
}

/// An order that led from one position to another.
fn order(action: &str, at: f64, from: (&str, u32), to: (&str, u32)) -> Value {
    let positions = json!({
        "prev_market_position": from.0, "prev_market_position_size": from.1,
        "market_position": to.0, "market_position_size": to.1,
    });
    with(alert(1, action, at), positions)
}

fn random_alert(sequence: &mut RandomSequence) -> Value {
    let at = 100.0 + f64::from(sequence.below(3));
    match sequence.below(10) {
        0..=3 => buy(at),
        4 => sell(at),
        5..=6 => tp_hit(at * 1.1),
        7 => order("sell", at, ("long", 2), ("long", 1)),
        8 => order("sell", at, ("long", 1), ("flat", 0)),
        _ => order("sell", at, ("long", 1), ("short", 1)),
    }
}

/// Something that goes wrong for a while with one chat, or with all.
fn random_fault(sequence: &mut RandomSequence) -> InjectedFault {
    let action = match sequence.below(6) {
        0 => FaultAction::TooManyRequests { retry_after: 1 + sequence.below(4), scope: FreezeScope::Chat },
        1 => FaultAction::TooManyRequests { retry_after: 1 + sequence.below(3), scope: FreezeScope::Bot },
        2 => FaultAction::ErrorBefore { status: 502 },
        3 => FaultAction::ErrorAfter { status: 502 },
        4 => FaultAction::DropBefore,
        _ => FaultAction::DropAfter,
    };
    let fault = InjectedFault::new(action).times(1 + sequence.below(3));
    if sequence.one_in(3) { fault } else { fault.chat(chat(1 + sequence.below(USERS))) }
}

async fn close_one(app: &App, sequence: &mut RandomSequence) {
    let books = app.books().await;
    let open = books.trades.values().filter(|trade| trade.status == TradeStatus::Open).map(|trade| trade.id);
    let open: Vec<TradeId> = open.collect();
    let Some(trade) = sequence.pick(&open) else { return };
    let who = Actor {
        admin_id: admin_id(1),
        username: "asha".to_owned(),
        token: None,
        ip: None,
        permissions: Permissions::ALL,
    };
    let act = OperatorAction { who, reason: None, seen: None, also: Vec::new() };
    // An alert may have been quicker.
    let _ = close_trade(&app.parts, &act, *trade, price(103.0), None).await;
}

async fn play(seed: u64) {
    let mut sequence = RandomSequence::new(seed);
    let (open, per_second) = (1 + i64::from(sequence.below(3)), 1 + sequence.below(4));
    let mut app = start(world(open, USERS), per_second).await;
    for _ in 0..14 {
        if sequence.one_in(3) {
            app.sim.inject_fault(random_fault(&mut sequence));
        }
        if sequence.one_in(6) {
            close_one(&app, &mut sequence).await;
        } else {
            app.accept(random_alert(&mut sequence)).await;
        }
        pass(&app, Duration::from_millis(u64::from(sequence.below(4_000)))).await;
    }
    app.finish().await;
}

#[tokio::test]
async fn nobody_reads_an_entry_after_its_end_1() {
    play(1).await;
}

#[tokio::test]
async fn nobody_reads_an_entry_after_its_end_2() {
    play(2).await;
}

#[tokio::test]
async fn nobody_reads_an_entry_after_its_end_3() {
    play(3).await;
}

#[tokio::test]
async fn nobody_reads_an_entry_after_its_end_4() {
    play(4).await;
}

#[tokio::test]
async fn nobody_reads_an_entry_after_its_end_5() {
    play(5).await;
}

#[tokio::test]
async fn nobody_reads_an_entry_after_its_end_6() {
    play(6).await;
}

/// Two messages a second, twenty subscribers; four seconds after a BUY comes one that replaces it, two seconds later the
/// take profit.
#[tokio::test]
async fn a_take_profit_amid_two_long_queues_leaves_no_dead_entry_behind() {
    let mut app = start(world(1, 20), 2).await;
    app.accept(buy(100.0)).await;
    pass(&app, Duration::from_secs(4)).await;
    app.accept(buy(101.0)).await;
    pass(&app, Duration::from_secs(2)).await;
    app.accept(tp_hit(112.0)).await;
    app.quiet().await;
    let books = app.books().await;
    for n in 1..=20 {
        let last = app.last_text(n);
        assert!(last.contains("TAKE PROFIT HIT") && last.contains("trade #2"), "{n}: {last}");
        assert_eq!(books.trades_of(user_id(n), config_id(1)).len(), 2);
    }
    app.finish().await;
}

/// Three entries, each in the place of the one before, while nothing goes out; then the exit.
#[tokio::test]
async fn a_chain_of_replacements_that_nobody_saw_is_told_in_one_message() {
    let mut app = start(world(1, 3), 30).await;
    let away = app
        .sim
        .inject_fault(InjectedFault::new(FaultAction::TooManyRequests { retry_after: 2, scope: FreezeScope::Bot }));
    for at in [100.0, 101.0, 102.0] {
        app.accept(buy(at)).await;
        pass(&app, Duration::from_secs(1)).await;
    }
    app.accept(tp_hit(115.0)).await;
    pass(&app, Duration::from_secs(1)).await;
    app.sim.remove_fault(away);
    app.quiet().await;
    for n in 1..=3 {
        let messages = app.messages(n);
        assert_eq!(messages.len(), 1, "{messages:?}");
        let text = &messages[0].plain;
        assert!(text.contains("trade #3") && text.contains("Over before its entry could be sent"), "{text}");
        assert!(!text.contains("#1") && !text.contains("#2"), "{text}");
    }
    app.finish().await;
}
