//! What goes wrong on the way, and what becomes of the message.

use std::time::Duration;

use alertcast_core::delivery::{Delivery, DeliveryState};
use alertcast_core::fixtures::{self, at};
use alertcast_core::store::Collection;
use telegram_sim::{FaultAction, FreezeScope, InjectedFault, SimConfig};

use super::post::{Post, Setup, TOKEN, chat, entry, exit};
use super::{HOUR, MINUTE, REPEAT};

fn wait_of(seconds: u32, scope: FreezeScope) -> FaultAction {
    FaultAction::TooManyRequests { retry_after: seconds, scope }
}

#[tokio::test]
async fn a_frozen_chat_waits_for_as_long_as_it_is_told_and_holds_up_nobody() {
    let post = Post::with(Setup { users: 30, ..Setup::default() }).await;
    post.sim.inject_fault(InjectedFault::new(wait_of(40, FreezeScope::Chat)).chat(chat(1)).times(1));
    post.put_entries(1, 1..=30).await;
    post.put_entries(2, 1..=30).await;
    let courier = post.start();
    // Two for everybody else; a second between the two to one chat.
    let others = post.until_messages(58, MINUTE).await;
    assert!(others < Duration::from_secs(15), "{others:?}");
    let all = post.until_messages(60, 2 * MINUTE).await;
    assert!(others + all >= Duration::from_secs(40), "{:?}", others + all);
    let stats = post.sim.stats();
    assert_eq!((stats.count_limited(), stats.limited_injected, stats.limited_while_frozen), (0, 1, 0));
    let first = post.delivery(entry(1, 1).id).await;
    assert!(!first.possible_repeat && first.state == DeliveryState::Sent);
    courier.stop(&post).await;
}

#[tokio::test]
async fn with_one_chat_in_a_hundred_frozen_the_others_lose_no_time() {
    let post = Post::with(Setup { users: 300, ..Setup::default() }).await;
    for user in [7, 77, 177] {
        post.sim.inject_fault(InjectedFault::new(wait_of(600, FreezeScope::Chat)).chat(chat(user)).times(1));
    }
    for by in 1..=4 {
        post.put_entries(by, 1..=300).await;
    }
    let courier = post.start();
    let took = post.until_messages(297 * 4, 2 * MINUTE).await;
    // The first second belongs to whoever owned the bot before.
    let rate = 297.0 * 4.0 / (took.as_secs_f64() - 1.0);
    assert!(rate > 0.95 * 30.0, "{rate}");
    let stats = post.sim.stats();
    assert_eq!((stats.count_limited(), stats.limited_injected, stats.limited_while_frozen), (0, 3, 0));
    courier.stop(&post).await;
}

#[tokio::test]
async fn when_the_bot_is_frozen_everybody_waits() {
    let setup = Setup { users: 60, ..Setup::default() };
    let at_once = setup.concurrency as u64;
    let post = Post::with(setup).await;
    post.sim.inject_fault(InjectedFault::new(wait_of(20, FreezeScope::Bot)).skip(10).times(1));
    post.put_entries(1, 1..=60).await;
    let courier = post.start();
    let took = post.until_messages(60, 2 * MINUTE).await;
    assert!(took >= Duration::from_secs(20), "{took:?}");
    let stats = post.sim.stats();
    // Two to be sure of it, and those that were under way: on a busy machine the clock here runs ahead of the answer.
    assert!((2..=2 + at_once).contains(&stats.limited_while_frozen), "of fifty that waited: {stats:?}");
    assert!(post.deliveries().await.iter().all(|delivery| !delivery.possible_repeat));
    courier.stop(&post).await;
}

#[tokio::test]
async fn who_blocks_the_bot_is_not_written_to_again() {
    let post = Post::open().await;
    post.sim.block(chat(1));
    post.put_entries(1, 1..=2).await;
    let courier = post.start();
    let dead = post.until_state(entry(1, 1).id, DeliveryState::Dead, MINUTE).await;
    assert_eq!(dead.last_error.as_deref(), Some("Forbidden: bot was blocked by the user"));
    let user = post.document(Collection::Users, fixtures::user_id(1).0).await;
    assert!(user.get_document("alertcast").unwrap().contains_key("chatBlockedAt"));
    post.put_entries(2, 1..=2).await;
    post.until_state(entry(2, 1).id, DeliveryState::Dead, MINUTE).await;
    assert_eq!(post.sim.stats().forbidden, 1);
    courier.stop(&post).await;
}

#[tokio::test]
async fn markup_that_is_refused_goes_out_as_plain_text_at_once() {
    let post = Post::open().await;
    post.sim.inject_fault(InjectedFault::new(FaultAction::CannotParse).times(1));
    post.put_entries(1, 1..=1).await;
    let courier = post.start();
    let sent = post.until_state(entry(1, 1).id, DeliveryState::Sent, MINUTE).await;
    let messages = post.sim.messages_to(chat(1));
    assert_eq!((messages.len(), messages[0].parse_mode.as_deref()), (1, None));
    assert!(messages[0].plain.starts_with("🟢 BUY  SYM1"), "{}", messages[0].plain);
    assert_eq!((sent.attempts.0, sent.possible_repeat), (1, false));
    assert_eq!(post.sim.stats().too_many_requests(), 0);
    courier.stop(&post).await;
}

#[tokio::test]
async fn a_message_that_is_refused_for_good_is_dead() {
    let post = Post::with(Setup { sim: SimConfig::default().bot(TOKEN).strict(), ..Setup::default() }).await;
    post.sim.start_chat(1, chat(2));
    let nobody = Delivery { to: "-5".to_owned(), user_id: None, ..entry(1, 1) };
    post.put(&[fixtures::alert(1, 1)], &[nobody, entry(1, 2)]).await;
    let courier = post.start();
    let dead = post.until_state(entry(1, 1).id, DeliveryState::Dead, MINUTE).await;
    assert_eq!(dead.last_error.as_deref(), Some("Bad Request: chat not found"));
    post.until_state(entry(1, 2).id, DeliveryState::Sent, MINUTE).await;
    courier.stop(&post).await;
}

/// What may have arrived is sent again and says so, whether it had arrived or not.
async fn in_doubt(action: FaultAction, copies: usize) {
    let post = Post::with(Setup { timeout: Duration::from_secs(1), ..Setup::default() }).await;
    post.sim.inject_fault(InjectedFault::new(action.clone()).times(1));
    post.put_entries(1, 1..=1).await;
    let courier = post.start();
    let sent = post.until_state(entry(1, 1).id, DeliveryState::Sent, MINUTE).await;
    let texts = post.texts(1);
    assert_eq!(texts.len(), copies, "{action:?}");
    let marked: Vec<bool> = texts.iter().map(|text| text.contains(REPEAT)).collect();
    assert_eq!(marked, [false, true][2 - copies..], "{action:?}");
    assert_eq!((sent.attempts.0, sent.possible_repeat), (2, true), "{action:?}");
    courier.stop(&post).await;
}

#[tokio::test]
async fn a_server_error_leaves_a_message_in_doubt() {
    in_doubt(FaultAction::ErrorBefore { status: 502 }, 1).await;
    in_doubt(FaultAction::ErrorAfter { status: 500 }, 2).await;
    in_doubt(FaultAction::Garbage { delivered: true }, 2).await;
}

#[tokio::test]
async fn a_lost_connection_leaves_a_message_in_doubt() {
    in_doubt(FaultAction::DropBefore, 1).await;
    in_doubt(FaultAction::DropAfter, 2).await;
}

#[tokio::test]
async fn an_answer_that_does_not_come_in_time_leaves_a_message_in_doubt() {
    in_doubt(FaultAction::StallAnswer { ms: Some(3_000) }, 2).await;
}

#[tokio::test]
async fn a_refused_connection_leaves_nothing_in_doubt() {
    let mut post = Post::open().await;
    let address = post.close_telegram().await;
    post.put_entries(1, 1..=3).await;
    let courier = post.start();
    post.until(MINUTE, async || post.delivery(entry(1, 1).id).await.attempts.0 >= 2).await;
    post.reopen_telegram(address, SimConfig::default().bot(TOKEN)).await;
    post.until_messages(3, 2 * MINUTE).await;
    post.until_all_ended(MINUTE).await;
    let delivery = post.delivery(entry(1, 1).id).await;
    assert!(delivery.attempts.0 >= 2 && !delivery.possible_repeat);
    assert!((1..=3).all(|user| !post.texts(user)[0].contains(REPEAT)));
    courier.stop(&post).await;
}

#[tokio::test]
async fn while_telegram_is_away_messages_are_not_burnt_one_after_the_other() {
    let mut post = Post::with(Setup { users: 400, ..Setup::default() }).await;
    let address = post.close_telegram().await;
    post.put_entries(1, 1..=400).await;
    let courier = post.start();
    post.pass(2 * MINUTE).await;
    let tried = post.deliveries().await.iter().filter(|delivery| delivery.attempts.0 > 0).count();
    assert!(tried < 80, "{tried} of 400 were tried");
    post.reopen_telegram(address, SimConfig::default().bot(TOKEN)).await;
    let took = post.until_messages(400, 2 * MINUTE).await;
    assert!(took < MINUTE, "{took:?}");
    courier.stop(&post).await;
}

#[tokio::test]
async fn an_entry_that_fails_until_its_deadline_has_expired_and_an_exit_is_dead_after_a_day() {
    let post = Post::open().await;
    post.sim.inject_fault(InjectedFault::new(FaultAction::ErrorBefore { status: 500 }));
    post.put(&[fixtures::alert(1, 1)], &[Delivery { deadline_at: at(300), ..entry(1, 1) }, exit(1, 2, 0)]).await;
    let courier = post.start();
    let entry = post.until_state(entry(1, 1).id, DeliveryState::Expired, 6 * MINUTE).await;
    assert!((7..=12).contains(&entry.attempts.0), "{}", entry.attempts.0);
    // The rest of the day at once: what matters is its end.
    post.clock.advance(24 * HOUR - 10 * MINUTE);
    let exit = post.until_state(exit(1, 2, 0).id, DeliveryState::Dead, 10 * MINUTE).await;
    assert!(exit.last_error.is_some());
    courier.stop(&post).await;
}

#[tokio::test]
async fn a_wrong_token_burns_no_message() {
    let post = Post::with(Setup { sim: SimConfig::default().bot("2:OTHER"), ..Setup::default() }).await;
    post.put_entries(1, 1..=3).await;
    let courier = post.start();
    post.pass(15 * MINUTE).await;
    let stats = post.sim.stats();
    assert!(stats.not_found <= 3 + 6, "seldom and ever more so: {stats:?}");
    for delivery in post.deliveries().await {
        assert_eq!((delivery.state, delivery.possible_repeat), (DeliveryState::Pending, false));
        assert!(delivery.attempts.0 <= 1, "{}", delivery.attempts.0);
    }
    post.sim.add_bot(TOKEN).unwrap();
    post.until_messages(3, 15 * MINUTE).await;
    courier.stop(&post).await;
}
