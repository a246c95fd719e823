//! What the life of a subscription needs of the store: what a decision rests on, the commit of what comes of it, and
//! whose end has come. It is made of what [`DocumentStore`] does, and so is the same over every store; what an event comes
//! to is decided by [`lifecycle`](crate::subscription::lifecycle) alone.

use std::collections::BTreeSet;

use async_trait::async_trait;
use bson::oid::ObjectId;
use bson::{Bson, Document, doc};
use serde::de::DeserializeOwned;

use super::listing::{PageMark, at, list_all};
use super::{Collection, DocumentStore, DocumentWrite, ListQuery, StoreResult, document, read};
use crate::id::{PlanId, PreferenceId, SubscriptionId, UserId};
use crate::money::Count;
use crate::reading::list_differences;
use crate::subscription::lifecycle::{PreferenceLink, SubscriptionChange, SubscriptionContext};
use crate::subscription::{Subscription, SubscriptionStatus};
use crate::time::Time;

/// A number with the user that each change of their subscriptions raises, so that decisions notice each other.
const SUBSCRIPTIONS_REVISION: &str = "alertcast.subscriptionsRev";

/// The paths of the subscription itself that every decision about it rests on.
pub const DECIDING_FIELDS: [&str; 5] =
    ["updatedAt", "payment.status", "subscription.status", "subscription.startDate", "subscription.endDate"];

/// What a decision about a subscription rests on, as it was loaded.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadedSubscription {
    pub context: SubscriptionContext,
    /// The subscription as it is kept; none where it is to be made.
    kept: Option<Document>,
    /// Its user as they are kept, where there is one.
    user: Option<Document>,
}

impl LoadedSubscription {
    /// What is written with a change beside the subscription itself: who decides about another of the user's
    /// subscriptions notices it, and preferences go along.
    pub fn writes_beside(&self, change: &SubscriptionChange) -> Vec<DocumentWrite> {
        let moved = change.moved.iter().map(|link| write_link(self, *link, change.after.updated_at));
        self.raise_revision().into_iter().chain(moved).collect()
    }

    /// What tells whoever decides about another of the user's subscriptions that this one takes one of their places.
    /// None where there is no such user.
    pub fn raise_revision(&self) -> Option<DocumentWrite> {
        self.user.as_ref().and_then(raise_revision)
    }
}

/// Subscriptions whose end has come.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DueSubscriptions {
    pub ids: Vec<SubscriptionId>,
    /// Where the next page begins behind; none: there is no more.
    pub next: Option<PageMark>,
}

/// What the life of a subscription needs.
#[async_trait]
pub trait SubscriptionStore: DocumentStore {
    /// What a decision about a subscription rests on; none where there is no such subscription. `Corrupt` where it cannot
    /// be read; of what stands around it, what cannot be read is left out.
    async fn load_subscription(&self, id: SubscriptionId) -> StoreResult<Option<LoadedSubscription>>;

    /// The same for a subscription that is to be made.
    async fn load_for_new(&self, id: SubscriptionId, user: UserId, plan: PlanId) -> StoreResult<LoadedSubscription>;

    /// Writes what was decided: the subscription, the preferences that go with it, and `also`, all or nothing. `Conflict`
    /// where the subscription or its user's standing has changed since it was loaded, or something has been decided about
    /// another of the user's subscriptions: load again, decide again. What others keep in the documents stays.
    async fn commit_subscription(
        &self,
        seen: &LoadedSubscription,
        change: &SubscriptionChange,
        also: Vec<DocumentWrite>,
    ) -> StoreResult<()>;

    /// A page of the active subscriptions whose end has come, by their end.
    async fn due_subscriptions(&self, now: Time, after: Option<PageMark>) -> StoreResult<DueSubscriptions>;
}

#[async_trait]
impl<S: DocumentStore + ?Sized> SubscriptionStore for S {
    async fn load_subscription(&self, id: SubscriptionId) -> StoreResult<Option<LoadedSubscription>> {
        let Some(kept) = find_one(self, Collection::UserSubscriptions, id.0).await? else { return Ok(None) };
        let subscription: Subscription = read(Collection::UserSubscriptions, kept.clone())?;
        let (user, plan) = (subscription.user_id, subscription.subscription_plan_id);
        let mut loaded = self.load_for_new(id, user, plan).await?;
        (loaded.kept, loaded.context.subscription) = (Some(kept), Some(subscription));
        Ok(Some(loaded))
    }

    async fn load_for_new(&self, id: SubscriptionId, user: UserId, plan: PlanId) -> StoreResult<LoadedSubscription> {
        // Before the subscriptions: whoever changes one of them after this raises the number with the user.
        let kept_user = find_one(self, Collection::Users, user.0).await?;
        let plan = find_one(self, Collection::SubscriptionPlans, plan.0).await?;
        let held = list_of_user(self, Collection::UserSubscriptions, user).await?;
        let held = held.into_iter().filter_map(|other| readable(Collection::UserSubscriptions, other));
        let preferences = list_of_user(self, Collection::UserAlertPreferences, user).await?;
        let context = SubscriptionContext {
            id,
            subscription: None,
            user: kept_user.clone().and_then(|user| readable(Collection::Users, user)),
            plan: plan.and_then(|plan| readable(Collection::SubscriptionPlans, plan)),
            others: held.filter(|other: &Subscription| other.id != id).collect(),
            preferences: preferences.iter().filter_map(read_link).collect(),
        };
        Ok(LoadedSubscription { context, kept: None, user: kept_user })
    }

    async fn commit_subscription(
        &self,
        seen: &LoadedSubscription,
        change: &SubscriptionChange,
        also: Vec<DocumentWrite>,
    ) -> StoreResult<()> {
        let mut writes = vec![write_subscription(seen, change)?];
        writes.extend(seen.writes_beside(change));
        writes.extend(also);
        self.write(writes).await
    }

    async fn due_subscriptions(&self, now: Time, after: Option<PageMark>) -> StoreResult<DueSubscriptions> {
        const END: &str = "subscription.endDate";
        let query = ListQuery {
            filters: vec![("subscription.status", SubscriptionStatus::Active.as_str().into())],
            sort: END,
            after,
            ..ListQuery::all_of(Collection::UserSubscriptions)
        };
        let page = self.list(&query).await?;
        // What is no time is no end that has come, and none that is to come.
        let comes = |found: &Document| matches!(at(found, END), Some(Bson::DateTime(end)) if Time::from(*end) > now);
        let is_last = page.documents.iter().any(comes);
        let over = page.documents.iter().take_while(|found| !comes(found));
        let ids = over.filter_map(|found| found.get_object_id("_id").ok().map(SubscriptionId)).collect();
        Ok(DueSubscriptions { ids, next: page.next.filter(|_| !is_last) })
    }
}

async fn find_one<S: DocumentStore + ?Sized>(
    store: &S,
    collection: Collection,
    id: ObjectId,
) -> StoreResult<Option<Document>> {
    Ok(store.get(collection, &[id]).await?.pop())
}

/// All documents of a collection that are about a user.
async fn list_of_user<S: DocumentStore + ?Sized>(
    store: &S,
    collection: Collection,
    user: UserId,
) -> StoreResult<Vec<Document>> {
    let query = ListQuery { filters: vec![("userId", user.into())], ..ListQuery::all_of(collection) };
    list_all(store, query).await
}

fn readable<T: DeserializeOwned>(collection: Collection, found: Document) -> Option<T> {
    read(collection, found).ok()
}

fn read_link(preference: &Document) -> Option<PreferenceLink> {
    Some(PreferenceLink {
        preference: PreferenceId(preference.get_object_id("_id").ok()?),
        subscription: SubscriptionId(preference.get_object_id("subscriptionId").ok()?),
    })
}

/// The fields in which a subscription differs after a change, by their paths: as they were, and as they are. That it has
/// changed just now is none of them.
///
/// # Errors
/// `Corrupt` where one of the two cannot be written as a document.
pub fn changed_fields(change: &SubscriptionChange) -> StoreResult<(Document, Document)> {
    let before = change.before.as_ref().map(document).transpose()?.unwrap_or_default();
    let after = document(&change.after)?;
    let mut paths = list_differences(&before, &after);
    paths.retain(|path| path != "updatedAt");
    let told = |of: &Document| paths.iter().filter_map(|path| Some((path.clone(), at(of, path)?.clone()))).collect();
    Ok((told(&before), told(&after)))
}

/// Of the subscription: of one that was there, what differs.
fn write_subscription(seen: &LoadedSubscription, change: &SubscriptionChange) -> StoreResult<DocumentWrite> {
    let (collection, after) = (Collection::UserSubscriptions, document(&change.after)?);
    let (Some(kept), Some(before)) = (&seen.kept, &change.before) else {
        return Ok(DocumentWrite::Insert { collection, document: after });
    };
    let paths = list_differences(&document(before)?, &after);
    let paths: BTreeSet<&str> = paths.iter().map(|path| writable_part(kept, path)).collect();
    let expected: BTreeSet<&str> = paths.iter().copied().chain(DECIDING_FIELDS).collect();
    let expect = expected.into_iter().map(|path| (path.to_owned(), value_at(kept, path))).collect();
    let (mut set, mut unset) = (Document::new(), Vec::new());
    for path in paths {
        match at(&after, path) {
            Some(value) => drop(set.insert(path, value.clone())),
            None => unset.push(path.to_owned()),
        }
    }
    Ok(DocumentWrite::Update { collection, id: change.after.id.0, set, unset, expect })
}

/// The path, or that part of it at which something else stands than an object: nothing can be set within that.
fn writable_part<'p>(kept: &Document, path: &'p str) -> &'p str {
    let ends = path.match_indices('.').map(|(end, _)| &path[..end]);
    let mut blocked = ends.filter(|part| at(kept, part).is_some_and(|value| value.as_document().is_none()));
    blocked.next().unwrap_or(path)
}

fn value_at(document: &Document, path: &str) -> Bson {
    at(document, path).cloned().unwrap_or(Bson::Null)
}

/// One above the number with the user that stands; where something else does, the first.
fn next_revision(seen: &Bson) -> Bson {
    let next = match seen {
        Bson::Int32(seen) => i64::from(*seen).saturating_add(1),
        Bson::Int64(seen) => seen.saturating_add(1),
        Bson::Double(seen) => (*seen as i64).saturating_add(1),
        _ => 1,
    };
    Count(next).into()
}

/// Raises the user's number, where they still stand as they did. None where it has no place: what stands there is not
/// ours to mend.
fn raise_revision(user: &Document) -> Option<DocumentWrite> {
    let id = user.get_object_id("_id").ok()?;
    let next = next_revision(&value_at(user, SUBSCRIPTIONS_REVISION));
    let (name, value) = SUBSCRIPTIONS_REVISION.split_once('.')?;
    let set = match user.get(name) {
        None | Some(Bson::Document(_)) => doc! { SUBSCRIPTIONS_REVISION: next },
        Some(Bson::Null) => doc! { name: doc! { value: next } },
        Some(_) => return None,
    };
    let rests_on = [SUBSCRIPTIONS_REVISION, "status", "alertcast.erasedAt"];
    let expect = rests_on.map(|path| (path.to_owned(), value_at(user, path))).to_vec();
    Some(DocumentWrite::Update { collection: Collection::Users, id, set, unset: Vec::new(), expect })
}

/// Points a preference at another subscription.
fn write_link(seen: &LoadedSubscription, link: PreferenceLink, now: Time) -> DocumentWrite {
    let before = seen.context.preferences.iter().find(|before| before.preference == link.preference);
    let was = before.map_or(Bson::Null, |before| before.subscription.into());
    DocumentWrite::Update {
        collection: Collection::UserAlertPreferences,
        id: link.preference.0,
        set: doc! { "subscriptionId": link.subscription, "updatedAt": Bson::from(now) },
        unset: Vec::new(),
        expect: vec![("subscriptionId".to_owned(), was)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_written_by_its_paths_and_whole_where_no_object_stands() {
        let before = doc! { "a": { "b": 1, "c": 2 }, "d": 1, "e": 5 };
        let after = doc! { "a": { "b": 1, "c": 3 }, "d": 1, "f": { "g": { "h": 1 } } };
        assert_eq!(list_differences(&before, &after), ["a.c", "e", "f.g.h"]);
        for (kept, part) in [
            (doc! {}, "f.g.h"),
            (doc! { "f": { "x": 1 } }, "f.g.h"),
            (doc! { "f": { "g": Bson::Null } }, "f.g"),
            (doc! { "f": 1 }, "f"),
        ] {
            assert_eq!(writable_part(&kept, "f.g.h"), part, "{kept}");
        }
    }

    #[test]
    fn the_number_with_the_user_is_raised_whatever_stands_in_its_place() {
        for (ours, set) in [
            (None, Some(doc! { SUBSCRIPTIONS_REVISION: Bson::from(Count(1)) })),
            (
                Some(Bson::from(doc! { "subscriptionsRev": 4 })),
                Some(doc! { SUBSCRIPTIONS_REVISION: Bson::from(Count(5)) }),
            ),
            (Some(Bson::Null), Some(doc! { "alertcast": { "subscriptionsRev": Bson::from(Count(1)) } })),
            (Some(Bson::from("text")), None),
        ] {
            let mut user = doc! { "_id": ObjectId::from_bytes([1; 12]), "status": "active" };
            user.extend(ours.map(|ours| ("alertcast".to_owned(), ours)));
            let raised = raise_revision(&user).map(|write| match write {
                DocumentWrite::Update { set, .. } => set,
                other => panic!("{other:?}"),
            });
            assert_eq!(raised, set);
        }
    }
}
