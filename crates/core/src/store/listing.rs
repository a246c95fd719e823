//! Lists: what a collection can be filtered and sorted by, and which index serves it. Declared here once for both
//! engines and for whoever offers lists to people; a test holds each declaration against the indexes.
//!
//! A page examines a bounded number of documents, and so takes a bounded time: filters that no index serves together
//! with the others may make it short, or even empty, while more is to come. The list has ended where `next` is none.

use bson::oid::ObjectId;
use bson::{Bson, Document};

use super::{Collection, DocumentStore, StoreResult};
use crate::time::Time;

/// A page examines no more documents than this.
pub const EXAMINED_MAX: usize = 2_000;
/// A page holds no more.
pub const PAGE_MAX: usize = 200;

/// What one collection's lists can do.
#[derive(Debug, Clone, Copy)]
pub struct ListDeclaration {
    /// Dotted paths that can be asked to equal a value.
    pub filters: &'static [&'static str],
    /// Dotted paths that the list can be sorted by; the first is the default.
    pub sorts: &'static [&'static str],
    /// Dotted paths of the texts that a search looks into. No index serves it: it looks at what is on the way.
    pub searched: &'static [&'static str],
    /// The ways through the collection, the most selective first.
    ways: &'static [ListOrder],
}

/// One way through a collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListOrder {
    /// Paths whose values are given.
    pub equal: &'static [&'static str],
    /// What they narrow down to comes in this order; none: it is few, and is sorted when it has been found.
    pub ordered_by: Option<&'static str>,
}

/// Where a page ended.
#[derive(Debug, Clone, PartialEq)]
pub struct PageMark {
    /// The value of the path that the list is sorted by.
    pub value: Bson,
    pub id: ObjectId,
}

/// The moments that a list is of: those of the path that it is sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MomentRange {
    /// This one, and later ones.
    pub from: Option<Time>,
    /// Earlier ones than this.
    pub before: Option<Time>,
}

impl MomentRange {
    /// Whether nothing is bounded.
    pub const fn is_open(self) -> bool {
        self.from.is_none() && self.before.is_none()
    }

    /// Whether a moment lies in it.
    pub fn contains(self, at: Time) -> bool {
        self.from.is_none_or(|from| from <= at) && self.before.is_none_or(|before| at < before)
    }
}

/// A text that is looked for in others, whatever the case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchedText(String);

impl SearchedText {
    /// More characters are in nothing that is searched.
    pub const CHARS_MAX: usize = 200;

    /// None where there is nothing to look for, or too much. The `@` before a Telegram name is no part of it.
    pub fn new(text: &str) -> Option<Self> {
        let sought = text.trim();
        let sought = sought.strip_prefix('@').unwrap_or(sought).to_lowercase();
        (!sought.is_empty() && text.chars().count() <= Self::CHARS_MAX).then_some(Self(sought))
    }

    /// Whether a text has it within.
    pub fn is_in(&self, text: &str) -> bool {
        text.to_lowercase().contains(&self.0)
    }
}

/// One page of a list: documents whose `filters` have these values, sorted by `sort` and then by id.
#[derive(Debug, Clone, PartialEq)]
pub struct ListQuery {
    pub collection: Collection,
    /// Each one of the collection's `filters`, once.
    pub filters: Vec<(&'static str, Bson)>,
    /// One of the collection's `sorts`. Documents that lack it are left out, unless it is `_id`.
    pub sort: &'static str,
    /// Where it is bounded, `sort` holds moments, and what holds anything else there is left out.
    pub range: MomentRange,
    /// A text that one of the collection's `searched` has within.
    pub search: Option<SearchedText>,
    pub descending: bool,
    /// Where the page before ended.
    pub after: Option<PageMark>,
    pub limit: usize,
}

/// What a page holds.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ListPage {
    pub documents: Vec<Document>,
    /// Where the next page begins behind; none: there is no more.
    pub next: Option<PageMark>,
}

/// All that a query finds, from its first page on.
///
/// # Errors
/// As [`DocumentStore::list`].
pub async fn list_all<S: DocumentStore + ?Sized>(store: &S, mut query: ListQuery) -> StoreResult<Vec<Document>> {
    let mut found = Vec::new();
    loop {
        let page = store.list(&query).await?;
        found.extend(page.documents);
        query.after = page.next;
        if query.after.is_none() {
            return Ok(found);
        }
    }
}

impl ListQuery {
    /// A whole collection by id, in pages as large as may be.
    pub const fn all_of(collection: Collection) -> Self {
        Self {
            collection,
            filters: Vec::new(),
            sort: "_id",
            range: MomentRange { from: None, before: None },
            search: None,
            descending: false,
            after: None,
            limit: PAGE_MAX,
        }
    }

    /// The best way through the collection: the first whose values are all given and whose order is the wanted one. None
    /// where the collection has no such list.
    pub fn way(&self) -> Option<ListOrder> {
        let given = |path: &&str| self.filters.iter().any(|(filter, _)| filter == path);
        let fits =
            |way: &&ListOrder| way.equal.iter().all(given) && way.ordered_by.is_none_or(|order| order == self.sort);
        find_listing(self.collection)?.ways.iter().find(fits).copied()
    }

    /// The filters that the way does not serve.
    pub fn residual(&self, way: ListOrder) -> impl Iterator<Item = &(&'static str, Bson)> {
        self.filters.iter().filter(move |(path, _)| !way.equal.contains(path))
    }

    /// The filters that the way serves, in its order.
    pub fn served_fields(&self, way: ListOrder) -> impl Iterator<Item = (&'static str, &Bson)> {
        way.equal.iter().filter_map(|path| self.filters.iter().find(|(filter, _)| filter == path).map(|(p, v)| (*p, v)))
    }

    /// The texts that the search looks into; none: there is no search.
    pub fn search_paths(&self) -> Option<(&SearchedText, &'static [&'static str])> {
        Some((self.search.as_ref()?, find_listing(self.collection)?.searched))
    }

    /// Whether something on the way may not be wanted.
    pub fn is_narrower_than(&self, way: ListOrder) -> bool {
        self.search.is_some() || self.residual(way).next().is_some()
    }

    /// How many documents a page holds at most.
    pub fn limit(&self) -> usize {
        self.limit.clamp(1, PAGE_MAX)
    }
}

/// Where a page stands that ends with this document; none where it lacks what the list is sorted by.
pub fn mark(document: &Document, sort: &str) -> Option<PageMark> {
    Some(PageMark { value: at(document, sort)?.clone(), id: document.get_object_id("_id").ok()? })
}

pub(super) fn at<'d>(document: &'d Document, path: &str) -> Option<&'d Bson> {
    match path.split_once('.') {
        None => document.get(path),
        Some((first, rest)) => at(document.get_document(first).ok()?, rest),
    }
}

/// What the lists of a collection can do; none where it has no lists.
pub const fn find_listing(collection: Collection) -> Option<&'static ListDeclaration> {
    Some(match collection {
        Collection::Users => &USERS,
        Collection::SubscriptionPlans => &PLANS,
        Collection::AlertConfigurations => &CONFIGS,
        Collection::UserSubscriptions => &SUBSCRIPTIONS,
        Collection::UserAlertPreferences => &PREFERENCES,
        Collection::Trades => &TRADES,
        Collection::Alerts => &ALERTS,
        Collection::AdminUsers => &ADMINS,
        Collection::Deliveries => &DELIVERIES,
        Collection::RejectedWebhooks => &REJECTED,
        Collection::AuditLog => &AUDIT,
        Collection::ApiTokens => &TOKENS,
        _ => return None,
    })
}

const fn order_by(equal: &'static [&'static str], by: &'static str) -> ListOrder {
    ListOrder { equal, ordered_by: Some(by) }
}

const fn few(equal: &'static [&'static str]) -> ListOrder {
    ListOrder { equal, ordered_by: None }
}

const USERS: ListDeclaration = ListDeclaration {
    filters: &["email", "telegram.userId", "telegram.chatId", "status"],
    // The marks list those alone who have them.
    sorts: &["_id", "createdAt", "email", "alertcast.chatBlockedAt", "alertcast.emailBouncedAt"],
    searched: &["profile.name", "email", "telegram.userId", "telegram.username"],
    ways: &[
        few(&["email"]),
        few(&["telegram.userId"]),
        few(&["telegram.chatId"]),
        order_by(&["status"], "_id"),
        order_by(&[], "_id"),
        order_by(&[], "createdAt"),
        order_by(&[], "email"),
        order_by(&[], "alertcast.chatBlockedAt"),
        order_by(&[], "alertcast.emailBouncedAt"),
    ],
};

const PLANS: ListDeclaration = ListDeclaration {
    filters: &["name", "status"],
    // A plan without a place in the order is listed too, unless the order is asked for.
    sorts: &["_id", "metadata.displayOrder", "name", "pricing.amount"],
    searched: &[],
    ways: &[few(&["name"]), few(&["status"]), few(&[])],
};

const CONFIGS: ListDeclaration = ListDeclaration {
    filters: &["symbol", "timeframe", "strategy", "status"],
    sorts: &["_id", "symbol", "name"],
    searched: &[],
    ways: &[
        few(&["symbol", "timeframe", "strategy"]),
        few(&["symbol"]),
        few(&["strategy"]),
        few(&["status"]),
        few(&[]),
    ],
};

const SUBSCRIPTIONS: ListDeclaration = ListDeclaration {
    filters: &["payment.transactionId", "userId", "subscriptionPlanId", "payment.status", "subscription.status"],
    sorts: &["_id", "subscription.endDate"],
    searched: &[],
    ways: &[
        few(&["payment.transactionId"]),
        few(&["userId"]),
        order_by(&["subscription.status"], "subscription.endDate"),
        order_by(&["subscriptionPlanId"], "_id"),
        order_by(&["payment.status"], "_id"),
        order_by(&[], "_id"),
        order_by(&[], "subscription.endDate"),
    ],
};

const PREFERENCES: ListDeclaration = ListDeclaration {
    filters: &["userId", "subscriptionId", "alertConfigId", "preferences.enabled"],
    sorts: &["_id"],
    searched: &[],
    ways: &[few(&["userId"]), few(&["subscriptionId"]), order_by(&["alertConfigId"], "_id"), order_by(&[], "_id")],
};

const TRADES: ListDeclaration = ListDeclaration {
    filters: &["userId", "alertConfigId", "status", "tradeData.symbol"],
    sorts: &["timestamps.openedAt", "timestamps.closedAt"],
    searched: &[],
    ways: &[
        few(&["userId"]),
        order_by(&["alertConfigId"], "timestamps.openedAt"),
        order_by(&["tradeData.symbol"], "timestamps.openedAt"),
        order_by(&["status"], "timestamps.openedAt"),
        order_by(&[], "timestamps.openedAt"),
        order_by(&[], "timestamps.closedAt"),
    ],
};

const ALERTS: ListDeclaration = ListDeclaration {
    filters: &[
        "processing.alertConfigId",
        "alertData.symbol",
        "alertData.timeframe",
        "alertData.strategy",
        "alertData.signal",
        "processing.status",
    ],
    sorts: &["webhook.receivedAt"],
    searched: &[],
    ways: &[
        order_by(&["processing.alertConfigId"], "webhook.receivedAt"),
        order_by(&["alertData.symbol", "alertData.timeframe", "alertData.strategy"], "webhook.receivedAt"),
        order_by(&["alertData.symbol"], "webhook.receivedAt"),
        order_by(&["processing.status"], "webhook.receivedAt"),
        order_by(&["alertData.signal"], "webhook.receivedAt"),
        order_by(&[], "webhook.receivedAt"),
    ],
};

const ADMINS: ListDeclaration = ListDeclaration {
    filters: &["username", "email", "status"],
    sorts: &["_id", "username"],
    searched: &[],
    ways: &[few(&["username"]), few(&["email"]), few(&["status"]), few(&[])],
};

const DELIVERIES: ListDeclaration = ListDeclaration {
    filters: &["userId", "state", "channel", "kind"],
    sorts: &["_id", "endedAt"],
    searched: &[],
    ways: &[few(&["userId"]), order_by(&["state"], "endedAt"), order_by(&[], "_id")],
};

const REJECTED: ListDeclaration = ListDeclaration {
    filters: &["ipAddress"],
    sorts: &["receivedAt"],
    searched: &[],
    ways: &[order_by(&[], "receivedAt")],
};

const AUDIT: ListDeclaration = ListDeclaration {
    filters: &["documentId", "adminId", "collection", "action"],
    sorts: &["at"],
    searched: &[],
    ways: &[order_by(&["documentId"], "at"), order_by(&["adminId"], "at"), order_by(&[], "at")],
};

const TOKENS: ListDeclaration =
    ListDeclaration { filters: &["adminId"], sorts: &["_id"], searched: &[], ways: &[few(&["adminId"]), few(&[])] };

#[cfg(test)]
mod tests {
    use super::*;

    /// An index whose keys begin with the way's values and go on with its order, or the way through the ids.
    fn is_served(collection: Collection, way: ListOrder) -> bool {
        if way.equal.is_empty() && way.ordered_by.is_none_or(|order| order == "_id") {
            return true;
        }
        // Those of the embedded store, all of which MongoDB has too.
        collection.indexes().iter().filter(|index| index.is_embedded()).any(|index| {
            let keys: Vec<&str> = index.keys.iter().map(|key| key.0).collect();
            let (begin, rest) = keys.split_at(way.equal.len().min(keys.len()));
            begin.len() == way.equal.len()
                && way.equal.iter().all(|path| begin.contains(path))
                && way.ordered_by.is_none_or(|order| rest.first() == Some(&order))
        })
    }

    #[test]
    fn every_way_is_served_by_an_index() {
        for collection in Collection::ALL {
            let Some(listing) = find_listing(*collection) else { continue };
            for way in listing.ways {
                assert!(is_served(*collection, *way), "{collection} {way:?}");
            }
        }
    }

    #[test]
    fn every_filter_and_sort_has_a_way() {
        for collection in Collection::ALL {
            let Some(listing) = find_listing(*collection) else { continue };
            for sort in listing.sorts {
                let some = listing.filters.iter().map(|filter| vec![(*filter, Bson::Null)]);
                for filters in some.chain([Vec::new()]) {
                    let query = ListQuery {
                        collection: *collection,
                        filters,
                        sort,
                        descending: true,
                        ..ListQuery::all_of(*collection)
                    };
                    // Ended deliveries alone have an end: they are asked for by their state.
                    let needs_state =
                        *sort == "endedAt" && !matches!(query.filters.first(), Some(("state" | "userId", _)));
                    assert_eq!(query.way().is_none(), needs_state, "{query:?}");
                }
            }
        }
    }
}
