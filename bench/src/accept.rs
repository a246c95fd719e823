//! Accepted alerts a second, durable, over HTTP with 64 connections; and how long the slowest waited.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;

use crate::process::BenchProcess;
use crate::report::{BenchReport, FigureGoal, ReportFigure};
use crate::world::{BenchFolder, alert, symbol};
use crate::{BenchScale, bare, probe};

const CONNECTIONS: usize = 64;
const CONFIGURATIONS: usize = 32;
const ALERTS: usize = 20_000;
const PROBES: usize = 2_000;

/// Adds the rows to the report.
pub(crate) async fn measure(scale: &BenchScale, report: &mut BenchReport) -> anyhow::Result<()> {
    let (mut full, mut bare, mut syncs) = (Vec::new(), Vec::new(), Vec::new());
    let (mut p99, mut p50, mut sync_p99, mut batches) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..scale.runs {
        // Nobody subscribes: the figure is about taking in, not about sending.
        let world = BenchFolder::make(scale.dir(), 0, CONFIGURATIONS).await?;
        let program = BenchProcess::alertcast(world.dir(), None, None).await?;
        let before = probe::fdatasync(scale.dir(), scale.of(PROBES))?;
        let closed = at_once(post(&[program.webhook()], scale.of(ALERTS), None).await?)?;
        // What was taken in is worked off before the next figure.
        world.wait_processed(scale.of(ALERTS)).await?;
        // At half of that load, alerts come at fixed moments, whatever became of those before.
        let rate = closed.rate() / 2.0;
        let groups = program.stop().await?.groups;
        let program = BenchProcess::alertcast(world.dir(), None, None).await?;
        let open = at_once(post(&[program.webhook()], scale.of(ALERTS), Some(rate)).await?)?;
        program.stop().await?;
        let after = probe::fdatasync(scale.dir(), scale.of(PROBES))?;
        let batch = (scale.of(ALERTS) as f64 / groups.max(1) as f64).round().max(1.0);
        batches.push(batch);
        full.push(closed.rate());
        bare.push(bare::insert_alerts(world.dir(), batch as usize)?);
        syncs.push((before.rate() + after.rate()) / 2.0);
        p99.push(open.quantile_ms(0.99));
        p50.push(open.quantile_ms(0.5));
        sync_p99.push((before.quantile_ms(0.99) + after.quantile_ms(0.99)) / 2.0);
    }
    report.add(ReportFigure {
        name: format!("accepted alerts ({CONNECTIONS} connections, closed loop), against a bare insert of the same rows in batches of the same size"),
        unit: "/s",
        measured: full.clone(),
        probe: bare,
        probe_unit: "alerts/s",
        goal: FigureGoal::RatioAtLeast(0.5),
    });
    report.add(ReportFigure {
        name: "the same, against single writes".to_owned(),
        unit: "/s",
        measured: full,
        probe: syncs,
        probe_unit: "write+fdatasync/s",
        goal: FigureGoal::RatioAtLeast(4.0),
    });
    report.add(ReportFigure {
        name: "p99 from post to answer at half that load (open loop)".to_owned(),
        unit: "ms",
        measured: p99,
        probe: sync_p99,
        probe_unit: "ms, fdatasync's p99",
        goal: FigureGoal::RatioAtMost(4.0),
    });
    report.add(ReportFigure::alone("median of the same", "ms", p50, FigureGoal::None));
    report.add(ReportFigure::alone("alerts to a commit in the closed loop", "", batches, FigureGoal::None));
    Ok(())
}

/// The timings, where every alert was accepted the first time.
fn at_once(posted: PostingOutcome) -> anyhow::Result<probe::ProbeTimings> {
    anyhow::ensure!(posted.resent == 0, "{} alerts were answered 503 at first", posted.resent);
    Ok(posted.timings)
}

/// How long a sender waits that was asked to come again.
const RESENT_AFTER: Duration = Duration::from_millis(500);

/// What came of posting alerts.
pub(crate) struct PostingOutcome {
    /// From each alert's first post to the answer that it is accepted.
    pub(crate) timings: probe::ProbeTimings,
    /// How many had to be sent again: the answer was 503.
    pub(crate) resent: usize,
}

/// Posts so many alerts, at `rate` a second or as fast as the answers come; each connection to one of these addresses.
pub(crate) async fn post(webhooks: &[String], alerts: usize, rate: Option<f64>) -> anyhow::Result<PostingOutcome> {
    let client = reqwest::Client::builder().pool_max_idle_per_host(CONNECTIONS).build()?;
    let next = Arc::new(AtomicUsize::new(0));
    let begun = probe::now();
    let mut connections = JoinSet::new();
    for url in webhooks.iter().cycle().take(CONNECTIONS) {
        let (client, next, url) = (client.clone(), Arc::clone(&next), url.clone());
        connections.spawn(async move {
            let (mut each, mut resent) = (Vec::new(), 0);
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= alerts {
                    return anyhow::Ok((each, resent));
                }
                // In the open loop an alert's time begins when it was due, not when a connection was free for it.
                let due = rate.map_or_else(probe::now, |rate| begun + Duration::from_secs_f64(number as f64 / rate));
                tokio::time::sleep_until(due.into()).await;
                let pass = u8::from(rate.is_some());
                let body = alert(&symbol(number % CONFIGURATIONS), "BUY", &format!("{pass}-{number}"));
                let mut tried = 0;
                loop {
                    let response = client.post(&url).body(body.clone()).send().await?;
                    let status = response.status().as_u16();
                    response.bytes().await?;
                    match status {
                        202 => break,
                        // It had been stored all the same.
                        200 if tried > 0 => break,
                        503 => tokio::time::sleep(RESENT_AFTER).await,
                        other => anyhow::bail!("answered {other}"),
                    }
                    tried += 1;
                    resent += 1;
                }
                each.push(due.elapsed());
            }
        });
    }
    let (mut each, mut resent) = (Vec::with_capacity(alerts), 0);
    while let Some(done) = connections.join_next().await {
        let (of_one, resent_by_one) = done??;
        each.extend(of_one);
        resent += resent_by_one;
    }
    Ok(PostingOutcome { timings: probe::ProbeTimings::new(each, begun.elapsed()), resent })
}
