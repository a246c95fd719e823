//! A rehearsal comes to what the running program came to with the same alerts.

use std::collections::BTreeMap;
use std::time::Duration;

use alertcast::clock::Clock as _;
use alertcast::replay::{RecordedRequest, ReplayOptions, ReplayReport, rehearse};
use alertcast_core::alert_configuration::ConfigStatus;
use alertcast_core::decision::Verdict;
use alertcast_core::delivery::{Delivery, MessageKind};
use alertcast_core::figures;
use alertcast_core::fixtures::{config_id, user_id};
use alertcast_core::id::UserId;
use alertcast_core::limiter::SendLimits;
use alertcast_core::matching::job::MessageChannels;
use alertcast_core::money::Count;
use alertcast_core::trade::document::TradeStatus;
use alertcast_core::user::RiskLevel;
use rust_decimal::Decimal;
use serde_json::{Value, json};

use crate::harness::app::START;
use crate::harness::post::{alert, with};
use crate::harness::{App, Books, TestPeople};

const HOUR: Duration = Duration::from_secs(60 * 60);

/// Two plans, and somebody for every reason to get something else.
fn world() -> TestPeople {
    TestPeople::at(START)
        .config(1, |config| config.trade_management.max_open_trades = Count(2))
        .config(2, |_| {})
        .plan(1, &[1, 2], |_| {})
        .plan(2, &[1], |plan| plan.features.max_open_trades = Count(1))
        .user(1, 1, |_| {})
        .user(2, 1, |user| user.preferences.trading.risk_level = RiskLevel::Low)
        .user(3, 2, |_| {})
        .user(4, 2, |_| {})
        .user(5, 1, |user| user.preferences.trading.max_daily_alerts = alertcast_core::money::Count(1))
        .preference(1, 4, |wanted| wanted.preferences.alert_types.replacement = false)
        .subscription(9, 5, 2, |held| held.subscription.end_date = Some(START - HOUR))
}

/// The demonstration's alerts, and some more: entries, replacements, exits of every kind, refusals, a resend.
fn script() -> Vec<Value> {
    let buy = |price: f64| with(alert(1, "BUY", price), json!({ "tp": price * 1.03, "sl": price * 0.98 }));
    let position = |action: &str, price: f64, from: &str, to: &str| {
        with(alert(2, action, price), json!({ "prev_market_position": from, "market_position": to }))
    };
    vec![
        buy(100.0),
        buy(101.0),
        with(alert(1, "SELL", 101.0), json!({ "tp": 103.0, "sl": 100.0 })),
        with(buy(102.0), json!({ "risk": "high" })),
        alert(1, "TP_HIT", 105.1),
        position("buy", 50.0, "flat", "long"),
        position("sell", 52.0, "long", "short"),
        position("buy", 53.0, "short", "flat"),
        alert(1, "SL_HIT", 97.0),
        buy(98.0),
        alert(7, "BUY", 1.0),
        // Nobody holds what this would end.
        alert(2, "SL_HIT", 40.0),
    ]
}

fn options(app: &App) -> ReplayOptions {
    ReplayOptions {
        outlets: MessageChannels { default_bot: Some("101".to_owned()), mail_shards: 0, entry_deadline: None },
        limits: SendLimits {
            bot_per_second: 30.try_into().unwrap(),
            chat_per_second: 1.try_into().unwrap(),
            group_per_minute: 20.try_into().unwrap(),
        },
        now: app.clock.now(),
        from: None,
        to: None,
        config: None,
        user: None,
    }
}

/// Every way out, told well and badly: without a price, at a loss, far off, at each target, of a part, turned round, and
/// in a configuration that is in testing.
fn exits() -> Vec<Value> {
    let with_targets = |price: f64| with(alert(1, "BUY", price), json!({ "tp": 110, "tp2": 120.123456789, "sl": 95 }));
    let position = |action: &str, price: f64, from: &str, to: &str, more: Value| {
        let moved = json!({ "prev_market_position": from, "market_position": to });
        with(with(alert(2, action, price), moved), more)
    };
    vec![
        with_targets(100.0),
        alert(1, "TP1", 110.0),
        alert(1, "TP2", 0.0),
        alert(1, "BUY", 100.25),
        alert(1, "TP_HIT", 0.0),
        alert(1, "TP_HIT", 90.125),
        with(with_targets(100.0), json!({ "alert_id": "same" })),
        with(with_targets(101.0), json!({ "alert_id": "same" })),
        with(alert(1, "SL_HIT", 9.5), json!({ "trade_id": "unknown" })),
        position("buy", 50.0, "flat", "long", json!({})),
        position("sell", 51.0, "long", "long", json!({})),
        position("sell", 52.0, "long", "short", json!({ "tp": 60, "comment": "TP" })),
        position("sell", 49.123456, "flat", "short", json!({ "quantity": 2.5, "sl": 52 })),
        position("buy", 0.0, "short", "flat", json!({ "comment": "SL" })),
        position("buy", 0.0, "short", "flat", json!({})),
        alert(3, "BUY", 10.0),
        alert(3, "TP_HIT", 11.0),
    ]
}

/// What became of one user's trades, as a replay tells it.
fn story_of(books: &Books, user: UserId) -> Vec<String> {
    let mut lines = Vec::new();
    for trade in books.trades.values().filter(|trade| trade.user_id == user) {
        let (data, number, currency) = (&trade.trade_data, trade.trade_number.0, &trade.pnl.currency);
        let decimals = trade.alertcast.decimals.map(|decimals| u32::try_from(decimals.0).unwrap());
        let shown = |price| figures::price(price, decimals, currency);
        lines.push(format!("trade #{number} opens: {} at {}", data.signal, shown(data.entry_price)));
        if let (Some(exit), Some(reason), Some(pnl)) = (data.exit_price, data.exit_reason, trade.pnl.percentage) {
            let apart = decimals.map(|decimals| figures::telling_apart(decimals, &[exit, data.entry_price]));
            let (exit, pnl) = (figures::price(exit, apart, currency), figures::percent(pnl.get()));
            lines.push(format!("trade #{number} ends at {exit}: {reason}, {pnl}"));
        }
    }
    lines.sort();
    lines
}

#[tokio::test]
async fn every_way_out_comes_to_what_the_running_program_made_of_it() {
    let world =
        world().config(3, |config| config.status = ConfigStatus::Testing).plan(3, &[3], |_| {}).user(6, 3, |_| {});
    let mut app = App::start(world).await;
    let recorded = played(&mut app, exits()).await;
    let audience = app.parts.audience.with(Clone::clone);
    let all = options(&app);
    let report = rehearse(&audience, &recorded, &all).unwrap();
    let books = app.finish().await;
    assert_same(&report, &books);
    let refused = books.alerts.values().filter(|alert| !alert.alertcast.refused_for.is_empty()).count();
    assert_eq!((report.alerts.accepted, report.alerts.refused), (books.alerts.len() - refused, refused));
    let mut ended = 0;
    for user in (1..=6).map(user_id) {
        let options = ReplayOptions { user: Some(user), ..all.clone() };
        let story = rehearse(&audience, &recorded, &options).unwrap().user.unwrap();
        let mut lines: Vec<String> = story.lines.into_iter().flat_map(|line| line.trades).collect();
        lines.sort();
        assert_eq!(lines, story_of(&books, user), "{user}");
        ended += lines.iter().filter(|line| line.contains(" ends at ")).count();
    }
    assert!(ended > 10, "{report:#?}");
    let kinds: Vec<&str> = report.remarks.iter().map(|remark| remark.rule.as_str()).collect();
    for kind in ["left_open", "take_profit_at_a_loss", "far_off"] {
        assert!(kinds.contains(&kind), "{kind}: {kinds:?}");
        let told = books.alerts.values().flat_map(|alert| &alert.processing.errors);
        assert!(told.clone().any(|error| error.message.starts_with(kind)), "{kind}");
    }
}

/// Plays a script in the running program; what was recorded of it, with its first alert sent again.
async fn played(app: &mut App, script: Vec<Value>) -> Vec<RecordedRequest> {
    let mut recorded = Vec::new();
    for body in script {
        let body = app.named(body);
        let record = |app: &App| RecordedRequest {
            line: recorded.len() as u64 + 1,
            received_at: Some(app.clock.now()),
            query: String::new(),
            body: body.to_string().into_bytes(),
        };
        let one = record(app);
        let reply = app.post(&body).await;
        if reply.status == 202 {
            app.note(&body, reply.alert().unwrap());
            app.quiet().await;
        }
        recorded.push(one);
        app.advance(HOUR);
    }
    // The first once more, as TradingView resends it.
    let again = RecordedRequest { line: 99, received_at: Some(app.clock.now()), ..recorded[0].clone() };
    let reply = app.sender().text(String::from_utf8(again.body.clone()).unwrap()).await.unwrap();
    assert_eq!(reply.status, 200, "{}", reply.body);
    recorded.push(again);
    // Without a time of its own it may be another alert with the same id, hours later: told beside the answer.
    let sent: Value = serde_json::from_slice(&recorded[0].body).unwrap();
    let id = sent["alert_id"].as_str().unwrap();
    let is_told = |text: &String| text.contains("taken for resends") && text.contains(id);
    app.until("the operators are told", || app.operator_texts().iter().any(is_told)).await;
    app.quiet().await;
    recorded
}

fn verdicts(books: &Books, config: u32) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    for (alert, chunks) in &books.decisions {
        if books.alerts[alert].processing.alert_config_id == Some(config_id(config)) {
            for decision in chunks.iter().flat_map(|chunk| &chunk.decisions) {
                *counts.entry(decision.verdict.as_str()).or_default() += 1;
            }
        }
    }
    counts
}

#[track_caller]
fn assert_same(report: &ReplayReport, books: &Books) {
    let count = |status: TradeStatus| books.trades.values().filter(|trade| trade.status == status).count();
    let trades = &report.trades;
    assert_eq!(trades.opened, books.trades.len());
    assert_eq!(
        (trades.replaced, trades.still_open, trades.count_ended()),
        (
            count(TradeStatus::Replaced),
            count(TradeStatus::Open),
            count(TradeStatus::Replaced) + count(TradeStatus::Closed)
        )
    );
    let mut closed = BTreeMap::<&str, usize>::new();
    for trade in books.trades.values().filter(|trade| trade.status == TradeStatus::Closed) {
        *closed.entry(trade.trade_data.exit_reason.unwrap().as_str()).or_default() += 1;
    }
    assert_eq!(trades.closed, closed);
    let pnl: Decimal = books.trades.values().filter_map(|trade| trade.pnl.percentage).map(|pnl| pnl.get()).sum();
    assert!((trades.pnl_percent - alertcast_core::money::Amount::new(pnl).unwrap().to_f64()).abs() < 0.001);
    for (config, report) in (1..).zip(&report.configurations) {
        assert_eq!(report.id, config_id(config).to_string());
        assert_eq!(report.verdicts, verdicts(books, config), "configuration {config}");
    }
    let told = |delivery: &&Delivery| delivery.user_id.is_some() && delivery.kind != MessageKind::Result;
    let told = books.deliveries.values().filter(told).count();
    assert_eq!(report.sending.iter().map(|lane| lane.messages).sum::<usize>(), told);
}

#[tokio::test]
async fn the_same_alerts_come_to_the_same_trades_decisions_and_messages() {
    let mut app = App::start(world()).await;
    let recorded = played(&mut app, script()).await;
    let audience = app.parts.audience.with(Clone::clone);
    let report = rehearse(&audience, &recorded, &options(&app)).unwrap();
    let books = app.finish().await;
    assert_same(&report, &books);
    let alerts = &report.alerts;
    assert_eq!((alerts.read, alerts.accepted, alerts.duplicates, alerts.refused), (13, books.alerts.len() - 2, 1, 2));
    let refused: Vec<_> = report.refused.iter().map(|one| (one.rule.as_str(), one.lines.as_slice())).collect();
    assert_eq!(refused[..1], [("configuration unknown_configuration", &[11_u64][..])]);
    assert!(refused.contains(&("tp tp_side", &[3])), "{refused:?}");
    let resent: Vec<_> = report.resends.iter().map(|one| (one.rule.as_str(), one.lines.as_slice())).collect();
    assert_eq!(resent, [("same_alert_id", &[99_u64][..])], "hours later only its name tells it");
    // Nothing of this is true of an idle run.
    assert!(
        report.trades.replaced > 0 && report.trades.still_open > 0 && report.trades.closed.len() == 2,
        "{report:#?}"
    );
    let verdicts = &report.configurations[0].verdicts;
    for verdict in [Verdict::Sent, Verdict::RiskTooHigh, Verdict::DailyLimit, Verdict::ReplacementMuted] {
        assert!(verdicts.contains_key(verdict.as_str()), "{verdict}: {verdicts:?}");
    }
}

#[tokio::test]
async fn a_part_of_the_alerts_or_one_subscriber_can_be_looked_at() {
    let mut app = App::start(world()).await;
    let recorded = played(&mut app, script()).await;
    let audience = app.parts.audience.with(Clone::clone);
    let all = options(&app);
    let of_two = ReplayOptions { config: Some(config_id(2)), ..all.clone() };
    let report = rehearse(&audience, &recorded, &of_two).unwrap();
    assert_eq!((report.alerts.accepted, report.alerts.left_out), (4, 9));
    assert_eq!(report.configurations.len(), 1);
    let (from, to) = (recorded[5].received_at, recorded[8].received_at);
    let report = rehearse(&audience, &recorded, &ReplayOptions { from, to, ..all.clone() }).unwrap();
    assert_eq!((report.alerts.accepted, report.alerts.left_out), (3, 10));
    let report = rehearse(&audience, &recorded, &ReplayOptions { user: Some(user_id(4)), ..all }).unwrap();
    let story = report.user.unwrap().lines;
    let told: Vec<_> = story.iter().take(3).map(|line| (line.line, line.verdict, line.trades.join("; "))).collect();
    assert_eq!(told[0], (1, "sent", "trade #1 opens: BUY at 100".to_owned()));
    assert_eq!(told[1], (2, "replacement_muted", String::new()));
    assert!(story.iter().any(|line| line.trades.join("").contains("trade #1 ends at")), "{story:#?}");
    app.finish().await;
}

#[tokio::test]
async fn sending_takes_as_long_as_telegrams_limits_make_it() {
    let world = TestPeople::at(START).config(1, |_| {}).plan(1, &[1], |_| {}).users(1..=300, 1);
    let app = App::start(world).await;
    let audience = app.parts.audience.with(Clone::clone);
    let one = |line: u64, price: f64| RecordedRequest {
        line,
        received_at: Some(START),
        query: String::new(),
        body: alert(1, "BUY", price).to_string().into_bytes(),
    };
    let report = rehearse(&audience, &[one(1, 100.0)], &options(&app)).unwrap();
    let lane = &report.sending[0];
    assert_eq!((lane.lane.as_str(), lane.messages), ("tg:101", 300));
    let seconds = lane.worst.unwrap().seconds;
    assert!((10.0..10.2).contains(&seconds), "{seconds}");
    // A second alert at the same moment waits for the first.
    let report = rehearse(&audience, &[one(1, 100.0), one(2, 101.0)], &options(&app)).unwrap();
    let worst = report.sending[0].worst.unwrap();
    assert!(worst.line == 2 && (20.0..20.4).contains(&worst.seconds), "{worst:?}");
    app.finish().await;
}
