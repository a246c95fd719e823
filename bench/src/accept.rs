//! Accepted alerts a second, durable, over HTTP with 64 connections; and how long the slowest waited.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::probe::{self, Timings, median};
use crate::world::{World, symbol};

const CONNECTIONS: usize = 64;
const CONFIGURATIONS: usize = 32;
const ALERTS: usize = 6_000;
const PROBES: usize = 400;

/// Adds the rows to the report.
pub(crate) async fn measure(dir: &Path, runs: usize, report: &mut String) -> anyhow::Result<()> {
    let mut full = Vec::new();
    let mut syncs = Vec::new();
    let (mut p99, mut sync_p99) = (Vec::new(), Vec::new());
    for _ in 0..runs.max(1) {
        let probe = probe::fdatasync(dir, PROBES)?;
        // Nobody subscribes: the figure is about taking in, not about sending.
        let world = World::start(dir, 0, CONFIGURATIONS).await?;
        let timings = post(&world, ALERTS, None).await?;
        // At half of that load, alerts come at fixed moments, whatever became of those before.
        let half = post(&world, ALERTS / 2, Some(timings.rate() / 2.0)).await?;
        world.stop().await;
        full.push(timings.rate());
        syncs.push(probe.rate());
        p99.push(half.quantile(0.99).as_secs_f64() * 1e3);
        sync_p99.push(probe.quantile(0.99).as_secs_f64() * 1e3);
    }
    let (rate, sync) = (median(full), median(syncs));
    let (wait, sync_wait) = (median(p99), median(sync_p99));
    writeln!(
        report,
        "| accepted alerts/s ({CONNECTIONS} connections, durable) | {rate:.0} | {sync:.0} write+fdatasync/s | {:.1} |",
        rate / sync
    )?;
    writeln!(
        report,
        "| p99 from post to answer at half that load | {wait:.1} ms | {sync_wait:.1} ms, fdatasync's p99 | {:.1} |",
        wait / sync_wait
    )?;
    Ok(())
}

/// Posts so many alerts, at `rate` a second or as fast as the answers come.
#[expect(clippy::disallowed_methods, reason = "a measurement is of the machine's own time")]
async fn post(world: &World, alerts: usize, rate: Option<f64>) -> anyhow::Result<Timings> {
    let client = reqwest::Client::builder().pool_max_idle_per_host(CONNECTIONS).build()?;
    let next = Arc::new(AtomicUsize::new(0));
    let begun = Instant::now();
    let mut connections = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (client, next, url) = (client.clone(), Arc::clone(&next), world.webhook());
        connections.spawn(async move {
            let mut each = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= alerts {
                    return anyhow::Ok(each);
                }
                // In the open loop an alert's time begins when it was due, not when a connection was free for it.
                let due = rate.map_or_else(Instant::now, |rate| begun + Duration::from_secs_f64(number as f64 / rate));
                tokio::time::sleep_until(due.into()).await;
                let response = client.post(&url).body(body(number, rate.is_some())).send().await?;
                anyhow::ensure!(response.status() == 202, "answered {}", response.status());
                response.bytes().await?;
                each.push(due.elapsed());
            }
        });
    }
    let mut each = Vec::with_capacity(alerts);
    while let Some(done) = connections.join_next().await {
        each.extend(done??);
    }
    Ok(Timings::new(each, begun.elapsed()))
}

fn body(number: usize, second_pass: bool) -> String {
    let pass = u8::from(second_pass);
    format!(
        "{{\"symbol\":\"{}\",\"timeframe\":\"60\",\"strategy\":\"Bench\",\"signal\":\"BUY\",\"price\":100.5,\
         \"tp\":110,\"sl\":95,\"alert_id\":\"{pass}-{number}\"}}",
        symbol(number % CONFIGURATIONS)
    )
}
