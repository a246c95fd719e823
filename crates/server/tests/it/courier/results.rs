//! Entries get their results: last, once, and only where there is room and time.

use std::time::Duration;

use alertcast_core::delivery::{Delivery, DeliveryState, LATE, LaneName, NOTHING_TO_EDIT};
use alertcast_core::fixtures::{self, at, result_id};
use alertcast_core::store::Collection;
use bson::doc;
use telegram_sim::{FaultAction, FreezeScope, InjectedFault};

use super::MINUTE;
use super::post::{Post, Setup, chat, entry, exit};

/// The result by alert 9 of the trade that alert 1 opened for a user.
fn result(user: u32) -> Delivery {
    Delivery { due_at: at(2), ..fixtures::result(9, 1, user, 1) }
}

/// An entry that was sent, as the message with that number.
fn sent(user: u32, message_id: i64) -> Delivery {
    Delivery { state: DeliveryState::Sent, message_id: Some(message_id), ended_at: Some(at(2)), ..entry(1, user) }
}

/// Sends alert 1's entry to these users.
async fn entries_sent(post: &Post, users: u32) {
    post.put_entries(1, 1..=users).await;
    let courier = post.start();
    post.until_all_ended(2 * MINUTE).await;
    courier.stop(post).await;
}

/// Puts in the results of alert 9 for these users, whose exits have gone out.
async fn put_results(post: &Post, users: u32) {
    let gone =
        |user| Delivery { state: DeliveryState::Sent, message_id: None, ended_at: Some(at(9)), ..exit(9, user, 1) };
    let deliveries: Vec<Delivery> = (1..=users).flat_map(|user| [gone(user), result(user)]).collect();
    post.put(&[fixtures::alert(9, 1)], &deliveries).await;
}

async fn ended(post: &Post, user: u32, state: DeliveryState) -> Delivery {
    post.until_state(result(user).id, state, 20 * MINUTE).await
}

fn edits(post: &Post, user: u32) -> Vec<String> {
    post.sim.messages_to(chat(user))[0].edits.clone()
}

#[tokio::test]
async fn an_entry_gets_its_result_after_the_exit_that_answers_it() {
    let post = Post::open().await;
    entries_sent(&post, 2).await;
    let both = |user| [exit(9, user, 1), result(user)];
    post.put(&[fixtures::alert(9, 1)], &[both(1), both(2)].concat()).await;
    let courier = post.start();
    post.until_all_ended(MINUTE).await;
    for user in [1, 2] {
        let messages = post.sim.messages_to(chat(user));
        let [entry, exit] = &messages[..] else { panic!("{messages:?}") };
        assert_eq!(exit.reply_to, Some(entry.message_id));
        assert!(entry.edit_seqs.len() == 1 && entry.edit_seqs[0] > exit.seq, "{:?}", entry.edit_seqs);
        let with_result = format!("{}\n\n✅ Closed at 110 · take profit · +10.00%", entry.plain);
        assert_eq!(entry.show_text(), with_result);
        let written = post.delivery(result_id(9, user)).await;
        assert_eq!((written.state, written.message_id), (DeliveryState::Sent, Some(entry.message_id)));
    }
    assert_eq!((post.sim.stats().bad_requests, post.sim.stats().too_many_requests()), (0, 0));
    courier.stop(&post).await;
}

#[tokio::test]
async fn an_edit_waits_for_an_exit_that_is_tried_again() {
    let post = Post::open().await;
    entries_sent(&post, 1).await;
    let away = InjectedFault::new(FaultAction::ErrorBefore { status: 502 }).chat(chat(1)).method("sendMessage");
    let away = post.sim.inject_fault(away);
    post.put(&[fixtures::alert(9, 1)], &[exit(9, 1, 1), result(1)]).await;
    let courier = post.start();
    post.until(MINUTE, async || post.delivery(exit(9, 1, 1).id).await.attempts.0 >= 3).await;
    assert_eq!((post.sim.stats().edits, post.delivery(result(1).id).await.attempts.0), (0, 0));
    post.sim.remove_fault(away);
    ended(&post, 1, DeliveryState::Sent).await;
    let messages = post.sim.messages_to(chat(1));
    assert!(messages[0].edit_seqs[0] > messages[1].seq);
    courier.stop(&post).await;
}

#[tokio::test]
async fn edits_keep_no_message_waiting() {
    let post = Post::with(Setup { users: 40, per_second: 4, ..Setup::default() }).await;
    entries_sent(&post, 40).await;
    put_results(&post, 40).await;
    let courier = post.start();
    post.until(MINUTE, async || post.sim.stats().edits >= 4).await;
    post.put_entries(2, 1..=20).await;
    let before = post.sim.stats();
    post.until_messages(before.messages + 20, MINUTE).await;
    let meanwhile = post.sim.stats().edits - before.edits;
    // What may leave while the entries are read and taken.
    assert!(meanwhile <= 3, "{meanwhile} edits went before messages");
    post.until_all_ended(MINUTE).await;
    assert_eq!((post.sim.stats().edits, post.sim.stats().too_many_requests()), (40, 0));
    courier.stop(&post).await;
}

#[tokio::test]
async fn edits_alone_use_all_of_the_allowance() {
    let post = Post::with(Setup { users: 120, ..Setup::default() }).await;
    entries_sent(&post, 120).await;
    put_results(&post, 120).await;
    let takes = post.store.calls("take");
    let courier = post.start();
    let took = post.until(MINUTE, async || post.sim.stats().edits == 120).await;
    // The first second belongs to whoever owned the bot before.
    let rate = 120.0 / (took.as_secs_f64() - 1.0);
    assert!(rate > 0.9 * 30.0, "{rate}");
    assert!(post.store.calls("take") - takes < 60, "not one by one");
    courier.stop(&post).await;
}

#[tokio::test]
async fn an_edit_in_hand_makes_way_for_a_message_to_its_chat() {
    let post = Post::with(Setup { concurrency: 1, ..Setup::default() }).await;
    entries_sent(&post, 1).await;
    // The only connection is busy.
    let stall = post.sim.inject_fault(InjectedFault::new(FaultAction::StallAnswer { ms: None }).chat(chat(2)).times(1));
    post.put_entries(2, 2..=2).await;
    let courier = post.start();
    post.until_messages(2, MINUTE).await;
    put_results(&post, 1).await;
    post.until_state(result(1).id, DeliveryState::Sending, MINUTE).await;
    post.put_entries(3, 1..=1).await;
    post.until_state(result(1).id, DeliveryState::Pending, MINUTE).await;
    post.sim.remove_fault(stall);
    post.until_all_ended(MINUTE).await;
    let messages = post.sim.messages_to(chat(1));
    assert!(messages[0].edit_seqs[0] > messages[1].seq, "the new entry goes first");
    courier.stop(&post).await;
}

#[tokio::test]
async fn edits_that_come_late_are_dropped() {
    let post = Post::open().await;
    entries_sent(&post, 3).await;
    let wait = FaultAction::TooManyRequests { retry_after: 900, scope: FreezeScope::Bot };
    post.sim.inject_fault(InjectedFault::new(wait).times(1));
    put_results(&post, 3).await;
    let courier = post.start();
    post.pass(11 * MINUTE).await;
    for user in 1..=3 {
        let late = ended(&post, user, DeliveryState::Dropped).await;
        assert_eq!(late.last_error.as_deref(), Some(LATE));
    }
    assert_eq!(post.sim.stats().edits, 0);
    courier.stop(&post).await;
}

#[tokio::test]
async fn an_edit_in_doubt_is_made_once() {
    for fault in
        [FaultAction::DropAfter, FaultAction::ErrorAfter { status: 502 }, FaultAction::ErrorBefore { status: 502 }]
    {
        let post = Post::open().await;
        entries_sent(&post, 1).await;
        post.sim.inject_fault(InjectedFault::new(fault.clone()).times(1));
        put_results(&post, 1).await;
        let courier = post.start();
        let written = ended(&post, 1, DeliveryState::Sent).await;
        assert_eq!((written.attempts.0, written.possible_repeat), (2, true), "{fault:?}");
        assert_eq!(edits(&post, 1).len(), 1, "{fault:?}");
        assert!(!edits(&post, 1)[0].contains("repeat"), "an edit is no second copy");
        courier.stop(&post).await;
    }
}

#[tokio::test]
async fn markup_that_is_refused_is_edited_in_as_plain_text() {
    let post = Post::open().await;
    entries_sent(&post, 1).await;
    post.sim.inject_fault(InjectedFault::new(FaultAction::CannotParse).times(1));
    put_results(&post, 1).await;
    let courier = post.start();
    ended(&post, 1, DeliveryState::Sent).await;
    assert!(edits(&post, 1)[0].ends_with("✅ Closed at 110 · take profit · +10.00%"), "{:?}", edits(&post, 1));
    courier.stop(&post).await;
}

#[tokio::test]
async fn what_cannot_be_edited_is_let_be() {
    let post = Post::with(Setup { users: 4, ..Setup::default() }).await;
    post.put(&[fixtures::alert(1, 1)], &[sent(1, 99), sent(2, 99), sent(3, 99)]).await;
    // The second subscriber has another chat by now, the third is written to by another bot, the fourth blocks this one.
    post.change_user(2, doc! { "telegram.chatId": "7000099" }).await;
    let by_another = doc! { "lane": "tg:2" };
    post.app.store.write(vec![super::set(Collection::Deliveries, entry(1, 3).id, by_another)]).await.unwrap();
    let courier = post.start();
    post.put(&[], &[entry(1, 4)]).await;
    post.until_messages(1, MINUTE).await;
    post.sim.block(chat(4));
    put_results(&post, 4).await;
    let mut why = Vec::new();
    for user in 1..=4 {
        why.push(ended(&post, user, DeliveryState::Dropped).await.last_error.unwrap());
    }
    let blocked = "Forbidden: bot was blocked by the user";
    assert_eq!(why, ["Bad Request: message to edit not found", NOTHING_TO_EDIT, NOTHING_TO_EDIT, blocked]);
    assert_eq!(post.sim.stats().requests, 3, "two were not even asked for");
    let user = post.document(Collection::Users, fixtures::user_id(4).0).await;
    assert!(user.get_document("alertcast").unwrap().contains_key("chatBlockedAt"));
    courier.stop(&post).await;
}

#[tokio::test]
async fn an_exit_answers_no_message_of_another_bot() {
    let post = Post::open().await;
    let by_another = Delivery { lane: LaneName::of_bot("2"), ..sent(1, 1) };
    post.put(&[fixtures::alert(1, 1), fixtures::alert(2, 1)], &[by_another, entry(2, 1)]).await;
    let courier = post.start();
    post.until_messages(1, MINUTE).await;
    post.put(&[fixtures::alert(9, 1)], &[exit(9, 1, 1)]).await;
    post.until_messages(2, MINUTE).await;
    assert_eq!(post.sim.messages_to(chat(1))[1].reply_to, None, "that number is another message here");
    courier.stop(&post).await;
}

#[tokio::test]
async fn a_throttled_edit_waits_and_the_chat_with_it() {
    let post = Post::open().await;
    entries_sent(&post, 1).await;
    let wait = FaultAction::TooManyRequests { retry_after: 30, scope: FreezeScope::Chat };
    post.sim.inject_fault(InjectedFault::new(wait).times(1));
    put_results(&post, 1).await;
    let courier = post.start();
    let took = post.until(MINUTE, async || post.sim.stats().edits == 1).await;
    assert!(took >= Duration::from_secs(30), "{took:?}");
    assert_eq!(post.sim.stats().limited_while_frozen, 0);
    courier.stop(&post).await;
}

#[tokio::test]
async fn every_copy_that_is_known_gets_the_result() {
    let post = Post::open().await;
    // Telegram has it, and its answer is lost; so it goes out again.
    post.sim.inject_fault(InjectedFault::new(FaultAction::ErrorAfter { status: 502 }).chat(chat(1)).times(1));
    entries_sent(&post, 2).await;
    let copies = post.sim.messages_to(chat(1));
    assert_eq!(copies.len(), 2);
    post.app.store.note_copies(&[(entry(1, 1).id, copies[0].message_id)], at(5)).await.unwrap();
    put_results(&post, 2).await;
    let courier = post.start();
    let written = ended(&post, 1, DeliveryState::Sent).await;
    assert_eq!(written.message_id, Some(copies[1].message_id), "its own");
    for copy in post.sim.messages_to(chat(1)) {
        assert!(copy.show_text().contains("Closed at 110"), "{}", copy.show_text());
        assert!(copy.show_text().contains("May be a repeat"), "the entry's mark stays: {}", copy.show_text());
    }
    courier.stop(&post).await;
}
