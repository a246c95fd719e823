//! What subscribers and operators read of an entry, a replacement, an exit and a refusal.

use std::time::Duration;

use alertcast_core::alert::document::AlertStatus;
use alertcast_core::alert_configuration::ConfigStatus;
use alertcast_core::decision::Verdict;
use alertcast_core::money::Count;
use alertcast_core::trade::document::TradeStatus::{Open, Replaced};
use serde_json::json;

use super::{buy, sell, small_world, states, tp_hit, verdict};
use crate::harness::post::{alert, with};
use crate::harness::{App, TestPeople, app::START};

/// One trade at a time.
fn single_trade_world() -> TestPeople {
    TestPeople::at(START)
        .config(1, |config| config.trade_management.max_open_trades = Count(1))
        .plan(1, &[1], |_| {})
        .users(1..=3, 1)
}

/// The text with what differs from run to run taken out.
fn without_ids(text: &str) -> String {
    let is_id = |word: &str| word.len() == 24 && word.bytes().all(|b| b.is_ascii_hexdigit());
    let line = |line: &str| {
        let words = line.split(' ').map(|word| if is_id(word) { "[id]" } else { word });
        words.collect::<Vec<_>>().join(" ")
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn an_entry_its_replacement_and_the_exit_reach_every_subscriber() {
    let mut app = App::start(single_trade_world()).await;
    app.done(buy(100.0)).await;
    insta::assert_snapshot!("entry", app.last_text(1));
    // The messages tell whole minutes.
    app.advance_to(Duration::from_secs(180 * 60 + 20));
    app.done(buy(102.5)).await;
    insta::assert_snapshot!("replacement", app.last_text(1));
    app.advance_to(Duration::from_secs(210 * 60 + 40));
    app.done(tp_hit(113.0)).await;
    insta::assert_snapshot!("exit", app.last_text(1));
    for n in 1..=3 {
        let messages = app.messages(n);
        assert_eq!(messages.len(), 3, "user {n}");
        assert_eq!(messages[2].reply_to, Some(messages[1].message_id), "an exit answers its entry");
        let edits: Vec<usize> = messages.iter().map(|message| message.edits.len()).collect();
        assert_eq!(edits, [1, 1, 0], "both entries have their results");
    }
    insta::assert_snapshot!("entry_with_result", app.messages(1)[0].show_text());
    insta::assert_snapshot!("replacement_with_result", app.messages(1)[1].show_text());
    assert_eq!(app.operator_texts(), Vec::<String>::new());
    app.finish().await;
}

/// A configuration and a plan for each of three users.
fn world_of_three_configurations() -> TestPeople {
    let world = (1..=3).fold(TestPeople::at(START), |world, n| world.config(n, |_| {}).plan(n, &[n], |_| {}));
    (1..=3).fold(world, |world, n| world.users(n..=n, n))
}

/// The clock stands still, so that nothing happens that only time brings about.
#[tokio::test]
async fn the_alerts_of_a_bar_close_are_told_as_they_are_committed() {
    let mut app = App::start(world_of_three_configurations()).await;
    // Everything is under its lease, and was looked at.
    app.done(with(alert(1, "BUY", 100.0), json!({ "tp": 110.0, "sl": 95.0 }))).await;
    for n in 2..=3 {
        app.accept(with(alert(n, "BUY", 100.0), json!({ "tp": 110.0, "sl": 95.0 }))).await;
        let mut looks = 0;
        while app.messages(n).is_empty() {
            looks += 1;
            assert!(looks < 5_000, "user {n} was told nothing while the clock stood");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
    app.finish().await;
}

#[tokio::test]
async fn a_refusal_tells_the_operators_what_to_change_and_the_same_again_is_counted() {
    let mut app = App::start(small_world()).await;
    let wrong = with(buy(100.0), json!({ "tp": 90.0 }));
    // Under names of their own: the same mistake, made again.
    let [first, second, third] = [(); 3].map(|()| app.named(wrong.clone()));
    let reply = app.post(&first).await;
    assert_eq!(reply.status, 422, "{}", reply.body);
    app.until("the operators hear of it", || app.operator_texts().len() == 1).await;
    insta::assert_snapshot!("refusal", without_ids(&app.operator_texts()[0]));
    for again in [second, third] {
        assert_eq!(app.post(&again).await.status, 422);
    }
    app.quiet().await;
    assert_eq!(app.operator_texts().len(), 1, "the same is not told again at once");
    app.advance(Duration::from_secs(5 * 60));
    app.until("the operators hear how often", || app.operator_texts().len() == 2).await;
    insta::assert_snapshot!("refusal_more", app.operator_texts()[1]);
    let books = app.finish().await;
    assert_eq!(books.alerts.len(), 3);
    assert!(books.alerts.values().all(|alert| alert.processing.status == AlertStatus::Failed));
    assert!(books.deliveries.values().all(|delivery| delivery.user_id.is_none()), "no subscriber hears of it");
}

#[tokio::test]
async fn a_request_that_is_no_alert_is_kept_and_told() {
    let app = App::start(small_world()).await;
    let reply = app.sender().text("Price crossed the moving average").await.unwrap();
    assert!((400..500).contains(&reply.status), "{reply:?}");
    app.until("the operators hear of it", || app.operator_texts().len() == 1).await;
    let books = app.finish().await;
    assert_eq!((books.rejected, books.alerts.len()), (1, 0));
}

#[tokio::test]
async fn a_resend_is_answered_with_the_first_alert_and_changes_nothing() {
    let mut app = App::start(small_world()).await;
    let body = app.named(buy(100.0));
    let first = app.accept(body.clone()).await;
    let while_at_it = app.post(&body).await;
    app.quiet().await;
    let afterwards = app.post(&body).await;
    for again in [while_at_it, afterwards] {
        assert_eq!((again.status, again.alert()), (200, Some(first)));
    }
    let books = app.finish().await;
    assert_eq!((books.alerts.len(), books.trades.len(), books.deliveries.len()), (1, 3, 3));
}

#[tokio::test]
async fn entries_open_trades_up_to_the_limit_and_then_replace_the_oldest_of_their_side() {
    let mut app = App::start(small_world()).await;
    for price in [100.0, 101.0, 102.0, 103.0] {
        app.done(buy(price)).await;
    }
    assert!(app.last_text(2).contains("trade #4, in place of #1"), "{}", app.last_text(2));
    let books = app.finish().await;
    for n in 1..=3 {
        assert_eq!(states(&books, n), [Replaced, Open, Open, Open]);
    }
}

#[tokio::test]
async fn an_opposite_entry_is_refused_where_one_side_excludes_the_other() {
    let world = TestPeople::at(START)
        .config(1, |config| config.trade_management.allow_opposite_signals = false)
        .plan(1, &[1], |_| {})
        .users(1..=2, 1);
    let mut app = App::start(world).await;
    app.done(buy(100.0)).await;
    let refused = app.done(sell(101.0)).await;
    let books = app.finish().await;
    for n in 1..=2 {
        assert_eq!(verdict(&books, refused, n), Verdict::OppositeOpen);
        assert_eq!(states(&books, n), [Open]);
    }
}

#[tokio::test]
async fn a_configuration_in_testing_tells_the_operators_alone_and_changes_nothing() {
    let world = TestPeople::at(START)
        .config(1, |config| config.status = ConfigStatus::Testing)
        .plan(1, &[1], |_| {})
        .users(1..=3, 1);
    let mut app = App::start(world).await;
    let alert = app.done(buy(100.0)).await;
    let texts = app.operator_texts();
    assert!(texts[0].contains("3 subscribers would have got it"), "{texts:?}");
    let books = app.finish().await;
    assert_eq!((books.trades.len(), books.quotas.len(), books.deliveries.len()), (0, 0, 1));
    assert!(books.alerts[&alert].alertcast.testing);
    assert_eq!(verdict(&books, alert, 2), Verdict::Sent, "the decision it would have made is kept");
}

#[tokio::test]
async fn an_exit_that_matches_nothing_is_shown_to_the_operators() {
    let mut app = App::start(small_world()).await;
    let exit = app.done(alert(1, "SL_HIT", 90.0)).await;
    assert!(app.operator_texts()[0].contains("Exit without a trade"), "{:?}", app.operator_texts());
    let books = app.finish().await;
    assert!(books.alerts[&exit].processing.errors[0].message.starts_with("no_matching_trade"));
    assert!(books.deliveries.values().all(|delivery| delivery.user_id.is_none()), "subscribers hear nothing");
}

#[tokio::test]
async fn delayed_data_are_told_once() {
    let mut app = App::start(small_world()).await;
    let delayed = |price: f64| with(buy(price), json!({ "ticker": "NSE_DLY:SYM1" }));
    app.accept(delayed(100.0)).await;
    app.until("the operators hear of it", || app.operator_texts().len() == 1).await;
    assert!(app.operator_texts()[0].contains("Delayed data: NSE_DLY"), "{:?}", app.operator_texts());
    // What was sent is noted as such: else the time that passes leaves it in doubt.
    app.quiet().await;
    app.advance(Duration::from_secs(20 * 60));
    app.accept(delayed(101.0)).await;
    app.quiet().await;
    assert_eq!(app.operator_texts().len(), 1, "{:?}", app.operator_texts());
    app.advance(Duration::from_secs(60 * 60));
    app.until("the operators hear how often", || app.operator_texts().len() == 2).await;
    app.quiet().await;
    app.accept(delayed(102.0)).await;
    app.quiet().await;
    assert_eq!(app.operator_texts().len(), 2, "{:?}", app.operator_texts());
    app.finish().await;
}
