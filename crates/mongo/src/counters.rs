//! Counters in documents that others write too. One that holds something else than a number counts from zero, as the
//! embedded store has it: what a subscriber is sent does not wait for it to be mended.

use alertcast_core::money::Count;
use alertcast_core::store::Collection;
use alertcast_core::time::Time;
use bson::{Bson, Document, doc};

use crate::error::Result;
use crate::query::{Query, at_path, put};
use crate::transact::{Tx, Update};

/// What is added to the counters of one document.
#[derive(Debug, Clone)]
pub(crate) struct Raise {
    pub(crate) of: Bson,
    /// Paths of two steps, and by how much.
    pub(crate) counters: [(&'static str, i64); 2],
    /// A moment that only moves on.
    pub(crate) latest: Option<(&'static str, Time)>,
}

impl Tx {
    /// Adds to counters. A document that is gone is left out.
    pub(crate) async fn raise(&mut self, collection: Collection, raises: Vec<Raise>, now: Time) -> Result<()> {
        let plain = raises.iter().map(|raise| Update::new(raise.countable(), raise.update(now)));
        if self.updates(collection.name(), plain.collect()).await? == raises.len() {
            return Ok(());
        }
        let ids: Vec<Bson> = raises.iter().map(|raise| raise.of.clone()).collect();
        let fields: Document = raises.iter().flat_map(Raise::paths).map(|path| (path.to_owned(), 1.into())).collect();
        let kept = self.find(collection, Query::new(doc! { "_id": { "$in": ids } }).fields(fields)).await?;
        let left = raises.iter().filter(|raise| {
            let document = kept.iter().find(|document| document.get("_id") == Some(&raise.of));
            document.is_some_and(|document| !raise.counts_in(document))
        });
        let anew = left.map(|raise| Update::new(doc! { "_id": raise.of.clone() }, raise.anew(now)));
        self.updates(collection.name(), anew.collect()).await.map(drop)
    }
}

impl Raise {
    fn paths(&self) -> impl Iterator<Item = &'static str> {
        self.counters.iter().map(|(path, _)| *path)
    }

    /// Finds the document where all its counters are numbers. (`$type` would look into arrays.)
    fn countable(&self) -> Document {
        let numbers: Vec<Document> = self.paths().map(|path| doc! { "$isNumber": format!("${path}") }).collect();
        doc! { "_id": self.of.clone(), "$expr": { "$and": numbers } }
    }

    fn counts_in(&self, document: &Document) -> bool {
        let is_number =
            |value: &Bson| matches!(value, Bson::Int32(_) | Bson::Int64(_) | Bson::Double(_) | Bson::Decimal128(_));
        self.paths().all(|path| at_path(document, path).is_some_and(is_number))
    }

    fn update(&self, now: Time) -> Document {
        let mut update = Document::new();
        put(&mut update, "$set", "updatedAt", now);
        for (path, by) in self.counters {
            if by != 0 {
                put(&mut update, "$inc", path, Count(by));
            }
        }
        if let Some((path, at)) = self.latest {
            put(&mut update, "$max", path, at);
        }
        update
    }

    /// The same, whatever stands at the paths.
    fn anew(&self, now: Time) -> Vec<Document> {
        let mut around = Document::new();
        let mut set = doc! { "updatedAt": now };
        for (path, by) in self.counters {
            if let Some((parent, _)) = path.split_once('.') {
                let kept = format!("${parent}");
                let is_document = doc! { "$eq": [{ "$type": &kept }, "object"] };
                around.insert(parent, doc! { "$cond": [is_document, &kept, { "$literal": {} }] });
            }
            let value = format!("${path}");
            let counted = doc! { "$cond": [{ "$isNumber": &value }, &value, 0] };
            set.insert(path, doc! { "$add": [counted, Count(by)] });
        }
        if let Some((path, at)) = self.latest {
            set.insert(path, doc! { "$max": [format!("${path}"), at] });
        }
        vec![doc! { "$set": around }, doc! { "$set": set }]
    }
}
