//! Groups: those that became supergroups and have another id, and those with topics.

use alertcast::moved::MovedChats;
use alertcast_core::conformance::fixtures::user_id;
use alertcast_core::conformance::scene::set;
use alertcast_core::money::Count;
use alertcast_core::store::Collection;
use bson::doc;
use serde_json::json;

use super::{buy, small_world, tp_hit};
use crate::harness::App;
use crate::harness::post::{alert, with};

const GROUP: i64 = -77;
const SUPERGROUP: i64 = -1_000_000_000_077;
const BOT: i64 = 101;

#[tokio::test]
async fn a_subscribers_group_that_became_a_supergroup_is_followed() {
    let world = small_world().user(4, 1, |user| user.telegram.chat_id = Some(GROUP.to_string()));
    let mut app = App::start(world).await;
    app.done(buy(100.0)).await;
    app.sim.migrate(GROUP, SUPERGROUP);
    app.allow.audience_changed = true;
    app.done(tp_hit(112.0)).await;
    app.done(buy(100.0)).await;
    let texts: Vec<String> = app.sim.messages_to(SUPERGROUP).into_iter().map(|message| message.plain).collect();
    assert_eq!(texts.len(), 2, "{texts:?}");
    assert!(texts[0].contains("TAKE PROFIT HIT") && texts[1].contains("BUY"), "{texts:?}");
    assert!(!texts[0].contains("May be a repeat"), "it was refused, and in no doubt: {}", texts[0]);
    let books = app.finish().await;
    assert_eq!(books.users[&user_id(4)].telegram.chat_id, Some(SUPERGROUP.to_string()));
}

#[tokio::test]
async fn a_topic_of_a_group_is_written_to_and_keeps_its_number_when_the_group_moves() {
    let world = small_world().user(4, 1, |user| {
        user.telegram.chat_id = Some(GROUP.to_string());
        user.alertcast.topic_id = Some(Count(5));
    });
    let mut app = App::start(world).await;
    app.sim.add_topic(GROUP, 5);
    app.done(buy(100.0)).await;
    app.sim.migrate(GROUP, SUPERGROUP);
    app.allow.audience_changed = true;
    app.done(tp_hit(112.0)).await;
    let topics = |chat| app.sim.messages_to(chat).into_iter().map(|message| message.topic).collect::<Vec<_>>();
    assert_eq!((topics(GROUP), topics(SUPERGROUP)), (vec![Some(5)], vec![Some(5)]));
    app.finish().await;
}

#[tokio::test]
async fn the_operators_group_is_followed_and_remembered() {
    let app =
        App::start_with(small_world(), |settings| settings.telegram.operator_chats = vec!["-77:7".to_owned()]).await;
    app.sim.start_chat(BOT, GROUP);
    app.sim.add_topic(GROUP, 7);
    app.sim.migrate(GROUP, SUPERGROUP);
    for strategy in ["One", "Two"] {
        let refused = app.post(&with(alert(1, "BUY", 100.0), json!({ "strategy": strategy }))).await;
        assert_eq!(refused.status, 422);
        app.quiet().await;
    }
    let topics: Vec<_> = app.sim.messages_to(SUPERGROUP).into_iter().map(|message| message.topic).collect();
    assert_eq!(topics, [Some(7), Some(7)]);
    // Who starts anew knows it at once.
    let moved = MovedChats::default();
    moved.load(&*app.store).await.unwrap();
    assert_eq!(moved.follow("-77:7"), format!("{SUPERGROUP}:7"));
    assert_eq!(moved.follow("-78"), "-78");
    app.finish().await;
}

#[tokio::test]
async fn a_subscriber_who_moves_to_another_chat_is_written_to_there_at_once() {
    let mut app = App::start(small_world()).await;
    app.sim.start_chat(BOT, GROUP);
    app.sim.add_topic(GROUP, 3);
    app.done(buy(100.0)).await;
    let there = doc! { "telegram.chatId": GROUP.to_string(), "alertcast.topicId": 3 };
    app.change(vec![set(Collection::Users, user_id(2), there)]).await;
    app.done(buy(101.0)).await;
    assert_eq!(app.sim.messages_to(GROUP)[0].topic, Some(3));
    app.finish().await;
}
