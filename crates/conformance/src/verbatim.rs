//! Rules about data that others sent: they are kept as they came, and never taken for anything else.

use bson::oid::ObjectId;
use bson::{Bson, Document, doc};

use super::StoreHarness;
use super::dump::{find, raw};
use super::scene::{TestScene, insert, set};
use alertcast_core::alert::document::{Alert, AlertStatus};
use alertcast_core::fixtures::audit;
use alertcast_core::fixtures::*;
use alertcast_core::store::{AcceptRefused, Collection, DocumentWrite, EraseUser, PARTITIONS};

/// What extended JSON has a name for: as it would be a value of that type, and as it would be none.
fn lookalikes() -> Vec<Document> {
    let mut all: Vec<Document> = TAG_NAMES
        .iter()
        .flat_map(|tag| {
            [
                Bson::from("x"),
                1.into(),
                true.into(),
                Bson::Null,
                doc! { "t": 1, "i": 2 }.into(),
                Bson::Array(vec![1.into()]),
            ]
            .into_iter()
            .map(|value| doc! { *tag: value })
        })
        .collect();
    all.extend([
        doc! { "$oid": "507f1f77bcf86cd799439011" },
        doc! { "$date": "2026-11-28T00:00:00Z" },
        doc! { "$numberLong": "7" },
        doc! { "$numberDecimal": "7.5" },
        doc! { "$uuid": "c8edabc3-f738-4ca3-b68d-ab92a91478a3" },
        doc! { "$binary": { "base64": "AQID", "subType": "00" } },
        doc! { "$regularExpression": { "pattern": "a", "options": "i" } },
        doc! { "$code": "1", "$scope": {} },
        doc! { "$ref": "a", "$id": "b" },
        doc! { "x": "$price", "$y": "$$ROOT" },
    ]);
    all
}

/// All of them at several depths.
fn data() -> Document {
    let mut data = Document::new();
    for (n, one) in lookalikes().into_iter().enumerate() {
        let nested = doc! { "list": [one.clone(), { "deep": one.clone() }] };
        data.insert(format!("x{n}"), one);
        data.insert(format!("y{n}"), nested);
    }
    data.extend(doc! { "a.b": 1, "a": { "b.c": 2, "$d": 3 } });
    data
}

fn with_data(mut alert: Alert) -> Alert {
    alert.webhook.raw_payload = data();
    alert.alert_data.additional_data = Some(data());
    alert.alert_data.strategy = "$price".to_owned();
    alert.alertcast.comment = Some("$$ROOT".to_owned());
    alert
}

fn everywhere() -> Vec<i32> {
    (0..PARTITIONS).collect()
}

pub async fn data_is_kept_as_it_came_and_read_as_it_stands(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    let sent = with_data(alert(1, 1));
    scene.store.accept_alert(sent.clone(), Vec::new(), at(1)).await.unwrap();
    let pending = scene.store.pending_alerts(&everywhere(), &[], 10).await.unwrap();
    let [read] = pending.as_slice() else { panic!("it is not pending: {pending:?}") };
    assert_eq!(read.webhook.raw_payload, data());
    assert_eq!(read.alert_data, sent.alert_data);
    assert_eq!(read.alertcast.comment, sent.alertcast.comment);
    let kept = raw(&*scene.store, Collection::Alerts, alert_id(1)).await;
    assert_eq!(kept.get_document("webhook").unwrap().get_document("rawPayload").unwrap(), &data());
    let page = scene.store.page(Collection::Alerts, None, 10).await.unwrap();
    assert_eq!(page, [kept]);
}

pub async fn of_a_refused_alert_data_stay_data_through_its_acceptance(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    let refused = with_data(refused_alert(1, 1, &["age"]));
    scene.store.refuse_alert(refused.clone(), Vec::new()).await.unwrap();
    let mut accepted = refused.clone();
    accepted.processing.status = AlertStatus::Received;
    accepted.alertcast.refused_for.clear();
    accepted.alertcast.accepted_at = Some(at(9));
    let accept = AcceptRefused { alert: accepted, now: at(9), also: Vec::new() };
    scene.store.accept_refused(accept).await.unwrap();
    let pending = scene.store.pending_alerts(&everywhere(), &[], 10).await.unwrap();
    assert_eq!(pending.len(), 1);
    assert_eq!(pending[0].webhook.raw_payload, data());
    assert_eq!(pending[0].alert_data, refused.alert_data);
}

pub async fn what_an_act_changed_is_recorded_as_it_was(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    let mut entry = audit(1, Collection::Users, user_id(1).0);
    let mut before = data();
    before.insert("email", "a@b.cd");
    (entry.before, entry.after) = (Some(before), Some(data()));
    scene.store.write(vec![insert(Collection::AuditLog, &entry)]).await.unwrap();
    let kept = find(&*scene.store, Collection::AuditLog, entry.id).await.unwrap();
    assert_eq!(kept.get_document("after").unwrap(), &data());
    // Erasing the person writes the record anew, without them.
    scene
        .store
        .erase_user(EraseUser { user: user_id(1), now: at(9), expect: Vec::new(), also: Vec::new() })
        .await
        .unwrap();
    let kept = find(&*scene.store, Collection::AuditLog, entry.id).await.unwrap();
    assert_eq!(kept.get_document("before").unwrap(), &data());
    assert_eq!(kept.get_document("after").unwrap(), &data());
}

pub async fn what_an_update_sets_is_data(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    for one in lookalikes() {
        let write = set(Collection::Users, user_id(1), doc! { "others": one.clone() });
        scene.store.write(vec![write]).await.unwrap();
        let kept = raw(&*scene.store, Collection::Users, user_id(1)).await;
        assert_eq!(kept.get_document("others").unwrap(), &one);
    }
    for text in ["$price", "$$ROOT", "$"] {
        let write = set(Collection::Users, user_id(1), doc! { "profile.name": text });
        scene.store.write(vec![write]).await.unwrap();
        let kept = raw(&*scene.store, Collection::Users, user_id(1)).await;
        assert_eq!(kept.get_document("profile").unwrap().get_str("name").unwrap(), text);
    }
    let id = ObjectId::from_bytes([77; 12]);
    let document = doc! { "_id": id, "receivedAt": at(1), "body": data() };
    let write = DocumentWrite::Insert { collection: Collection::RejectedWebhooks, document: document.clone() };
    scene.store.write(vec![write]).await.unwrap();
    assert_eq!(find(&*scene.store, Collection::RejectedWebhooks, id).await.unwrap(), document);
}
