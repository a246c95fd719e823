//! Whatever Telegram, or who stands before it, answers: the others get their messages, and nobody waits for years.

use std::time::Duration;

use alertcast::channel::RetryAfter;
use alertcast_core::delivery::{Delivery, DeliveryState};
use alertcast_core::fixtures::{self, at};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngSeed, TestRunner};

use super::liar::{Liar, Lie};
use super::post::{Post, Setup, chat, entry};
use super::{HOUR, MINUTE};

/// A post office whose Telegram can be made to lie.
async fn office(users: u32) -> (Post, Liar) {
    let liar = Liar::start().await;
    let setup = Setup { users, liar: Some(liar.clone()), timeout: Duration::from_secs(2), ..Setup::default() };
    (Post::with(setup).await, liar)
}

/// Of no use to anybody: not sent, or sent without a number; and if it is tried again, within the hour.
#[track_caller]
fn assert_bounded(post: &Post, delivery: &Delivery, what: &str) {
    let latest = post.clock_now() + RetryAfter::MAX;
    assert!(delivery.due_at <= latest, "{what}: {delivery:?}");
    assert!(delivery.message_id.is_none_or(|id| (1..=i64::from(i32::MAX)).contains(&id)), "{what}: {delivery:?}");
    let error = delivery.last_error.as_deref().unwrap_or_default();
    assert!(error.chars().count() <= 400 && !error.contains(char::is_control), "{what}: {error}");
}

#[tokio::test]
async fn an_extreme_answer_costs_one_message_an_hour_at_most_and_nobody_else_anything() {
    let too_many = |retry_after: &str| {
        let body = format!(
            r#"{{"ok":false,"error_code":429,"description":"Too Many Requests","parameters":{{"retry_after":{retry_after}}}}}"#
        );
        Lie::http(429, &body)
    };
    let sent = |id: &str| Lie::http(200, &format!(r#"{{"ok":true,"result":{{"message_id":{id}}}}}"#));
    let deep = format!(r#"{{"ok":true,"result":{}{}}}"#, "[".repeat(20_000), "]".repeat(20_000));
    let endless = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    let lies = [
        too_many("18446744073709551615"),
        too_many("18446744073709551616"),
        too_many("1000000000"),
        too_many("-1"),
        too_many("1e308"),
        too_many("\"soon\""),
        Lie::http(429, "<html>slow down</html>"),
        sent("9223372036854775807"),
        sent("-1"),
        sent("1e40"),
        sent("{}"),
        Lie::http(200, &deep),
        Lie::http(200, "<html>welcome</html>"),
        Lie::http(599, ""),
        Lie::http(999, "{}"),
        Lie::Bytes(Vec::new()),
        Lie::Bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n{".to_vec()),
        Lie::Bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\n{".to_vec()),
        Lie::Bytes(b"220 mail.example.com ESMTP\r\n".to_vec()),
        Lie::Endless(endless, format!("ffff\r\n{}\r\n", "x".repeat(0xffff)).into_bytes()),
        Lie::Endless(b"HTTP/1.1 200 OK\r\n".to_vec(), b"X-More: of it\r\n".to_vec()),
    ];
    // Each lie is told to somebody else: who is to wait for an hour keeps nobody from the next.
    let (post, liar) = office(30).await;
    let courier = post.start();
    for (by, lie) in (1..).zip(lies) {
        let (user, what) = (by + 2, format!("{lie:.60?}"));
        liar.lie(chat(user), lie);
        post.put_entries(by, user..=user).await;
        post.put(&[], &[entry(by, 1), entry(by, 2)]).await;
        let told = usize::try_from(by).unwrap();
        post.until(MINUTE, async || liar.told() == told).await;
        for user in [1, 2] {
            post.until_state(entry(by, user).id, DeliveryState::Sent, MINUTE).await;
        }
        post.until(MINUTE, async || post.delivery(entry(by, user).id).await.state != DeliveryState::Sending).await;
        assert_bounded(&post, &post.delivery(entry(by, user).id).await, &what);
    }
    courier.stop(&post).await;
}

#[tokio::test]
async fn a_bot_that_is_told_to_wait_for_years_tries_one_message_an_hour() {
    let (post, liar) = office(20).await;
    let years = r#"{"ok":false,"error_code":429,"parameters":{"retry_after":1000000000}}"#;
    for user in 1..=20 {
        for _ in 0..3 {
            liar.lie(chat(user), Lie::http(429, years));
        }
    }
    let day = |user| Delivery { deadline_at: at(86_400), ..entry(1, user) };
    post.put(&[fixtures::alert(1, 1)], &(1..=20).map(day).collect::<Vec<_>>()).await;
    let courier = post.start();
    post.until(MINUTE, async || liar.told() >= 3).await;
    post.pass(MINUTE).await;
    let told = liar.told();
    assert!(told <= 16, "no more than were under way at once: {told}");
    post.pass(3 * HOUR + MINUTE).await;
    let probes = liar.told() - told;
    assert!((2..=4).contains(&probes), "{probes} in three hours");
    for delivery in post.deliveries().await {
        assert_bounded(&post, &delivery, "for years");
    }
    courier.stop(&post).await;
}

/// Answers of every kind but those that are meant for a whole bot.
fn lie() -> impl Strategy<Value = Lie> {
    let status = prop_oneof![Just(200_u16), Just(400), Just(403), Just(500), 200_u16..=600]
        .prop_filter("asks the whole bot", |status| ![401, 404, 429].contains(status));
    let number = prop_oneof![any::<i64>().prop_map(|n| n.to_string()), any::<f64>().prop_map(|n| n.to_string())];
    let word = prop_oneof![number, Just("null".to_owned()), Just("\"\\u0000\"".to_owned()), Just("[{}]".to_owned())];
    let code = prop_oneof![Just("400".to_owned()), Just("403".to_owned()), word.clone()]
        .prop_filter("asks the whole bot", |code| !["401", "404", "429"].contains(&code.as_str()));
    let json = (any::<bool>(), code, word.clone(), word).prop_map(|(ok, code, word, other)| {
        format!(
            r#"{{"ok":{ok},"error_code":{code},"description":{word},"parameters":{{"migrate_to_chat_id":{other}}},"result":{{"message_id":{word}}}}}"#
        )
    });
    let body = prop_oneof![json, ".{0,200}", Just("{\"ok\":true}".to_owned())];
    prop_oneof![
        4 => (status, body).prop_map(|(status, body)| Lie::http(status, &body)),
        1 => vec(any::<u8>(), 0..300).prop_map(Lie::Bytes),
    ]
}

#[tokio::test]
async fn random_answers_to_some_keep_nothing_from_the_others() {
    let (post, liar) = office(90).await;
    let seed = RngSeed::Fixed(20_261_122);
    let mut runner = TestRunner::new(Config { rng_seed: seed, ..Config::default() });
    for user in 1..=60 {
        liar.lie(chat(user), lie().new_tree(&mut runner).unwrap().current());
    }
    post.put_entries(1, 1..=90).await;
    let courier = post.start();
    post.until(10 * MINUTE, async || {
        let deliveries = post.deliveries().await;
        let others = deliveries.iter().filter(|one| one.user_id >= Some(entry(1, 61).user_id.unwrap()));
        liar.told() == 60 && others.clone().count() == 30 && others.clone().all(|one| one.state == DeliveryState::Sent)
    })
    .await;
    for delivery in post.deliveries().await {
        assert_bounded(&post, &delivery, "a random answer");
    }
    courier.stop(&post).await;
}
