//! Lists over a million alerts and a hundred thousand users: the slowest page of each.

use alertcast::base::ObjectIds;
use alertcast_core::id::IdSource as _;
use alertcast_core::store::listing::find_listing;
use alertcast_core::store::{Collection, DocumentStore as _, DocumentWrite, ListQuery};
use alertcast_core::time::Time;
use alertcast_sqlite::SqliteStore;
use bson::{Bson, doc};

use crate::report::{BenchReport, FigureGoal, ReportFigure};
use crate::world::BenchFolder;
use crate::{BenchScale, probe};

const ALERTS: usize = 1_000_000;
const USERS: usize = 100_000;
const BATCH: usize = 5_000;
const PAGE: usize = 50;
/// Pages that are read of each list.
const PAGES: usize = 20;

/// Adds the rows to the report.
pub(crate) async fn measure(scale: &BenchScale, report: &mut BenchReport) -> anyhow::Result<()> {
    let world = BenchFolder::make(scale.dir(), scale.of(USERS), 3).await?;
    let store = SqliteStore::open(world.dir(), &alertcast_sqlite::SqliteOptions::default())?;
    fill(&store, scale.of(ALERTS)).await?;
    for (collection, count) in [(Collection::Alerts, ALERTS), (Collection::Users, USERS)] {
        let mut runs = Vec::with_capacity(scale.runs);
        for _ in 0..scale.runs {
            runs.push(slowest_list(&store, collection).await?);
        }
        runs.sort_by(|(one, _), (other, _)| one.total_cmp(other));
        let of = runs.last().map_or("", |(_, of)| of);
        report.add(ReportFigure::alone(
            format!("slowest page ({PAGE} each) of any list of {} {collection} ({of})", scale.of(count)),
            "ms",
            runs.iter().map(|(slowest, _)| *slowest).collect(),
            FigureGoal::AtMost(50.0),
        ));
    }
    Ok(())
}

/// The slowest page of all lists in milliseconds, and which list's it is.
async fn slowest_list(store: &SqliteStore, collection: Collection) -> anyhow::Result<(f64, String)> {
    let (mut slowest, mut of) = (0.0_f64, String::new());
    for (sort, filters) in list_wanted_queries(collection) {
        for descending in [true, false] {
            let query =
                ListQuery { filters: filters.clone(), sort, descending, limit: PAGE, ..ListQuery::all_of(collection) };
            let worst = slowest_page(store, query).await?;
            if worst > slowest {
                slowest = worst;
                let names: Vec<&str> = filters.iter().map(|(path, _)| *path).collect();
                of = format!("by {sort}, {}", names.join(" and "));
            }
        }
    }
    Ok((slowest, of))
}

/// Each sort without a filter, with each filter, and with all of them: values that many have, few have, none has.
fn list_wanted_queries(collection: Collection) -> Vec<(&'static str, Vec<(&'static str, Bson)>)> {
    let Some(listing) = find_listing(collection) else { return Vec::new() };
    let mut lists = Vec::new();
    for sort in listing.sorts {
        lists.push((*sort, Vec::new()));
        for filter in listing.filters {
            for value in values(filter) {
                lists.push((*sort, vec![(*filter, value)]));
            }
        }
        let all = listing.filters.iter().filter_map(|filter| Some((*filter, values(filter).into_iter().next_back()?)));
        lists.push((*sort, all.collect()));
    }
    lists
}

fn values(filter: &str) -> Vec<Bson> {
    let texts: &[&str] = match filter {
        "processing.status" => &["processed", "failed", "received"],
        "alertData.signal" => &["BUY", "TP_HIT"],
        "alertData.symbol" => &["SYM0", "RARE", "NONE"],
        "alertData.timeframe" => &["1h", "1d"],
        "alertData.strategy" => &["Bench", "Other"],
        "status" => &["active", "suspended"],
        "processing.alertConfigId" => return vec![Bson::ObjectId(bson::oid::ObjectId::from_bytes([7; 12]))],
        _ => &["nobody"],
    };
    texts.iter().map(|text| Bson::from(*text)).collect()
}

async fn slowest_page(store: &SqliteStore, mut query: ListQuery) -> anyhow::Result<f64> {
    let mut slowest = 0.0_f64;
    for _ in 0..PAGES {
        let begun = probe::now();
        let page = store.list(&query).await?;
        slowest = slowest.max(begun.elapsed().as_secs_f64() * 1e3);
        query.after = page.next;
        if query.after.is_none() {
            break;
        }
    }
    Ok(slowest)
}

async fn fill(store: &SqliteStore, alerts: usize) -> anyhow::Result<()> {
    let config = bson::oid::ObjectId::from_bytes([7; 12]);
    let mut written = 0;
    while written < alerts {
        let batch = written..alerts.min(written + BATCH);
        let writes = batch.clone().map(|number| {
            let at = Time::from_millis(1_700_000_000_000 + number as i64 * 250);
            let rare = number % 50_000 == 7;
            let document = doc! {
                "_id": ObjectIds.next(),
                "source": "tradingview",
                "webhook": { "receivedAt": at, "rawPayload": { "symbol": "SYM" } },
                "alertData": {
                    "symbol": if rare { "RARE".to_owned() } else { format!("SYM{}", number % 20) },
                    "timeframe": if number % 3 == 0 { "1d" } else { "1h" },
                    "strategy": "Bench",
                    "signal": if number % 2 == 0 { "BUY" } else { "SELL" },
                    "price": 100.5,
                    "timestamp": at,
                },
                "processing": {
                    "status": if rare { "failed" } else { "processed" },
                    "alertConfigId": if number % 10 == 0 { config } else { ObjectIds.next() },
                },
                "alertcast": { "seq": number as i64 + 1, "settledAt": at },
            };
            DocumentWrite::Insert { collection: Collection::Alerts, document }
        });
        store.write(writes.collect()).await?;
        written = batch.end;
    }
    Ok(())
}
