//! Replies beside deliveries: both keep their shares of the bot's allowance, and nobody breaks a limit.

use std::cell::RefCell;
use std::time::Duration;

use alertcast::channel::message::MessageText;
use alertcast::channel::{ChannelAnswer, MessageForm, SendMode};
use alertcast::courier::replies::{PendingReply, REPLIES_MAX, REPLIES_OF_CHAT_MAX, Reply, ReplyOutcome, ReplyRefused};
use alertcast_core::delivery::LaneName;
use alertcast_core::limiter::REPLIES_ONE_IN;
use telegram_sim::{FaultAction, FreezeScope, InjectedFault};

use super::MINUTE;
use super::post::{Post, Setup, chat};

/// Chats from here on are nobody's who gets deliveries.
const STRANGERS: i64 = 9_000_000;

fn reply(post: &Post, to: i64, text: &str) -> Reply {
    Reply {
        to: to.to_string(),
        message: MessageText { html: text.to_owned(), plain: text.to_owned() },
        form: MessageForm::Rich,
        act: SendMode::Send { reply_to: None },
        deadline_at: post.clock_now() + MINUTE,
    }
}

fn try_send(post: &Post, to: i64) -> Result<PendingReply, ReplyRefused> {
    post.app.replies.try_send(&LaneName::of_bot("1"), reply(post, to, "hello"))
}

/// The first reply of a courier that has just been started.
async fn send_first(post: &Post, to: i64) -> PendingReply {
    let sent = RefCell::new(None);
    post.until(MINUTE, async || {
        *sent.borrow_mut() = try_send(post, to).ok();
        sent.borrow().is_some()
    })
    .await;
    sent.take().unwrap()
}

async fn is_sent(pending: PendingReply) -> bool {
    matches!(pending.outcome().await, ReplyOutcome::Answered(ChannelAnswer::Sent { message_id: Some(_) }))
}

#[tokio::test]
async fn replies_and_a_fan_out_keep_their_shares_and_telegrams_limits() {
    const REPLIES: u32 = 30;
    let post = Post::with(Setup { users: 400, ..Setup::default() }).await;
    post.put_entries(1, 1..=400).await;
    let courier = post.start();
    let mut took = post.until_messages(30, MINUTE).await;
    let pending: Vec<PendingReply> =
        (1..=REPLIES).map(|n| try_send(&post, STRANGERS + i64::from(n)).unwrap()).collect();
    took += post.until_messages(400 + u64::from(REPLIES), MINUTE).await;
    assert_eq!(post.sim.stats().too_many_requests(), 0, "{:?}", post.sim.stats());
    assert!(took < Duration::from_secs(20), "together they use all that the bot may send: {took:?}");

    let replies: Vec<bool> = post.sim.messages().iter().map(|message| message.chat_id >= STRANGERS).collect();
    let first = replies.iter().position(|is_reply| *is_reply).unwrap();
    let last = replies.iter().rposition(|is_reply| *is_reply).unwrap();
    assert!(first < 60, "the first goes before hundreds of entries: {first}");
    let (span, one_in) = (&replies[first..=last], usize::try_from(REPLIES_ONE_IN).unwrap());
    assert!(span.len() <= (usize::try_from(REPLIES).unwrap()) * one_in, "replies have their share: {}", span.len());
    for window in span.windows(5 * one_in) {
        let count = window.iter().filter(|is_reply| **is_reply).count();
        assert!((4..=6).contains(&count), "of {} messages {count} are replies", window.len());
    }
    for pending in pending {
        assert!(is_sent(pending).await);
    }
    courier.stop(&post).await;
}

#[tokio::test]
async fn without_deliveries_replies_use_all_that_the_bot_may_send() {
    let post = Post::open().await;
    let courier = post.start();
    let first = send_first(&post, STRANGERS).await;
    for n in 1..90 {
        try_send(&post, STRANGERS + n).unwrap();
    }
    let took = post.until_messages(90, MINUTE).await;
    assert!(took < Duration::from_secs(6), "{took:?}");
    assert!(is_sent(first).await);
    assert_eq!(post.sim.stats().too_many_requests(), 0, "{:?}", post.sim.stats());
    courier.stop(&post).await;
}

#[tokio::test]
async fn one_chats_replies_and_alerts_keep_its_pace_together_and_no_reply_holds_up_an_alert_for_long() {
    let post = Post::open().await;
    let courier = post.start();
    let mut pending = vec![send_first(&post, chat(1)).await];
    for _ in 1..5 {
        pending.push(try_send(&post, chat(1)).unwrap());
    }
    post.until_messages(1, MINUTE).await;
    post.put_entries(1, 1..=1).await;
    let took = post.until_messages(6, MINUTE).await;
    assert!(took >= Duration::from_secs(4), "one a second: {took:?}");
    assert_eq!(post.sim.stats().too_many_requests(), 0, "{:?}", post.sim.stats());
    let entry = post.texts(1).iter().position(|text| text.starts_with("🟢 BUY")).unwrap();
    assert!(entry <= 3, "{:?}", post.texts(1));
    for pending in pending {
        assert!(is_sent(pending).await);
    }
    courier.stop(&post).await;
}

#[tokio::test]
async fn a_full_queue_is_told_and_what_was_taken_arrives() {
    let post = Post::open().await;
    let courier = post.start();
    send_first(&post, chat(1)).await;
    post.until_messages(1, MINUTE).await;
    for _ in 0..REPLIES_OF_CHAT_MAX {
        try_send(&post, chat(1)).unwrap();
    }
    assert_eq!(try_send(&post, chat(1)).unwrap_err(), ReplyRefused::ChatFull);
    for n in REPLIES_OF_CHAT_MAX..REPLIES_MAX {
        try_send(&post, STRANGERS + i64::try_from(n).unwrap()).unwrap();
    }
    assert_eq!(try_send(&post, chat(2)).unwrap_err(), ReplyRefused::LaneFull);
    post.until_messages(1 + u64::try_from(REPLIES_MAX).unwrap(), MINUTE).await;
    try_send(&post, chat(2)).unwrap();
    courier.stop(&post).await;
}

#[tokio::test]
async fn an_answer_of_telegram_is_told_and_its_wait_is_kept_by_all_that_goes_to_the_chat() {
    let post = Post::open().await;
    let wait = FaultAction::TooManyRequests { retry_after: 20, scope: FreezeScope::Chat };
    post.sim.inject_fault(InjectedFault::new(wait).chat(chat(1)).times(1));
    let courier = post.start();
    let asked_to_wait = send_first(&post, chat(1)).await;
    post.until(MINUTE, async || post.sim.stats().too_many_requests() == 1).await;
    post.put_entries(1, 1..=1).await;
    let took = post.until_messages(1, MINUTE).await;
    assert!(took >= Duration::from_secs(19), "{took:?}");
    let told = asked_to_wait.outcome().await;
    assert!(matches!(told, ReplyOutcome::Answered(ChannelAnswer::Throttled { .. })), "{told:?}");
    assert_eq!((post.sim.stats().too_many_requests(), post.texts(1).len()), (1, 1), "it is not tried again by itself");
    courier.stop(&post).await;
}

#[tokio::test]
async fn whoever_stops_says_what_did_not_leave_and_takes_no_more() {
    let post = Post::open().await;
    let courier = post.start();
    let first = send_first(&post, chat(1)).await;
    post.until_messages(1, MINUTE).await;
    let waits = try_send(&post, chat(1)).unwrap();
    let late = post
        .app
        .replies
        .try_send(&LaneName::of_bot("1"), Reply { deadline_at: post.clock_now(), ..reply(&post, chat(1), "late") });
    post.clock.advance(Duration::from_millis(500));
    post.until(MINUTE, async || true).await;
    courier.stop(&post).await;
    assert!(is_sent(first).await);
    assert_eq!(waits.outcome().await, ReplyOutcome::Unsent);
    let late = late.unwrap().outcome().await;
    assert!(matches!(late, ReplyOutcome::TooLate | ReplyOutcome::Unsent), "{late:?}");
    assert_eq!(try_send(&post, chat(1)).unwrap_err(), ReplyRefused::NotServed);
}
