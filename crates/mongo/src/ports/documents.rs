//! Documents as such: read by id, in order, by a unique field. Writing them: [`crate::ports::documents::write`].

pub(crate) mod changes;
pub(crate) mod list;
pub(crate) mod write;

use alertcast_core::decision::DecisionChunk;
use alertcast_core::delivery::{CauseKind, Delivery};
use alertcast_core::id::{AlertId, ConfigId, UserId};
use alertcast_core::reading::unpack_what_is_there;
use alertcast_core::store::{
    AudienceChange, Collection, DocumentStore, DocumentWrite, ListPage, ListQuery, OpenTrades, PROFILE_FIELDS,
    StoreError, StoreResult, secret, secret_key,
};
use alertcast_core::trade::document::TradeStatus;
use async_trait::async_trait;
use bson::oid::ObjectId;
use bson::spec::BinarySubtype;
use bson::{Binary, Bson, Document, RawDocumentBuf, doc};
use futures::TryStreamExt;

use crate::engine::query::{MongoQuery, whole};
use crate::engine::setup;
use crate::error::{MongoError, MongoResult};
use crate::store::MongoStore;

/// So many ids are asked for at once.
const IDS_MAX: usize = 1_000;

/// How many bytes of a delivery's key follow its cause.
const KEY_TAIL_BYTES: usize = 26;

#[async_trait]
impl DocumentStore for MongoStore {
    async fn setup(&self) -> StoreResult<()> {
        setup::setup(self).await
    }

    async fn get(&self, collection: Collection, ids: &[ObjectId]) -> StoreResult<Vec<Document>> {
        let mut found = Vec::with_capacity(ids.len());
        for some in ids.chunks(IDS_MAX) {
            found.extend(self.find(collection, MongoQuery::new(doc! { "_id": { "$in": some.to_vec() } })).await?);
        }
        Ok(found)
    }

    async fn page_bytes(
        &self,
        collection: Collection,
        after: Option<ObjectId>,
        limit: usize,
    ) -> StoreResult<Vec<Vec<u8>>> {
        let filter = after.map_or_else(Document::new, |after| doc! { "_id": { "$gt": after } });
        let found = self.find_raw(collection, MongoQuery::new(filter).sort_by(doc! { "_id": 1 }).limit(limit)).await?;
        Ok(found.into_iter().map(RawDocumentBuf::into_bytes).collect())
    }

    async fn find_unique(&self, collection: Collection, fields: &[(&str, Bson)]) -> StoreResult<Option<Document>> {
        collection.check_unique_by(fields)?;
        let filter = fields.iter().map(|(field, value)| ((*field).to_owned(), doc! { "$eq": value.clone() }.into()));
        self.find_first(collection, MongoQuery::new(filter.collect())).await
    }

    async fn find_profile(&self, telegram_user_id: &str) -> StoreResult<Option<Document>> {
        let told: Document = PROFILE_FIELDS.iter().map(|name| ((*name).to_owned(), 1.into())).collect();
        self.find_first(Collection::Users, MongoQuery::new(doc! { "telegram.userId": telegram_user_id }).fields(told))
            .await
    }

    async fn open_trades_by_config(&self, user: UserId) -> StoreResult<Vec<OpenTrades>> {
        self.link.run_bounded(open_trades_by_config(self, user)).await
    }

    async fn list(&self, query: &ListQuery) -> StoreResult<ListPage> {
        list::list(self, query).await
    }

    async fn count(&self, collection: Collection) -> StoreResult<u64> {
        self.link.run_bounded(async { Ok(self.collection(collection).count_documents(doc! {}).await?) }).await
    }

    async fn write(&self, writes: Vec<DocumentWrite>) -> StoreResult<()> {
        write::write(self, writes).await
    }

    async fn changes_since(&self, seq: i64, limit: usize) -> StoreResult<Vec<AudienceChange>> {
        changes::since(self, seq, limit).await
    }

    async fn last_change(&self) -> StoreResult<i64> {
        changes::last(self).await
    }

    async fn first_change(&self) -> StoreResult<Option<i64>> {
        changes::first(self).await
    }

    async fn purge_changes(&self, seq: i64, limit: usize) -> StoreResult<bool> {
        changes::purge(self, seq, limit).await
    }

    async fn decisions(
        &self,
        alert: AlertId,
        after: Option<UserId>,
        limit_chunks: usize,
    ) -> StoreResult<Vec<DecisionChunk>> {
        let mut filter = doc! { "alertId": alert };
        if let Some(after) = after {
            // The chunk that `after` lies in may go on behind it; none before that one does.
            let within = doc! { "alertId": alert, "firstUser": { "$lte": after } };
            let query = MongoQuery::new(within).sort_by(doc! { "firstUser": -1 }).fields(doc! { "firstUser": 1 });
            let first = self.find_first(Collection::Decisions, query).await?;
            if let Some(first) = first.and_then(|mut chunk| chunk.remove("firstUser")) {
                filter.insert("firstUser", doc! { "$gte": first });
            }
            filter.insert("lastUser", doc! { "$gt": after });
        }
        let query = MongoQuery::new(filter).sort_by(doc! { "firstUser": 1 }).limit(limit_chunks);
        self.find_as(Collection::Decisions, query).await
    }

    async fn deliveries_of(&self, alert: AlertId, after: Option<&[u8]>, limit: usize) -> StoreResult<Vec<Delivery>> {
        let edge = |byte: u8| {
            let mut bytes = vec![CauseKind::Alert as u8];
            bytes.extend_from_slice(&alert.bytes());
            bytes.extend_from_slice(&[byte; KEY_TAIL_BYTES]);
            key(bytes)
        };
        let mut range = doc! { "$gte": edge(0), "$lte": edge(0xff) };
        if let Some(after) = after {
            range.insert("$gt", key(after.to_vec()));
        }
        let query = MongoQuery::new(doc! { "key": range }).sort_by(doc! { "key": 1 }).limit(limit);
        self.find_as(Collection::Deliveries, query).await
    }

    async fn signing_key(&self, name: &str, fresh: [u8; 32]) -> StoreResult<[u8; 32]> {
        self.link.run_bounded(signing_key(self, name, fresh)).await
    }
}

/// The seed's aggregation (6.3).
async fn open_trades_by_config(store: &MongoStore, user: UserId) -> MongoResult<Vec<OpenTrades>> {
    let stages = vec![
        doc! { "$match": { "userId": user, "status": TradeStatus::Open } },
        doc! { "$group": { "_id": "$alertConfigId", "count": { "$sum": 1 } } },
        doc! { "$lookup": {
            "from": Collection::AlertConfigurations.name(), "localField": "_id", "foreignField": "_id", "as": "config",
        } },
    ];
    let found = store.collection(Collection::Trades).aggregate(stages).with_type::<RawDocumentBuf>().await?;
    let groups: Vec<RawDocumentBuf> = found.try_collect().await?;
    let groups = groups.iter().map(|group| unpack_what_is_there(Collection::Trades, group.as_bytes()));
    let mut all = groups.map(open_trades).collect::<StoreResult<Vec<OpenTrades>>>()?;
    all.sort_by_key(|open| open.config);
    Ok(all)
}

fn open_trades(mut group: Document) -> StoreResult<OpenTrades> {
    let config = group.get_object_id("_id").map(ConfigId);
    let count = group.get("count").and_then(whole).map(i64::unsigned_abs);
    let (Ok(config), Some(count)) = (config, count) else {
        return Err(StoreError::Corrupt("trades: a trade without a configuration".to_owned()));
    };
    let document = match group.remove("config") {
        Some(Bson::Array(mut found)) => found.pop().and_then(|found| match found {
            Bson::Document(found) => Some(found),
            _ => None,
        }),
        _ => None,
    };
    Ok(OpenTrades { config, count, document })
}

async fn signing_key(store: &MongoStore, name: &str, fresh: [u8; 32]) -> MongoResult<[u8; 32]> {
    let secrets = store.collection(Collection::Secrets);
    match secrets.insert_one(secret(name, fresh)).await.map_err(MongoError::from) {
        Ok(_) => Ok(fresh),
        Err(fault) if fault.is_duplicate(Collection::Secrets, "_id") => {
            let kept = secrets.find_one(doc! { "_id": name }).await?;
            Ok(secret_key(&kept.unwrap_or_default())?)
        }
        Err(fault) => Err(fault),
    }
}

const fn key(bytes: Vec<u8>) -> Binary {
    Binary { subtype: BinarySubtype::Generic, bytes }
}
