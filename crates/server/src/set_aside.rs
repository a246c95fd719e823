//! Documents that cannot be read: whoever reads notes them with the store, and everything else goes on. Here each is set
//! aside, told to the operators once for its cause, counted, and shown as long as it lasts.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use alertcast_core::reading::{UnreadableDocument, trouble_of};
use alertcast_core::store::{Collection, StoreResult};
use bson::Bson;
use bson::oid::ObjectId;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::base::Base;
use crate::degraded::TroubleKind;
use crate::notices::{self, NoticeTrouble};

/// What is new is looked for so often.
const NEWS_EVERY: Duration = Duration::from_secs(1);
/// Whether something has been mended, so often.
const MENDED_EVERY: Duration = Duration::from_secs(10);
/// So many documents are named in one message; of more, their number.
const NAMED_MAX: usize = 10;
/// So many are read again at once.
const READ_MAX: usize = 500;

/// Runs until `stop`.
pub async fn run(base: Base, stop: CancellationToken) {
    let mut looked_at = base.clock.monotonic();
    while !stop.is_cancelled() {
        set_aside(&base, base.store.unreadables().take_news()).await;
        let now = base.clock.monotonic();
        if now.saturating_sub(looked_at) >= MENDED_EVERY {
            looked_at = now;
            if let Err(error) = look_again(&base).await {
                warn!(%error, "what could not be read could not be looked at again");
            }
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = base.clock.sleep(NEWS_EVERY) => {}
        }
    }
}

/// Sets documents aside, and tells of them.
pub(crate) async fn set_aside(base: &Base, news: Vec<UnreadableDocument>) {
    if news.is_empty() {
        return;
    }
    let now = base.clock.now();
    let mut by_collection: BTreeMap<Collection, Vec<UnreadableDocument>> = BTreeMap::new();
    for one in news {
        error!(collection = %one.collection, id = one.id_text(), cause = one.cause, "a document cannot be read");
        base.metrics.unreadable(one.collection);
        by_collection.entry(one.collection).or_default().push(one);
    }
    for (collection, documents) in by_collection {
        let mut tell = notices::once(base, &trouble(collection, &documents), now);
        for one in &documents {
            if let Err(error) = base.store.set_aside(one, now, std::mem::take(&mut tell)).await {
                warn!(%error, unreadable = %one, "it could not be set aside; it is tried again");
                base.store.unreadables().forget(one.collection, &one.id_text());
            }
        }
        show(base, collection);
    }
    base.wake.deliveries_came();
}

/// What the operators are told of documents of one collection.
fn trouble(collection: Collection, documents: &[UnreadableDocument]) -> NoticeTrouble {
    let mut lines: Vec<String> =
        documents.iter().take(NAMED_MAX).map(|one| format!("{}: {}", one.id_text(), one.cause)).collect();
    if documents.len() > NAMED_MAX {
        lines.push(format!("and {} more", documents.len() - NAMED_MAX));
    }
    lines.push(explain_meaning(collection).to_owned());
    let group: Vec<String> = documents.iter().map(ToString::to_string).collect();
    NoticeTrouble {
        group: format!("unreadable:{}", group.join("\n")),
        title: format!("Cannot be read: {} of {collection}", count_noun(documents.len())),
        lines,
        alert: None,
    }
}

fn count_noun(count: usize) -> String {
    if count == 1 { "1 document".to_owned() } else { format!("{count} documents") }
}

/// What it means for the rest, and what to do.
const fn explain_meaning(collection: Collection) -> &'static str {
    match collection {
        Collection::Alerts => {
            "An alert that waited is set aside as failed, and subscribers did not get it. Send it anew."
        }
        Collection::Deliveries => "A message that waited is set aside as dead; it may have arrived. The others go on.",
        Collection::Trades => {
            "As long as it is open: no entries for its user in its configuration; every exit is told, to its user and to you, \
             but nothing is closed by it."
        }
        Collection::AlertConfigurations => {
            "Entries are refused and kept until it is mended; exits go by what can be read."
        }
        Collection::Users | Collection::UserAlertPreferences | Collection::UserSubscriptions => {
            "What can be read is obeyed. Where something is missing that entries depend on: no entries, every exit. Mend it \
             by PATCH of the API."
        }
        Collection::SubscriptionPlans => {
            "What can be read is obeyed. Where something is missing that entries depend on, its subscribers get no \
             entries, and every exit. Mend it by PATCH of the API."
        }
        Collection::AdminUsers => {
            "As long as it is so, the administrator's tokens open nothing. Another administrator can mend it by PATCH of the \
             API."
        }
        Collection::Quotas => "It was removed: the user's entries of today are counted anew.",
        Collection::Leases => "It is freed within seconds, and its share of the work goes on.",
        _ => "It is left out; nothing else is concerned.",
    }
}

/// Keeps what `/readyz` and `doctor` show of a collection in step with what is known.
fn show(base: &Base, collection: Collection) {
    let known: Vec<UnreadableDocument> =
        base.store.unreadables().list_known().into_iter().filter(|one| one.collection == collection).collect();
    if known.is_empty() {
        return base.degraded.clear(TroubleKind::UnreadableDocuments, collection.name());
    }
    let mut named: Vec<String> = known.iter().take(NAMED_MAX).map(UnreadableDocument::id_text).collect();
    if known.len() > NAMED_MAX {
        named.push("…".to_owned());
    }
    let text = format!(
        "{} of {collection} cannot be read: {}. `alertcast doctor` says what is wrong with each.",
        count_noun(known.len()),
        named.join(", ")
    );
    base.degraded.set(TroubleKind::UnreadableDocuments, collection.name(), text);
}

/// Whether one whose id is no `ObjectId` has been mended, or is gone. One without any id is not found again.
async fn is_mended(base: &Base, known: &UnreadableDocument) -> StoreResult<bool> {
    if matches!(known.id, Bson::Null | Bson::Undefined) {
        return Ok(false);
    }
    let found = base.store.find_unique(known.collection, &[("_id", known.id.clone())]).await?;
    Ok(found.is_none_or(|document| trouble_of(known.collection, &document).is_none()))
}

/// Forgets what has been mended, or is gone, and finds what nobody comes across.
async fn look_again(base: &Base) -> StoreResult<()> {
    let log = base.store.unreadables();
    base.store.stray_alerts(READ_MAX).await?.into_iter().for_each(|stray| log.note(stray));
    let mut by_collection: BTreeMap<Collection, BTreeSet<ObjectId>> = BTreeMap::new();
    for known in log.list_known() {
        by_collection.entry(known.collection).or_default().extend(known.object_id());
    }
    for known in log.list_known().iter().filter(|known| known.object_id().is_none()).take(READ_MAX) {
        if is_mended(base, known).await? {
            log.forget(known.collection, &known.id_text());
        }
    }
    for (collection, ids) in by_collection {
        let ids: Vec<ObjectId> = ids.into_iter().collect();
        for some in ids.chunks(READ_MAX) {
            let found = base.store.get(collection, some).await?;
            let broken: BTreeSet<String> =
                found.iter().filter_map(|document| trouble_of(collection, document)).map(|one| one.id_text()).collect();
            for id in some.iter().map(|id| id.to_hex()).filter(|id| !broken.contains(id)) {
                log.forget(collection, &id);
            }
        }
        show(base, collection);
    }
    Ok(())
}
