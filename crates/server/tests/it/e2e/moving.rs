//! Groups: those that became supergroups and have another id, and those with topics.

use alertcast::moved_chats::MovedChats;
use alertcast_conformance::scene::set;
use alertcast_core::delivery::{Delivery, MessageKind};
use alertcast_core::fixtures::user_id;
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
async fn what_is_for_a_deleted_topic_goes_to_the_general_one_and_the_operators_hear_of_it_once() {
    let world = small_world().user(4, 1, |user| {
        user.telegram.chat_id = Some(GROUP.to_string());
        user.alertcast.topic_id = Some(Count(5));
    });
    let mut app =
        App::start_with(world, |settings| settings.telegram.operator_chats = vec![format!("{GROUP}:7")]).await;
    app.sim.add_topic(GROUP, 5);
    app.sim.add_topic(GROUP, 7);
    app.done(buy(100.0)).await;
    app.sim.delete_topic(GROUP, 5);
    app.done(tp_hit(112.0)).await;
    app.done(buy(100.0)).await;
    app.sim.add_topic(GROUP, 5);
    app.done(tp_hit(112.0)).await;
    let there = |told: &str| {
        let told = app.sim.messages_to(GROUP).into_iter().filter(|message| message.plain.contains(told));
        told.map(|message| (message.topic, message.edits.len())).collect::<Vec<_>>()
    };
    // Results are written wherever the entries stand.
    assert_eq!(there("BUY  SYM1"), [(Some(5), 1), (None, 1)]);
    assert_eq!(there("TAKE PROFIT HIT"), [(None, 0), (Some(5), 0)]);
    assert_eq!(there("A group's topic is not there"), [(Some(7), 0)]);
    assert_eq!(there("topicId"), [(Some(7), 0)], "with what to do");
    let books = app.finish().await;
    let told = |delivery: &&Delivery| delivery.user_id == Some(user_id(4)) && delivery.kind != MessageKind::Result;
    let mut marks: Vec<_> = books.deliveries.values().filter(told).map(|one| (one.queued_at, one.topic_gone)).collect();
    marks.sort_unstable();
    assert_eq!(marks.into_iter().map(|(_, gone)| gone).collect::<Vec<_>>(), [false, true, true, false]);
}

#[tokio::test]
async fn the_operators_own_topic_may_be_the_deleted_one() {
    let app =
        App::start_with(small_world(), |settings| settings.telegram.operator_chats = vec![format!("{GROUP}:7")]).await;
    app.sim.start_chat(BOT, GROUP);
    for strategy in ["One", "Two"] {
        let refused = app.post(&with(alert(1, "BUY", 100.0), json!({ "strategy": strategy }))).await;
        assert_eq!(refused.status, 422);
        app.quiet().await;
    }
    let told = app.sim.messages_to(GROUP);
    assert!(told.iter().all(|message| message.topic.is_none()), "{told:?}");
    let about_it = told.iter().filter(|message| message.plain.contains("telegram.operator_chats")).count();
    assert_eq!((told.len(), about_it), (3, 1), "{told:?}");
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
