//! How SQLite goes about the queries, under test: by the declared index, never through a whole table, and sorting only
//! what is few. No statistics are gathered, so that the plans are those of an empty database for good.

use alertcast_core::store::Collection;
use alertcast_core::store::listing::{ListDeclaration, ListQuery, MomentRange, PageMark, find_listing};
use alertcast_core::time::Time;
use bson::Bson;
use bson::oid::ObjectId;
use rusqlite::Connection;

use crate::engine::intake_log::{self, keys};
use crate::engine::migrate::migrate;
use crate::engine::notices;
use crate::ports::documents::{self, list};
use crate::ports::outbox::{self, settle, sweep};
use crate::ports::work::{self, loading};
use crate::ports::{intake, operator_actions, set_aside};

fn plan(sql: &str) -> String {
    let mut conn = Connection::open_in_memory().unwrap();
    migrate(&mut conn).unwrap();
    let mut statement = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let lines = statement.raw_query().mapped(|row| row.get(3)).collect::<Result<Vec<String>, _>>();
    lines.unwrap().join("\n")
}

#[track_caller]
fn goes_by(index: &str, sql: &str) {
    let plan = plan(sql);
    assert!(plan.contains(&format!("INDEX {index} (")), "not by {index}:\n{plan}");
    assert!(!plan.contains("SCAN deliveries") && !plan.contains("SCAN trades"), "{plan}");
    assert!(!plan.contains("SCAN alerts") && !plan.contains("SCAN decisions"), "{plan}");
}

#[track_caller]
fn goes_by_in_order(index: &str, sql: &str) {
    goes_by(index, sql);
    assert!(!plan(sql).contains("TEMP B-TREE"), "{}", plan(sql));
}

#[test]
fn due_deliveries_are_found_in_their_order() {
    goes_by_in_order("deliveries.queue", outbox::DUE);
    goes_by("deliveries.putOff", outbox::DUE_AGAIN);
    goes_by_in_order("deliveries.putOff", outbox::NEXT_DUE);
    goes_by_in_order("deliveries.queue", outbox::DUE_LATER);
}

#[test]
fn sweeps_find_what_they_sweep() {
    goes_by_in_order("deliveries.lane_1.sending", sweep::SENDING);
    goes_by_in_order("deliveries.to_1.pending", sweep::OF_CHAT);
    goes_by_in_order("deliveries.to_1.pending", sweep::WAITING_IN_CHAT);
    goes_by_in_order("deliveries.state_1_to_1.held", sweep::WAITING_IN_CHAT);
    goes_by_in_order("deliveries.deadlineAt_1.pending", sweep::OVERDUE);
    goes_by_in_order("deliveries.state_1_endedAt_1.sent+expired+dead+superseded+dropped", sweep::PURGE_DELIVERIES);
    goes_by_in_order("rejected_webhooks.receivedAt_1", sweep::PURGE_REJECTED);
    assert!(plan(keys::OVER).starts_with("SEARCH intake_claims USING PRIMARY KEY (until<?)"), "{}", plan(keys::OVER));
    goes_by_in_order("idempotency_keys.until_1", sweep::PURGE_IDEMPOTENCY);
}

#[test]
fn a_chunk_is_read_by_ranges() {
    goes_by_in_order("trades.alertConfigId_1_status_1_userId_1", loading::HOLDERS);
    goes_by_in_order("trades.alertConfigId_1_status_1_userId_1", work::OPEN_REVS);
    goes_by("trades.alertConfigId_1_status_1_userId_1", loading::OPEN_TRADES);
    // Only those of one user are sorted: by number.
    assert!(plan(loading::OPEN_TRADES).contains("LAST TERM OF ORDER BY"), "{}", plan(loading::OPEN_TRADES));
    goes_by_in_order("trades.alertConfigId_1_userId_1_tradeNumber_-1", loading::LAST_NUMBER);
    // What is sorted are the few with something else for a status.
    for strays in [loading::STRAY_HOLDERS, loading::STRAY_TRADES] {
        goes_by("trades.status_1_timestamps.openedAt_1", strays);
    }
}

#[test]
fn pending_alerts_are_found_in_their_order() {
    // All that is in the index is looked at, in its order, and no row is.
    assert_eq!(plan(loading::PENDING), "SCAN alerts USING COVERING INDEX alerts.pending");
}

#[test]
fn settling_looks_at_open_deliveries_alone() {
    goes_by_in_order("deliveries.alertId_1.pending+sending+held", settle::HAS_OPEN);
    goes_by_in_order("deliveries.combinesAlert", settle::IS_TOLD_BY_OPEN);
    goes_by("alerts.processing.status_1_webhook.receivedAt_1", set_aside::STRAY_ALERTS);
    goes_by_in_order("alerts.unsettled", &settle::unsettled_sql());
    goes_by_in_order("deliveries.key_1", documents::DELIVERIES_OF);
    goes_by_in_order("decisions.alertId_1_firstUser_1", documents::DECISIONS);
}

#[test]
fn intake_looks_up_and_walks_nothing() {
    goes_by_in_order("alerts.processing.alertConfigId_1_webhook.receivedAt_-1", intake::PRICES);
    goes_by_in_order("deliveries.key_1", notices::BY_KEY);
}

#[test]
fn a_person_is_found_by_what_is_theirs() {
    for sql in operator_actions::HISTORY {
        assert!(plan(sql).starts_with("SEARCH"), "{}", plan(sql));
    }
    goes_by_in_order("deliveries.userId_1", operator_actions::ENDED_WITH_RECIPIENT);
    goes_by_in_order("deliveries.userId_1", operator_actions::WITH_RECIPIENT);
    goes_by_in_order(
        "user_subscriptions.userId_1_subscription.status_1_subscription.endDate_1",
        operator_actions::SUBSCRIPTIONS_OF,
    );
    goes_by_in_order("audit_log.documentId_1_at_1", operator_actions::RECORDS_OF);
    goes_by_in_order("idempotency_keys.userId_1", operator_actions::ANSWERS_ABOUT);
    goes_by("trades.userId_1_alertConfigId_1_status_1", documents::OPEN_BY_CONFIG);
}

#[test]
fn opening_reads_no_table_through() {
    // `SEARCH`: to the end of an index, for the highest value.
    for sql in [intake_log::LAST_SEQ, documents::LAST_CHANGE, documents::FIRST_CHANGE] {
        assert!(plan(sql).starts_with("SEARCH"), "{}", plan(sql));
    }
}

/// Whatever list is asked for: its documents come in their order, by an index that the wanted values begin.
#[test]
fn every_list_goes_by_an_index_and_sorts_only_what_is_few() {
    for collection in Collection::ALL {
        let Some(listing) = find_listing(*collection) else { continue };
        for (sort, filters) in listing.sorts.iter().flat_map(|sort| wanted(listing).map(move |some| (*sort, some))) {
            for after in [None, Some(PageMark { value: "x".into(), id: ObjectId::from_bytes([7; 12]) })] {
                let query = ListQuery {
                    filters: filters.clone(),
                    sort,
                    descending: true,
                    after,
                    limit: 9,
                    ..ListQuery::all_of(*collection)
                };
                let Some(way) = query.way() else { continue };
                let sql = list::statement(&query, way).0;
                let plan = plan(&sql);
                if !way.equal.is_empty() {
                    assert!(plan.contains("SEARCH") && plan.contains("=?"), "{sql}\n{plan}");
                }
                if way.ordered_by.is_some() {
                    let sorts_all = plan.contains("TEMP B-TREE FOR ORDER BY");
                    assert!(plan.contains("INDEX") && !sorts_all, "{sql}\n{plan}");
                }
            }
        }
    }
}

/// Bounds are a stretch of the index: what lies outside is not read.
#[test]
fn a_list_between_two_moments_reads_its_stretch_of_an_index() {
    let range = MomentRange { from: Some(Time::from_millis(1)), before: Some(Time::from_millis(2)) };
    for (collection, sort) in [
        (Collection::Users, "createdAt"),
        (Collection::UserSubscriptions, "subscription.endDate"),
        (Collection::Trades, "timestamps.openedAt"),
        (Collection::Trades, "timestamps.closedAt"),
        (Collection::Alerts, "webhook.receivedAt"),
        (Collection::RejectedWebhooks, "receivedAt"),
        (Collection::AuditLog, "at"),
    ] {
        for descending in [true, false] {
            let query = ListQuery { sort, range, descending, ..ListQuery::all_of(collection) };
            let plan = plan(&list::statement(&query, query.way().unwrap()).0);
            assert!(plan.contains("SEARCH") && plan.contains(&format!("{sort}>? AND {sort}<?")), "{plan}");
        }
    }
}

/// No filter, each of them alone, and all of them together.
fn wanted(listing: &'static ListDeclaration) -> impl Iterator<Item = Vec<(&'static str, Bson)>> {
    let value = |path: &'static str| (path, Bson::from(if path == "state" { "dead" } else { "V" }));
    let one = listing.filters.iter().map(move |path| vec![value(path)]);
    one.chain([Vec::new(), listing.filters.iter().map(|path| value(path)).collect()])
}
