//! What is left when a courier ends, in order or not.

use std::time::Duration;

use alertcast::courier::{self, CourierLane, LaneEnd};
use alertcast_core::delivery::DeliveryState;
use telegram_sim::{FaultAction, InjectedFault};
use tokio_util::sync::CancellationToken;

use super::post::{Post, Setup, chat, entry};
use super::{MINUTE, REPEAT};

#[tokio::test]
async fn after_a_crash_between_sending_and_recording_the_second_copy_says_so() {
    let post = Post::open().await;
    let stall = post.sim.inject_fault(InjectedFault::new(FaultAction::StallAnswer { ms: None }).chat(chat(1)).times(1));
    post.put_entries(1, 1..=2).await;
    let courier = post.start();
    post.until_messages(2, MINUTE).await;
    post.until_state(entry(1, 2).id, DeliveryState::Sent, MINUTE).await;
    assert_eq!(post.delivery(entry(1, 1).id).await.state, DeliveryState::Sending);
    courier.crash().await;
    post.sim.remove_fault(stall);

    let courier = post.start();
    let sent = post.until_state(entry(1, 1).id, DeliveryState::Sent, MINUTE).await;
    assert!(sent.possible_repeat);
    let texts = post.texts(1);
    assert_eq!(texts.len(), 2);
    assert!(!texts[0].contains(REPEAT) && texts[1].contains(REPEAT), "{}", texts[1]);
    assert_eq!(post.texts(2).len(), 1, "what was recorded is not sent again");
    assert_eq!(post.sim.stats().too_many_requests(), 0);
    courier.stop(&post).await;
}

#[tokio::test]
async fn when_it_stops_it_records_what_is_under_way_and_puts_the_rest_back() {
    let post = Post::with(Setup { users: 60, ..Setup::default() }).await;
    let stall = post.sim.inject_fault(InjectedFault::new(FaultAction::StallAnswer { ms: None }).times(3));
    post.put_entries(1, 1..=60).await;
    let courier = post.start();
    post.until_messages(10, MINUTE).await;
    let stopping = courier.stop(&post);
    let answering = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        post.sim.remove_fault(stall);
    };
    tokio::join!(stopping, answering);
    let deliveries = post.deliveries().await;
    let of = |state| deliveries.iter().filter(|delivery| delivery.state == state).count() as u64;
    assert_eq!(of(DeliveryState::Sent), post.sim.stats().messages);
    assert_eq!(of(DeliveryState::Sending), 0);
    assert!(deliveries.iter().all(|delivery| !delivery.possible_repeat));

    let courier = post.start();
    post.until_all_ended(MINUTE).await;
    assert_eq!(post.sim.stats().messages, 60);
    assert!((1..=60).all(|user| !post.texts(user)[0].contains(REPEAT)));
    courier.stop(&post).await;
}

#[tokio::test]
async fn who_has_lost_the_lease_stops_and_records_nothing() {
    let post = Post::open().await;
    let first = post.app.store.take_lease("tg:1", "first", None).await.unwrap().unwrap();
    post.put_entries(1, 1..=1).await;
    let stall = post.sim.inject_fault(InjectedFault::new(FaultAction::StallAnswer { ms: None }).times(1));
    let (app, fence) = (post.app.clone(), first.fence());
    let lost = tokio::spawn(async move {
        let mut lane = CourierLane::telegram(&app.settings.telegram, &app.settings.telegram.tokens[0]).unwrap();
        let never = CancellationToken::new();
        courier::run_lane(&app, &mut lane, fence, &never, &never).await
    });
    post.until_messages(1, MINUTE).await;
    let second = post.app.store.take_lease("tg:1", "second", Some(&first)).await.unwrap().unwrap();
    post.sim.remove_fault(stall);
    post.until(MINUTE, async || lost.is_finished()).await;
    assert_eq!(lost.await.unwrap(), LaneEnd::Lost);
    assert_eq!(post.delivery(entry(1, 1).id).await.state, DeliveryState::Sending);
    assert_eq!(post.app.store.recover(&second.fence(), post.clock_now()).await, Ok(1));
}

/// Points at which a test build can make the courier die. They act in the whole process, so one test walks them all.
#[cfg(feature = "failpoints")]
#[tokio::test]
async fn wherever_it_dies_each_message_arrives_and_of_two_copies_one_is_marked() {
    for (point, _) in courier::FAILPOINTS {
        let post = Post::with(Setup { users: 20, ..Setup::default() }).await;
        let scene = post.scene().await;
        scene.open(1, 1..=20, &[alertcast_core::delivery::Channel::Telegram]).await;
        fail::cfg(point, "1*panic(a test wants it so)").unwrap();
        let courier = post.start();
        post.until_all_ended(2 * MINUTE).await;
        fail::remove(point);
        for user in 1..=20 {
            let texts = post.texts(user);
            let marked = texts.iter().filter(|text| text.contains(REPEAT)).count();
            assert!(texts.len() == 1 || (texts.len() == 2 && marked == 1), "{point}: {texts:?}");
        }
        post.until(MINUTE, async || {
            scene.alert(1).await.alertcast.settled_at.is_some() || point == "courier::recorded"
        })
        .await;
        courier.stop(&post).await;
    }
}
