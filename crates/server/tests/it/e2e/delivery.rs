//! Which way a message takes, and what becomes of one that has trouble on the way.

use std::time::Duration;

use alertcast_conformance::scene::set;
use alertcast_core::decision::Verdict;
use alertcast_core::delivery::DeliveryState;
use alertcast_core::fixtures::user_id;
use alertcast_core::store::Collection;
use alertcast_core::trade::document::TradeStatus::Closed;
use bson::doc;
use serde_json::json;
use telegram_sim::{FaultAction, FreezeScope, InjectedFault};

use super::{buy, small_world, states, tp_hit, trades, verdict};
use crate::harness::app::START;
use crate::harness::post::{alert, with};
use crate::harness::{App, TestPeople, chat};

#[tokio::test]
async fn each_subscriber_is_written_to_by_the_bot_that_they_started() {
    let world = small_world().user(4, 1, |user| user.alertcast.bot_id = Some("202".to_owned()));
    let mut app = App::start(world).await;
    app.done(buy(100.0)).await;
    app.done(tp_hit(112.0)).await;
    let bots = |n| app.messages(n).iter().map(|message| message.bot).collect::<Vec<_>>();
    assert_eq!((bots(1), bots(4)), (vec![101, 101], vec![202, 202]));
    app.finish().await;
}

#[tokio::test]
async fn a_subscriber_without_a_channel_gets_no_trade() {
    let world = small_world().user(4, 1, |user| user.telegram.chat_id = None);
    let mut app = App::start(world).await;
    let entry = app.done(buy(100.0)).await;
    let books = app.finish().await;
    assert_eq!(verdict(&books, entry, 4), Verdict::NoChannel);
    assert_eq!(trades(&books, 4).len(), 0);
}

#[tokio::test]
async fn a_message_in_doubt_is_sent_again_and_says_so() {
    let mut app = App::start(small_world()).await;
    app.sim.inject_fault(InjectedFault::new(FaultAction::ErrorAfter { status: 502 }).chat(chat(2)).times(1));
    app.done(buy(100.0)).await;
    let messages = app.messages(2);
    assert_eq!(messages.len(), 2);
    let marked: Vec<bool> = messages.iter().map(|message| message.plain.contains("May be a repeat")).collect();
    assert_eq!(marked, [false, true]);
    app.finish().await;
}

#[tokio::test]
async fn a_message_that_was_refused_for_now_is_sent_again_without_a_word() {
    let mut app = App::start(small_world()).await;
    let wait = FaultAction::TooManyRequests { retry_after: 1, scope: FreezeScope::Chat };
    app.sim.inject_fault(InjectedFault::new(wait).chat(chat(2)).times(1));
    app.done(buy(100.0)).await;
    let messages = app.messages(2);
    assert_eq!(messages.len(), 1);
    assert!(!messages[0].plain.contains("May be a repeat"));
    app.finish().await;
}

#[tokio::test]
async fn a_trade_whose_entry_reached_nobody_counts_nowhere_and_its_exit_says_nothing() {
    let mut app = App::start(small_world()).await;
    app.sim.block(chat(2));
    app.done(buy(100.0)).await;
    let books = app.books().await;
    assert!(trades(&books, 2)[0].alertcast.unreached);
    assert!(books.users[&user_id(2)].alertcast.chat_blocked_at.is_some());
    app.done(tp_hit(112.0)).await;
    let books = app.finish().await;
    assert_eq!(states(&books, 2), [Closed]);
    assert!(
        books.deliveries.values().filter(|d| d.user_id == Some(user_id(2))).all(|d| d.state == DeliveryState::Dead)
    );
}

#[tokio::test]
async fn a_subscriber_who_took_the_bot_back_is_written_to_again_from_their_exit_on() {
    let mut app = App::start(small_world()).await;
    app.done(buy(100.0)).await;
    // One 403, while the position is open.
    app.sim.inject_fault(InjectedFault::new(FaultAction::Forbidden).chat(chat(2)).times(1));
    let positions = json!({
        "prev_market_position": "long", "prev_market_position_size": 2,
        "market_position": "long", "market_position_size": 1,
    });
    app.done(with(alert(1, "sell", 100.0), positions)).await;
    assert!(app.books().await.users[&user_id(2)].chat_blocked_since().is_some());
    app.done(tp_hit(112.0)).await;
    assert!(app.last_text(2).contains("TAKE PROFIT HIT"), "an exit is owed: {}", app.last_text(2));
    assert_eq!(app.books().await.users[&user_id(2)].chat_blocked_since(), None, "it arrived");
    app.done(buy(100.0)).await;
    assert!(app.last_text(2).contains("BUY"), "{}", app.last_text(2));
    app.finish().await;
}

#[tokio::test]
async fn one_refusal_silences_the_chat_that_refused_and_no_other() {
    let mut app = App::start(small_world()).await;
    app.sim.block(chat(2));
    app.done(buy(100.0)).await;
    app.done(tp_hit(112.0)).await;
    app.sim.start_chat(101, 7_000_999);
    let moved = set(Collection::Users, user_id(2), doc! { "telegram.chatId": "7000999" });
    app.change(vec![moved]).await;
    app.done(buy(100.0)).await;
    let texts = app.sim.messages_to(7_000_999);
    assert_eq!(texts.len(), 1, "{texts:?}");
    app.finish().await;
}

#[tokio::test]
async fn an_entry_whose_answer_was_cut_off_gets_its_exit_past_its_deadline() {
    let mut app = App::start(small_world()).await;
    // Telegram has it, and says nothing.
    let cut = app.sim.inject_fault(InjectedFault::new(FaultAction::DropAfter).chat(chat(2)));
    app.accept(buy(100.0)).await;
    app.until("the others have it", || app.messages(1).len() + app.messages(3).len() == 2).await;
    app.until("Telegram has it", || !app.messages(2).is_empty()).await;
    app.advance(Duration::from_secs(60 * 60 + 1));
    app.quiet().await;
    app.sim.remove_fault(cut);
    let expired = app.books().await;
    assert!(!trades(&expired, 2)[0].alertcast.unreached);
    app.done(tp_hit(112.0)).await;
    assert!(app.last_text(2).contains("TAKE PROFIT HIT"), "{}", app.last_text(2));
    app.finish().await;
}

/// What user 2 is told in one message where the entry cannot be sent, for this fault, before the exit comes.
async fn told_together(fault: FaultAction) -> String {
    let mut app = App::start(small_world()).await;
    let fault = app.sim.inject_fault(InjectedFault::new(fault).chat(chat(2)));
    app.accept(buy(100.0)).await;
    app.until("the others have it", || app.messages(1).len() + app.messages(3).len() == 2).await;
    app.accept(tp_hit(112.0)).await;
    let superseded = || app.desk.count(Collection::Deliveries, &[("state", "superseded")]) == 1;
    app.until("the exit has taken the entry's place", superseded).await;
    app.sim.remove_fault(fault);
    app.quiet().await;
    let messages = app.messages(2);
    assert_eq!(messages.len(), 1, "{messages:?}");
    let books = app.finish().await;
    assert_eq!(states(&books, 2), [Closed]);
    messages[0].plain.clone()
}

#[tokio::test]
async fn an_exit_that_overtakes_its_entry_tells_both_in_one_message() {
    let text = told_together(FaultAction::TooManyRequests { retry_after: 1, scope: FreezeScope::Chat }).await;
    assert!(text.contains("Over before its entry could be sent"), "{text}");
}

#[tokio::test]
async fn an_exit_that_overtakes_an_entry_in_doubt_does_not_claim_that_it_never_came() {
    let text = told_together(FaultAction::ErrorBefore { status: 503 }).await;
    assert!(text.contains("Its entry may not have reached you before"), "{text}");
}

#[tokio::test]
async fn an_entry_past_its_deadline_is_not_sent() {
    let mut app = App::start(small_world()).await;
    // Not in hand when its time is over: what is being sent then is in doubt.
    let wait = FaultAction::TooManyRequests { retry_after: 600, scope: FreezeScope::Chat };
    let down = app.sim.inject_fault(InjectedFault::new(wait).chat(chat(2)));
    app.accept(buy(100.0)).await;
    app.until("the others have it", || app.messages(1).len() + app.messages(3).len() == 2).await;
    let waits = || app.desk.count(Collection::Deliveries, &[("state", "pending")]) == 1;
    app.until("it waits", || app.sim.stats().limited_injected > 0 && waits()).await;
    app.advance(Duration::from_secs(60 * 60 + 1));
    app.quiet().await;
    app.sim.remove_fault(down);
    let books = app.finish().await;
    assert!(trades(&books, 2)[0].alertcast.unreached);
    let of_two = books.deliveries.values().find(|delivery| delivery.user_id == Some(user_id(2))).unwrap();
    assert_eq!(of_two.state, DeliveryState::Expired);
}

#[tokio::test]
async fn eleven_hundred_recipients_are_served_across_chunks() {
    let world = TestPeople::at(START).config(1, |_| {}).plan(1, &[1], |_| {}).users(1..=1_100, 1);
    let mut app = App::start(world).await;
    let entry = app.done(buy(100.0)).await;
    let exit = app.done(tp_hit(112.0)).await;
    assert_eq!((app.sim.messages().len(), app.sim.stats().edits), (2_200, 1_100));
    let books = app.finish().await;
    for alert in [entry, exit] {
        assert_eq!(books.decisions[&alert].len(), 3, "chunks");
        assert_eq!(books.alerts[&alert].statistics.delivery_count.0, 1_100);
        assert_eq!(books.alerts[&alert].processing.matched_users.len(), 1_100);
    }
}
