//! Rules of [`Documents`](crate::store::Documents), reading one alert's decisions and deliveries.

use super::Harness;
use super::fixtures::*;
use super::scene::{BOTH, Scene, TELEGRAM, finished, opening};
use crate::delivery::Delivery;
use crate::id::UserId;

/// Alert 1 in three chunks of two users each; alert 2 in one.
async fn decided(harness: &dyn Harness) -> Scene {
    let scene = Scene::new(harness, 6).await;
    scene.accept(1, 1).await;
    for (users, seen) in [(1..=2, None), (3..=4, Some(2)), (5..=6, Some(4))] {
        let mut chunk = opening(&scene.work, 1, 1, users, BOTH);
        chunk.cursor_seen = seen.map(user_id);
        scene.store.commit(chunk).await.unwrap();
    }
    scene.accept(2, 2).await;
    scene.store.commit(finished(opening(&scene.work, 2, 2, 1..=6, TELEGRAM), at(9))).await.unwrap();
    scene
}

pub async fn decisions_come_by_user_chunk_by_chunk(harness: &dyn Harness) {
    let scene = decided(harness).await;
    let users = async |by: u32, after: Option<UserId>, limit: usize| {
        let chunks = scene.store.decisions(alert_id(by), after, limit).await.unwrap();
        assert!(chunks.len() <= limit);
        let above = chunks.iter().flat_map(|chunk| &chunk.decisions).map(|decision| decision.user);
        above.filter(|user| Some(*user) > after).map(|user| number(user.0)).collect::<Vec<_>>()
    };
    assert_eq!(users(1, None, 10).await, [1, 2, 3, 4, 5, 6]);
    assert_eq!(users(1, None, 2).await, [1, 2, 3, 4]);
    assert_eq!(users(1, Some(user_id(4)), 2).await, [5, 6]);
    assert_eq!(users(1, Some(user_id(6)), 2).await, [0; 0]);
    assert_eq!(users(2, None, 10).await, [1, 2, 3, 4, 5, 6]);
    assert_eq!(users(3, None, 10).await, [0; 0]);
    // One user's: the first chunk above the id before theirs.
    assert_eq!(users(1, Some(user_id(3)), 1).await, [4]);
}

pub async fn an_alerts_deliveries_come_in_the_order_of_their_keys(harness: &dyn Harness) {
    let scene = decided(harness).await;
    let mut want: Vec<Delivery> = scene.dump().await.all(crate::store::Collection::Deliveries);
    want.retain(|delivery| delivery.alert_id == Some(alert_id(1)));
    want.sort_by(|a, b| a.key.bytes.cmp(&b.key.bytes));
    assert_eq!(want.len(), 12);
    assert_eq!(scene.store.deliveries_of(alert_id(1), None, 100).await.as_ref(), Ok(&want));
    let mut walked: Vec<Delivery> = Vec::new();
    loop {
        let after = walked.last().map(|last| last.key.bytes.clone());
        let page = scene.store.deliveries_of(alert_id(1), after.as_deref(), 5).await.unwrap();
        assert!(page.len() <= 5);
        if page.is_empty() {
            break;
        }
        walked.extend(page);
    }
    assert_eq!(walked, want);
    assert_eq!(scene.store.deliveries_of(alert_id(3), None, 100).await, Ok(Vec::new()));
}
