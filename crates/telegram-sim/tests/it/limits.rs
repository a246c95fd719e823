//! The limits over HTTP, on a clock that the test moves.

use serde_json::json;
use telegram_sim::{ChatKind, FaultAction, FreezeScope, LimitCause, RowKind, SimConfig, SimLimits};

use crate::support::{BOT, Bench};

#[tokio::test]
async fn two_messages_to_a_chat_within_a_second_are_one_too_many() {
    let bench = Bench::new().await;
    bench.send(7, "one").await.ok();
    bench.advance(400);
    let answer = bench.send(7, "two").await;
    assert_eq!(answer.body["parameters"], json!({ "retry_after": 1 }));
    assert_eq!(answer.error(), (429, "Too Many Requests: retry after 1".to_owned()));
    bench.advance(999);
    assert_eq!(bench.send(7, "two").await.error().0, 429);
    bench.advance(1);
    bench.send(7, "two").await.ok();
    bench.advance(920);
    bench.send(7, "three, a little early").await.ok();
    let stats = bench.sim.stats();
    assert_eq!((stats.messages, stats.limited_chat, stats.limited_while_frozen), (3, 2, 1));
}

#[tokio::test]
async fn the_thirty_first_message_at_once_freezes_the_whole_bot_for_a_second() {
    let bench = Bench::with(SimConfig::default().bot("202:second")).await;
    for chat in 1..=30 {
        bench.send(chat, "x").await.ok();
    }
    assert_eq!(bench.send(31, "x").await.error().0, 429);
    bench.advance(500);
    assert_eq!(bench.send(32, "frozen, though the bucket has room").await.error().0, 429);
    let elsewhere = json!({ "chat_id": 31, "text": "another bot" });
    bench.try_call("202:second", "sendMessage", elsewhere).await.unwrap().ok();
    bench.advance(500);
    bench.send(31, "x").await.ok();
    let stats = bench.sim.stats();
    assert_eq!((stats.limited_bot, stats.limited_while_frozen, stats.count_limited()), (2, 1, 2));
}

#[tokio::test]
async fn a_group_takes_twenty_a_minute() {
    let bench = Bench::new().await;
    bench.sim.start_chat_as(BOT, -50, ChatKind::Group, None);
    for _ in 0..20 {
        bench.send(-50, "x").await.ok();
        bench.advance(1_000);
    }
    // 20 seconds refilled 6 of the 20.
    for _ in 0..6 {
        bench.send(-50, "x").await.ok();
        bench.advance(1_000);
    }
    let mut admitted = 0;
    for _ in 0..60 {
        admitted += i32::from(bench.send(-50, "x").await.status == 200);
        bench.advance(1_000);
    }
    assert!((18..=22).contains(&admitted), "{admitted} in a minute");
    assert!(bench.sim.stats().limited_group > 0);
}

#[tokio::test]
async fn edits_count_as_messages_do() {
    let bench = Bench::new().await;
    bench.send(7, "one").await.ok();
    let edit = json!({ "chat_id": 7, "message_id": 1, "text": "two" });
    assert_eq!(bench.call("editMessageText", edit.clone()).await.error().0, 429);
    bench.advance(1_000);
    bench.call("editMessageText", edit).await.ok();
    assert_eq!(bench.send(7, "three").await.error().0, 429);
}

#[tokio::test]
async fn what_is_refused_for_another_reason_costs_nothing() {
    let bench = Bench::new().await;
    bench.send_html(7, "<b>").await.error();
    bench.send(7, "plain").await.ok();
}

#[tokio::test]
async fn limits_can_be_set_and_switched_off() {
    let bench = Bench::with(SimConfig::default().limits(SimLimits::default().with_bot_rate(2))).await;
    bench.send(1, "x").await.ok();
    bench.send(2, "x").await.ok();
    assert_eq!(bench.send(3, "x").await.error().0, 429);
    bench.advance(1_000);
    bench.sim.set_limits(None);
    for _ in 0..50 {
        bench.send(1, "x").await.ok();
    }
}

#[tokio::test]
async fn an_injected_429_freezes_the_chat_or_the_bot_and_is_counted_apart() {
    let bench = Bench::with(SimConfig::default().no_limits()).await;
    let flood = |scope| FaultAction::TooManyRequests { retry_after: 5, scope };
    bench.sim.inject_fault(telegram_sim::InjectedFault::new(flood(FreezeScope::Chat)).chat(7).times(1));
    assert_eq!(bench.send(7, "x").await.error(), (429, "Too Many Requests: retry after 5".to_owned()));
    bench.send(8, "x").await.ok();
    bench.advance(3_500);
    assert_eq!(bench.send(7, "too soon").await.error(), (429, "Too Many Requests: retry after 2".to_owned()));
    bench.advance(1_500);
    bench.send(7, "x").await.ok();
    bench.sim.inject_fault(telegram_sim::InjectedFault::new(flood(FreezeScope::Bot)).times(1));
    assert_eq!(bench.send(7, "x").await.error().0, 429);
    assert_eq!(bench.send(8, "x").await.error().0, 429);
    let stats = bench.sim.stats();
    assert_eq!((stats.count_limited(), stats.limited_injected, stats.limited_while_frozen), (0, 4, 2));
    let refused = bench.sim.transcript(Some(7), 0, 100).into_iter().filter(|row| row.kind == RowKind::Refused);
    assert!(refused.clone().count() == 3 && refused.clone().all(|row| row.outcome.limit == Some(LimitCause::Injected)));
}
