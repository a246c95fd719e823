//! Rules of [`Documents`](alertcast_core::store::Documents): reading one alert's decisions and deliveries, and the seed's two
//! queries (6.3).

use bson::{Document, doc};

use super::StoreHarness;
use super::dump::{every, raw};
use super::scene::{BOTH, TELEGRAM, TestScene, finish_commit, insert, opening_commit, people};
use alertcast_core::decision::{DecidedAction, Decision, DecisionChunk};
use alertcast_core::delivery::Delivery;
use alertcast_core::fixtures::*;
use alertcast_core::id::UserId;
use alertcast_core::store::{Collection, DocumentWrite, read};
use alertcast_core::trade::document::TradeStatus;

/// Alert 1 in three chunks of two users each; alert 2 in one.
async fn scene_decided(harness: &dyn StoreHarness) -> TestScene {
    let scene = TestScene::new(harness, 6).await;
    scene.accept(1, 1).await;
    for (users, seen) in [(1..=2, None), (3..=4, Some(2)), (5..=6, Some(4))] {
        let mut chunk = opening_commit(&scene.work, 1, 1, users, BOTH);
        chunk.cursor_seen = seen.map(user_id);
        scene.store.commit(chunk).await.unwrap();
    }
    scene.accept(2, 2).await;
    scene.store.commit(finish_commit(opening_commit(&scene.work, 2, 2, 1..=6, TELEGRAM), at(9))).await.unwrap();
    scene
}

pub async fn decisions_come_by_user_chunk_by_chunk(harness: &dyn StoreHarness) {
    let scene = scene_decided(harness).await;
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

pub async fn decisions_of_earlier_versions_are_read_as_those_of_today(harness: &dyn StoreHarness) {
    let scene = scene_decided(harness).await;
    let want = scene.store.decisions(alert_id(1), None, 10).await.unwrap();
    for mut kept in every(&*scene.store, Collection::Decisions).await {
        let chunk: DecisionChunk = read(Collection::Decisions, kept.clone()).unwrap();
        assert!(kept.remove("packed").is_some(), "{kept}");
        let id = kept.get_object_id("_id").unwrap();
        kept.insert("decisions", chunk.decisions.iter().map(as_it_was_kept).collect::<Vec<_>>());
        let delete = DocumentWrite::Delete { collection: Collection::Decisions, id };
        let insert = DocumentWrite::Insert { collection: Collection::Decisions, document: kept };
        scene.store.write(vec![delete, insert]).await.unwrap();
    }
    assert_eq!(scene.store.decisions(alert_id(1), None, 10).await, Ok(want));
}

/// A decision as it was kept before decisions were packed.
fn as_it_was_kept(decision: &Decision) -> Document {
    let action = |action: &DecidedAction| doc! { "k": action.action, "t": action.trade };
    let actions: Vec<Document> = decision.actions.iter().map(action).collect();
    doc! { "u": decision.user, "s": decision.subscription, "v": decision.verdict, "a": actions }
}

pub async fn an_alerts_deliveries_come_in_the_order_of_their_keys(harness: &dyn StoreHarness) {
    let scene = scene_decided(harness).await;
    let mut want: Vec<Delivery> = scene.dump().await.all(alertcast_core::store::Collection::Deliveries);
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

pub async fn a_subscriber_is_found_by_telegram_id_with_what_is_asked_for_alone(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    store.write(people(3, 1)).await.unwrap();
    let found = store.find_profile(&chat(2)).await.unwrap().unwrap();
    let whole = raw(&*store, Collection::Users, user_id(2)).await;
    let mut names: Vec<&String> = found.keys().collect();
    names.sort();
    assert_eq!(names, ["_id", "email", "preferences", "profile"]);
    assert!(found.iter().all(|(name, value)| whole.get(name) == Some(value)), "{found}");
    assert_eq!(store.find_profile("nobody").await, Ok(None));
}

pub async fn a_users_open_trades_are_counted_by_configuration(harness: &dyn StoreHarness) {
    let scene = TestScene::with_configs(harness, 2, 3).await;
    let mut trades = vec![trade(91, 3, 1, 1, &[]), trade(92, 1, 1, 1, &[]), trade(93, 3, 1, 2, &[])];
    trades.extend([trade(94, 3, 2, 1, &[]), trade(95, 2, 1, 1, &[])]);
    trades[4].status = TradeStatus::Closed;
    scene.store.write(trades.iter().map(|trade| insert(Collection::Trades, trade)).collect()).await.unwrap();
    let found = scene.store.open_trades_by_config(user_id(1)).await.unwrap();
    let counts: Vec<_> = found.iter().map(|open| (open.config, open.count)).collect();
    assert_eq!(counts, [(config_id(1), 1), (config_id(3), 2)]);
    for open in found {
        assert_eq!(open.document, Some(raw(&*scene.store, Collection::AlertConfigurations, open.config).await));
    }
    assert_eq!(scene.store.open_trades_by_config(user_id(9)).await, Ok(Vec::new()));
}
