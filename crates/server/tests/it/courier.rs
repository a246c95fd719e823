//! From a pending delivery to a sent message, against the real store and a stand-in for Telegram. The clock is the
//! test's; the limits of the stand-in run on it too.

mod away;
mod crash;
mod extremes;
mod flaky;
mod liar;
mod measure;
mod order;
mod post;
mod replying;
mod results;
mod trouble;

use std::time::Duration;

use alertcast_conformance::scene::set;
use alertcast_core::delivery::{Channel, Delivery, DeliveryState, MessageFacts, MessageKind};
use alertcast_core::fixtures::{self, at};
use alertcast_core::money::Count;
use bson::{Bson, doc};
use telegram_sim::{FaultAction, InjectedFault};

use self::post::{Post, Setup, chat, entry, exit, replacement};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const REPEAT: &str = "May be a repeat";

#[tokio::test]
async fn an_entry_is_sent_recorded_and_its_alert_settled() {
    let post = Post::open().await;
    let scene = post.scene().await;
    scene.open(1, 1..=2, &[Channel::Telegram]).await;
    let courier = post.start();
    post.until_messages(2, MINUTE).await;
    let sent = post.until_state(entry(1, 1).id, DeliveryState::Sent, MINUTE).await;
    assert_eq!((sent.attempts.0, sent.message_id, sent.possible_repeat), (1, Some(1), false));
    assert!(post.texts(1)[0].starts_with("🟢 BUY  SYM1 · 1h\nEMA · trade #1\n"), "{}", post.texts(1)[0]);
    post.until(MINUTE, async || scene.alert(1).await.alertcast.settled_at.is_some()).await;
    let alert = scene.alert(1).await;
    assert_eq!(alert.statistics.delivery_count.0, 2);
    assert!(alert.processing.matched_users.iter().all(|user| user.delivered));
    courier.stop(&post).await;
}

#[tokio::test]
async fn no_limit_is_ever_broken_by_us() {
    let post = Post::with(Setup { users: 40, ..Setup::default() }).await;
    for by in 1..=4 {
        post.put_entries(by, 1..=40).await;
    }
    let channel = |by| Delivery { to: "-1001".to_owned(), user_id: None, ..entry(by, 99) };
    post.sim.start_chat_as(1, -1001, telegram_sim::ChatKind::Channel, None);
    post.put(
        &[],
        &(1..=25).map(|by| Delivery { alert_id: Some(fixtures::alert_id(1)), ..channel(by) }).collect::<Vec<_>>(),
    )
    .await;
    let courier = post.start();
    post.until_messages(185, 3 * MINUTE).await;
    assert_eq!(post.sim.stats().too_many_requests(), 0, "{:?}", post.sim.stats());
    assert!(post.sim.stats().max_in_flight <= 16);
    courier.stop(&post).await;
}

#[tokio::test]
async fn an_entry_past_its_deadline_has_expired_and_is_not_sent() {
    let post = Post::open().await;
    post.put(&[fixtures::alert(1, 1)], &[Delivery { deadline_at: at(300), ..entry(1, 1) }, entry(1, 2)]).await;
    post.clock.advance(Duration::from_secs(301));
    let courier = post.start();
    post.until_state(entry(1, 1).id, DeliveryState::Expired, MINUTE).await;
    post.until_state(entry(1, 2).id, DeliveryState::Sent, MINUTE).await;
    assert_eq!(post.texts(1), [""; 0]);
    assert!(post.texts(2)[0].contains("⏱ 5 min old"), "{}", post.texts(2)[0]);
    courier.stop(&post).await;
}

#[tokio::test]
async fn a_replacement_past_its_entrys_deadline_tells_only_of_the_end() {
    let post = Post::open().await;
    post.put(&[fixtures::alert(1, 1)], &[replacement(1, 1), replacement(1, 2)]).await;
    let courier = post.start();
    post.until_state(replacement(1, 1).id, DeliveryState::Sent, MINUTE).await;
    courier.stop(&post).await;
    assert!(post.texts(1)[0].contains("trade #2, in place of #1"), "{}", post.texts(1)[0]);

    let late = Delivery { to: fixtures::chat(3), user_id: Some(fixtures::user_id(3)), ..replacement(2, 3) };
    post.put(&[fixtures::alert(2, 1)], std::slice::from_ref(&late)).await;
    post.clock.advance(HOUR);
    let courier = post.start();
    post.until_state(late.id, DeliveryState::Sent, MINUTE).await;
    assert!(post.texts(3)[0].contains("(trade #2) is too old to follow"), "{}", post.texts(3)[0]);
    courier.stop(&post).await;
}

#[tokio::test]
async fn an_exit_answers_its_entry_where_the_entry_stands() {
    let post = Post::open().await;
    post.put_entries(1, 1..=2).await;
    let courier = post.start();
    post.until_messages(2, MINUTE).await;
    // The second subscriber has another chat by now: there is nothing there to answer.
    post.change_user(2, doc! { "telegram.chatId": "7000003" }).await;
    post.put(&[fixtures::alert(9, 1)], &[exit(9, 1, 1), exit(9, 2, 1)]).await;
    post.until_messages(4, MINUTE).await;
    let messages = post.sim.messages_to(chat(1));
    assert_eq!(messages[1].reply_to, Some(messages[0].message_id));
    assert!(messages[1].plain.starts_with("✅ TAKE PROFIT HIT  SYM1 · 1h"), "{}", messages[1].plain);
    assert_eq!(post.sim.messages_to(chat(3))[0].reply_to, None);
    courier.stop(&post).await;
}

#[tokio::test]
async fn an_exit_goes_out_although_its_entry_was_deleted_from_the_chat() {
    let post = Post::open().await;
    let sent = Delivery { state: DeliveryState::Sent, message_id: Some(99), ..entry(1, 1) };
    post.put(&[fixtures::alert(9, 1)], &[sent, exit(9, 1, 1)]).await;
    let courier = post.start();
    post.until_messages(1, MINUTE).await;
    assert_eq!((post.sim.stats().bad_requests, post.sim.messages()[0].reply_to), (0, None));
    courier.stop(&post).await;
}

#[tokio::test]
async fn an_entry_that_has_not_gone_out_is_told_with_its_exit() {
    let post = Post::open().await;
    post.put(&[fixtures::alert(1, 1), fixtures::alert(9, 1)], &[entry(1, 1), exit(9, 1, 1)]).await;
    post.clock.advance(Duration::from_secs(10));
    let courier = post.start();
    let exit = post.until_state(exit(9, 1, 1).id, DeliveryState::Sent, MINUTE).await;
    assert_eq!(exit.combines, Some(entry(1, 1).id));
    assert_eq!(post.delivery(entry(1, 1).id).await.state, DeliveryState::Superseded);
    let texts = post.texts(1);
    assert_eq!(texts.len(), 1);
    assert!(
        texts[0].contains("Over before its entry could be sent") && texts[0].contains("📍 Entry  100"),
        "{}",
        texts[0]
    );
    courier.stop(&post).await;
}

#[tokio::test]
async fn an_exit_that_told_its_entry_in_vain_tells_it_again() {
    let post = Post::open().await;
    post.put(&[fixtures::alert(1, 1), fixtures::alert(9, 1)], &[entry(1, 1), exit(9, 1, 1)]).await;
    post.clock.advance(Duration::from_secs(10));
    post.sim.inject_fault(InjectedFault::new(FaultAction::ErrorBefore { status: 502 }).times(1));
    let courier = post.start();
    post.until_messages(1, MINUTE).await;
    let text = &post.texts(1)[0];
    assert!(text.contains("📍 Entry  100") && text.contains(REPEAT), "{text}");
    courier.stop(&post).await;
}

#[tokio::test]
async fn a_last_look_keeps_messages_from_those_who_may_not_get_them() {
    let post = Post::with(Setup { users: 5, ..Setup::default() }).await;
    post.put_entries(1, 1..=6).await;
    post.change_user(1, doc! { "status": "suspended" }).await;
    post.change_user(2, doc! { "preferences.notifications.telegram": false }).await;
    post.change_user(3, doc! { "alertcast.chatBlockedAt": Bson::from(at(0)) }).await;
    post.change_user(4, doc! { "telegram.chatId": "7000099" }).await;
    let courier = post.start();
    post.until_all_ended(MINUTE).await;
    let mut ends = Vec::new();
    for user in 1..=6 {
        let delivery = post.delivery(entry(1, user).id).await;
        ends.push((delivery.state, delivery.last_error.unwrap_or_default()));
    }
    let end = |state, why: &str| (state, why.to_owned());
    assert_eq!(
        ends,
        [
            end(DeliveryState::Dropped, "the subscriber is suspended"),
            end(DeliveryState::Dropped, "the subscriber has switched Telegram off"),
            end(DeliveryState::Dead, "the subscriber has blocked the bot"),
            end(DeliveryState::Sent, ""),
            end(DeliveryState::Sent, ""),
            end(DeliveryState::Dropped, "the subscriber was removed"),
        ]
    );
    assert_eq!(post.sim.messages_to(7_000_099).len(), 1, "to the present chat");
    assert_eq!(post.sim.stats().requests, 2, "nobody else was asked for");
    courier.stop(&post).await;
}

#[tokio::test]
async fn the_operators_hear_in_their_group() {
    let post = Post::open().await;
    post.sim.start_chat_as(1, -77, telegram_sim::ChatKind::Group, None);
    let facts =
        MessageFacts::Operator { title: "Alert refused".to_owned(), lines: vec!["<why>".to_owned()], test: false };
    let said = Delivery { to: "-77".to_owned(), facts, ..fixtures::operator(MessageKind::Operator, 1, 1) };
    let more = Delivery {
        to: "-77".to_owned(),
        due_at: at(300),
        facts: MessageFacts::OperatorMore { title: "Alert refused".to_owned(), count: Count(4) },
        ..fixtures::operator(MessageKind::OperatorMore, 1, 1)
    };
    post.put(&[], &[said, more]).await;
    let courier = post.start();
    post.until_messages(1, MINUTE).await;
    let waited = post.until_messages(2, 6 * MINUTE).await;
    assert!(waited > 4 * MINUTE, "{waited:?}");
    let texts: Vec<String> = post.sim.messages_to(-77).into_iter().map(|message| message.plain).collect();
    assert!(texts[0].starts_with("⚠️ Alert refused\n\n<why>"), "{}", texts[0]);
    assert_eq!(texts[1], "🔁 4 times more: Alert refused");
    courier.stop(&post).await;
}
