//! Who may use the API and until when, and what is amiss with subscriptions and their payments.

use alertcast_core::store::{Collection, StoreResult};
use alertcast_core::time::Time;
use bson::{Bson, Document};

use super::super::store::ReadOnlyStore;
use super::super::terminal::count_noun;
use super::DoctorFinding;
use crate::clock::Clock;
use crate::collection_walk::{self, PAGE};
use crate::settings::Settings;

/// Tokens that end within so many days are named.
const DAYS_AHEAD: u64 = 14;
/// So many of what is amiss are named; the rest is counted.
const NAMED_MAX: usize = 5;

/// What can be seen of it. Where the store cannot be opened, that is told elsewhere.
pub(super) async fn look(settings: &Settings, clock: &dyn Clock) -> Vec<DoctorFinding> {
    let Ok(store) = ReadOnlyStore::open(settings).await else { return Vec::new() };
    let now = clock.now();
    let mut findings = Vec::new();
    let told = async {
        findings.extend(tokens(&store, now).await?);
        findings.extend(check_unapproved(&store, now).await?);
        StoreResult::Ok(())
    };
    if let Err(error) = told.await {
        findings.push(DoctorFinding::bad(format!("The store cannot be read: {error}"), "try again; the log says more"));
    }
    findings
}

/// A token, as far as doctor tells of it.
#[derive(Debug)]
struct TokenSummary {
    label: String,
    end: Option<Time>,
}

async fn tokens(store: &ReadOnlyStore, now: Time) -> StoreResult<Option<DoctorFinding>> {
    let mut all = Vec::new();
    let visit = |token: Document| {
        let id = token.get_object_id("_id").map(|id| id.to_hex()).unwrap_or_default();
        let label = token.get_str("label").map_or(id, |label| format!("{label:?}"));
        all.push(TokenSummary { label, end: token.get_datetime("expiresAt").ok().map(|at| Time::from(*at)) });
    };
    collection_walk::each(|after| store.page(Collection::ApiTokens, after, PAGE), visit).await?;
    Ok(about_tokens(all, now))
}

fn about_tokens(mut all: Vec<TokenSummary>, now: Time) -> Option<DoctorFinding> {
    const ANOTHER: &str = "alertcast admin token --username NAME --days N makes another; DELETE /api/v1/api-tokens/ID takes \
                           one away that is not used any more";
    all.sort_by_key(|token| token.end.unwrap_or(Time::from_millis(i64::MAX)));
    let soon = now + std::time::Duration::from_secs(DAYS_AHEAD * 24 * 60 * 60);
    let is_over = |token: &&TokenSummary| token.end.is_some_and(|end| end <= now);
    let ends_soon = |token: &&TokenSummary| token.end.is_some_and(|end| now < end && end <= soon);
    let named = |tokens: Vec<&TokenSummary>| {
        let all: Vec<String> = tokens.iter().map(|token| format!("{} {}", token.label, day(token.end))).collect();
        some_of(&all)
    };
    let (over, ending): (Vec<&TokenSummary>, Vec<&TokenSummary>) =
        (all.iter().filter(is_over).collect(), all.iter().filter(ends_soon).collect());
    let alive = all.len() - over.len();
    match (alive, over.is_empty(), ending.is_empty()) {
        (0, true, _) => None,
        (_, _, false) => Some(DoctorFinding::attention(
            format!("{} to the API end within {DAYS_AHEAD} days: {}", tokens_of(ending.len()), named(ending)),
            ANOTHER,
        )),
        (_, false, true) => Some(DoctorFinding::attention(
            format!("{} to the API ended: {}", tokens_of(over.len()), named(over)),
            ANOTHER,
        )),
        (_, true, true) => {
            let next = all.first().map_or_else(String::new, |token| format!("; the next ends {}", day(token.end)));
            Some(DoctorFinding::good(format!("{} to the API{next}", tokens_of(alive))))
        }
    }
}

fn tokens_of(count: usize) -> String {
    count_noun(count, "token", "tokens")
}

fn day(end: Option<Time>) -> String {
    end.map_or_else(
        || "with the 90 days that the next start gives it".to_owned(),
        |end| format!("on {}", end.to_jiff().strftime("%Y-%m-%d")),
    )
}

fn some_of(all: &[String]) -> String {
    let more = all.len().saturating_sub(NAMED_MAX);
    let named = all.iter().take(NAMED_MAX).cloned().collect::<Vec<_>>().join(", ");
    if more > 0 { format!("{named}, and {more} more") } else { named }
}

/// Subscriptions that are active though nobody approved their payment.
async fn check_unapproved(store: &ReadOnlyStore, now: Time) -> StoreResult<Vec<DoctorFinding>> {
    let (mut pending, mut rejected) = (Vec::new(), Vec::new());
    let visit = |document: Document| {
        let Some((status, id)) = running_unapproved(&document, now) else { return };
        if status == "rejected" { rejected.push(id) } else { pending.push(id) }
    };
    collection_walk::each(|after| store.page(Collection::UserSubscriptions, after, PAGE), visit).await?;
    let mut findings = Vec::new();
    if !pending.is_empty() {
        findings.push(DoctorFinding::attention(
            format!(
                "{} active while the payment is pending, and bring alerts: {}",
                count_noun(pending.len(), "subscription is", "subscriptions are"),
                some_of(&pending)
            ),
            "approve or reject each payment: PATCH /api/v1/user-subscriptions/ID with {\"payment\": {\"status\": …}}",
        ));
    }
    if !rejected.is_empty() {
        findings.push(DoctorFinding::attention(
            format!(
                "{} active though the payment was rejected, and bring nothing: {}",
                count_noun(rejected.len(), "subscription is", "subscriptions are"),
                some_of(&rejected)
            ),
            "cancel each, or approve its payment: PATCH /api/v1/user-subscriptions/ID",
        ));
    }
    Ok(findings)
}

/// The payment's status and the subscription's id, where it is active, has not ended, and is not paid.
fn running_unapproved(document: &Document, now: Time) -> Option<(String, String)> {
    let within = |name: &str, field: &str| document.get_document(name).ok()?.get(field);
    let word = |name, field| within(name, field).and_then(Bson::as_str);
    let ended =
        within("subscription", "endDate").and_then(Bson::as_datetime).is_some_and(|end| Time::from(*end) <= now);
    let payment = word("payment", "status").unwrap_or("pending");
    let counts = word("subscription", "status") == Some("active") && !ended && payment != "approved";
    counts.then(|| (payment.to_owned(), document.get_object_id("_id").map(|id| id.to_hex()).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use bson::{doc, oid::ObjectId};

    use super::*;

    const NOW: Time = Time::from_millis(1_795_341_600_000);

    #[test]
    fn tokens_that_end_soon_or_have_ended_are_named() {
        let days = |days: i64| Some(Time::from_millis(NOW.millis() + days * 86_400_000));
        let token = |label: &str, end| TokenSummary { label: label.to_owned(), end };
        let told = |tokens| about_tokens(tokens, NOW).map(|finding| (finding.fix.is_some(), finding.what));
        assert_eq!(told(vec![]), None);
        let (wants, what) = told(vec![token("a", days(90)), token("b", days(40))]).unwrap();
        assert!(!wants && what.starts_with("2 tokens to the API; the next ends on 2027-01-01"), "{what}");
        let (wants, what) = told(vec![token("a", days(90)), token("shop", days(13))]).unwrap();
        assert!(wants && what.contains("1 token to the API end within 14 days: shop on 2026-12-05"), "{what}");
        let (wants, what) = told(vec![token("a", days(90)), token("old", days(-1))]).unwrap();
        assert!(wants && what.contains("1 token to the API ended: old"), "{what}");
        let (wants, _) = told(vec![token("a", None)]).unwrap();
        assert!(!wants);
    }

    #[test]
    fn what_runs_without_an_approved_payment_is_found() {
        let subscription = |status: &str, payment: Option<&str>, days: i64| {
            let end = bson::DateTime::from_millis(NOW.millis() + days * 86_400_000);
            let mut document =
                doc! { "_id": ObjectId::from_bytes([1; 12]), "subscription": { "status": status, "endDate": end } };
            if let Some(payment) = payment {
                document.insert("payment", doc! { "status": payment });
            }
            document
        };
        let found = |document| running_unapproved(&document, NOW).map(|(status, _)| status);
        assert_eq!(found(subscription("active", Some("pending"), 1)).as_deref(), Some("pending"));
        assert_eq!(found(subscription("active", None, 1)).as_deref(), Some("pending"));
        assert_eq!(found(subscription("active", Some("rejected"), 1)).as_deref(), Some("rejected"));
        for fine in [
            subscription("active", Some("approved"), 1),
            subscription("active", Some("pending"), -1),
            subscription("cancelled", Some("pending"), 1),
        ] {
            assert_eq!(found(fine), None);
        }
    }
}
