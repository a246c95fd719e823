//! Rules of [`Outbox::move_chat`](alertcast_core::store::Outbox::move_chat): a group that became a supergroup is followed.

use bson::doc;

use super::StoreHarness;
use super::dump::{one, raw};
use super::scene::{TELEGRAM, TestScene, set};
use super::unreadable::spoil;
use alertcast_core::delivery::Channel::Telegram;
use alertcast_core::delivery::{Delivery, DeliveryState as S};
use alertcast_core::fixtures::*;
use alertcast_core::store::Collection;
use alertcast_core::user::User;

const OLD: &str = "-77";
const NEW: &str = "-1000077";

async fn chats(scene: &TestScene, users: u32) -> Vec<String> {
    let mut chats = Vec::new();
    for n in 1..=users {
        let user: User = one(&*scene.store, Collection::Users, user_id(n)).await;
        chats.push(user.telegram.chat_id.unwrap());
    }
    chats
}

pub async fn a_group_with_another_id_is_followed_everywhere(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 4).await;
    let group = |topic: Option<i64>| match topic {
        None => doc! { "telegram.chatId": OLD },
        Some(topic) => doc! { "telegram.chatId": OLD, "alertcast.topicId": topic },
    };
    let blocked = doc! { "alertcast.chatBlockedAt": at(1), "alertcast.blockedChatId": OLD };
    for (n, fields) in [(1, group(None)), (2, group(Some(5))), (1, blocked)] {
        scene.store.write(vec![set(Collection::Users, user_id(n), fields)]).await.unwrap();
    }
    let to = |by: u32, to: &str, state| Delivery { to: to.to_owned(), state, ..entry(Telegram, by, 1, 1) };
    let put = [
        to(11, OLD, S::Pending),
        to(12, "-77:5", S::Pending),
        to(13, OLD, S::Held),
        to(14, OLD, S::Sent),
        to(15, "-777", S::Pending),
        to(16, "-77;", S::Pending),
    ];
    scene.put_deliveries(&put).await;
    let seen = scene.store.last_change().await.unwrap();
    assert_eq!(scene.store.move_chat(OLD, NEW, at(3)).await, Ok(5));
    assert_eq!(chats(&scene, 4).await, [NEW, NEW, &chat(3), &chat(4)]);
    let moved: User = one(&*scene.store, Collection::Users, user_id(1)).await;
    assert_eq!((moved.chat_blocked_since(), moved.updated_at), (Some(at(1)), at(3)), "it refuses us still");
    let topic: User = one(&*scene.store, Collection::Users, user_id(2)).await;
    assert_eq!(topic.alertcast.topic_id.map(|topic| topic.0), Some(5));
    assert_eq!(raw(&*scene.store, Collection::Users, user_id(2)).await.get("foreign"), Some(&foreign().into()));
    let mut places = Vec::new();
    for one_put in &put {
        places.push(one::<Delivery>(&*scene.store, Collection::Deliveries, one_put.id).await.to);
    }
    assert_eq!(places, [NEW, "-1000077:5", NEW, OLD, "-777", "-77;"], "what is held goes there when it is released");
    let changes = scene.store.changes_since(seen, 10).await.unwrap();
    let mut changed: Vec<_> = changes.iter().map(|change| change.id).collect();
    changed.sort();
    assert_eq!(changed, [user_id(1).0, user_id(2).0]);
}

pub async fn a_chat_that_is_nobodys_moves_nobody(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 2).await;
    scene.open(1, 1..=2, TELEGRAM).await;
    let before = scene.dump().await;
    assert_eq!(scene.store.move_chat(OLD, NEW, at(3)).await, Ok(0));
    before.assert_same(&scene.dump().await);
}

pub async fn a_message_that_cannot_be_read_moves_with_its_group(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    let to = |by: u32, to: &str| Delivery { to: to.to_owned(), ..entry(Telegram, by, 1, 1) };
    let put = [to(11, OLD), to(12, "-77:5"), to(13, OLD)];
    scene.put_deliveries(&put).await;
    for one in &put[..2] {
        spoil(&scene, Collection::Deliveries, one.id, "facts", 5).await;
    }
    assert_eq!(scene.store.move_chat(OLD, NEW, at(3)).await, Ok(3));
    for (one, place) in put.iter().zip([NEW, "-1000077:5", NEW]) {
        let kept = raw(&*scene.store, Collection::Deliveries, one.id).await;
        assert_eq!(kept.get_str("to").unwrap(), place);
    }
}
