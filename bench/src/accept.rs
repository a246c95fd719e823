//! Accepted alerts a second, durable, over HTTP with 64 connections; how long the slowest waited; and what an alert costs
//! until it is worked off.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use alertcast_core::store::{Collection, DocumentStore as _, DocumentWrite};
use alertcast_sqlite::{SqliteOptions, SqliteStore};
use bson::oid::ObjectId;
use bson::{DateTime, doc};
use tokio::task::JoinSet;

use crate::process::{BenchProcess, SyncDelay};
use crate::report::{BenchReport, FigureGoal, ReportFigure};
use crate::world::{BenchFolder, alert, symbol};
use crate::{BenchScale, bare, probe};

const CONNECTIONS: usize = 64;
const CONFIGURATIONS: usize = 32;
/// Alerts come without a pause for so long.
const BURST: Duration = Duration::from_secs(5);
const PROBES: usize = 2_000;
/// Alerts that come alone, and how far apart.
const LONE: usize = 40;
const LONE_EVERY: Duration = Duration::from_millis(150);
/// Keys that are kept while alerts are accepted, and how many are written at once.
const KEYS: usize = 600_000;
const KEYS_A_WRITE: usize = 2_000;
/// How long each sync lasts longer, where a slow disk is played.
const SLOW_SYNC: Duration = Duration::from_millis(1);

/// What one run measured.
#[derive(Debug, Default)]
struct AcceptFigures {
    worked_off: Vec<f64>,
    accepted: Vec<f64>,
    late_s: Vec<f64>,
    no_op: Vec<f64>,
    bare: Vec<f64>,
    syncs: Vec<f64>,
    cpu_ms: Vec<f64>,
    batches: Vec<f64>,
    p99: Vec<f64>,
    p50: Vec<f64>,
    sync_p99: Vec<f64>,
    slow: Vec<f64>,
    slow_syncs: Vec<f64>,
    lone_ms: Vec<f64>,
    with_keys: Vec<f64>,
}

/// Adds the rows to the report.
pub(crate) async fn measure(scale: &BenchScale, report: &mut BenchReport) -> anyhow::Result<()> {
    let mut figures = AcceptFigures::default();
    for _ in 0..scale.runs {
        let before = probe::fdatasync(scale.dir(), scale.of(PROBES))?;
        figures.measure_burst(scale).await?;
        figures.measure_open_loop(scale).await?;
        let after = probe::fdatasync(scale.dir(), scale.of(PROBES))?;
        let syncs = f64::midpoint(before.rate(), after.rate());
        figures.syncs.push(syncs);
        figures.sync_p99.push(f64::midpoint(before.quantile_ms(0.99), after.quantile_ms(0.99)));
        figures.measure_slow_disk(scale).await?;
        figures.slow_syncs.push(1.0 / (1.0 / syncs + SLOW_SYNC.as_secs_f64()));
        figures.measure_lone(scale).await?;
        figures.measure_with_keys(scale).await?;
    }
    figures.add_to(report);
    Ok(())
}

impl AcceptFigures {
    /// As many alerts as come through in a while, and until the last one is worked off.
    async fn measure_burst(&mut self, scale: &BenchScale) -> anyhow::Result<()> {
        let no_op = BenchProcess::no_op().await?;
        self.no_op.push(at_once(post(&[no_op.webhook()], PostingPlan::For(scale.time(BURST))).await?)?.rate());
        no_op.stop().await?;
        // Nobody subscribes: the figure is about taking in, not about sending.
        let world = BenchFolder::make(scale.dir(), 0, CONFIGURATIONS).await?;
        let program = BenchProcess::alertcast(world.dir(), None, None).await?;
        let (begun, cpu) = (probe::now(), program.cpu()?);
        let closed = at_once(post(&[program.webhook()], PostingPlan::For(scale.time(BURST))).await?)?;
        let (accepted, posted) = (closed.count(), begun.elapsed());
        world.wait_processed(accepted).await?;
        let all = begun.elapsed();
        self.accepted.push(closed.rate());
        self.worked_off.push(accepted as f64 / all.as_secs_f64());
        self.late_s.push((all - posted).as_secs_f64());
        self.cpu_ms.push((program.cpu()? - cpu).as_secs_f64() * 1e3 / accepted as f64);
        let groups = program.stop().await?.groups;
        let batch = (accepted as f64 / groups.max(1) as f64).round().max(1.0);
        self.batches.push(batch);
        self.bare.push(bare::insert_alerts(world.dir(), batch as usize)?);
        Ok(())
    }

    /// At half of what was worked off, alerts come at fixed moments, whatever became of those before.
    async fn measure_open_loop(&mut self, scale: &BenchScale) -> anyhow::Result<()> {
        let rate = self.worked_off.last().copied().unwrap_or(1.0) / 2.0;
        let world = BenchFolder::make(scale.dir(), 0, CONFIGURATIONS).await?;
        let program = BenchProcess::alertcast(world.dir(), None, None).await?;
        let count = (rate * scale.time(BURST).as_secs_f64()) as usize;
        let open = at_once(post(&[program.webhook()], PostingPlan::At { count, rate }).await?)?;
        program.stop().await?;
        self.p99.push(open.quantile_ms(0.99));
        self.p50.push(open.quantile_ms(0.5));
        Ok(())
    }

    async fn measure_slow_disk(&mut self, scale: &BenchScale) -> anyhow::Result<()> {
        let world = BenchFolder::make(scale.dir(), 0, CONFIGURATIONS).await?;
        let program = BenchProcess::alertcast_with(world.dir(), SyncDelay(SLOW_SYNC)).await?;
        let closed = at_once(post(&[program.webhook()], PostingPlan::For(scale.time(BURST))).await?)?;
        self.slow.push(closed.rate());
        program.stop().await.map(drop)
    }

    /// Beyond what the program takes while nothing comes.
    async fn measure_lone(&mut self, scale: &BenchScale) -> anyhow::Result<()> {
        let world = BenchFolder::make(scale.dir(), 1, CONFIGURATIONS).await?;
        let program = BenchProcess::alertcast(world.dir(), None, None).await?;
        let mut cpu = [Duration::ZERO; 2];
        for (pass, used) in cpu.iter_mut().enumerate() {
            let before = program.cpu()?;
            for number in 0..LONE {
                tokio::time::sleep(LONE_EVERY).await;
                if pass == 1 {
                    program.enter(number % CONFIGURATIONS, &format!("lone-{number}")).await?;
                }
            }
            *used = program.cpu()? - before;
        }
        program.stop().await?;
        self.lone_ms.push(cpu[1].saturating_sub(cpu[0]).as_secs_f64() * 1e3 / LONE as f64);
        Ok(())
    }

    async fn measure_with_keys(&mut self, scale: &BenchScale) -> anyhow::Result<()> {
        let world = BenchFolder::make(scale.dir(), 0, CONFIGURATIONS).await?;
        keep_keys(&world, scale.of(KEYS)).await?;
        let program = BenchProcess::alertcast(world.dir(), None, None).await?;
        let closed = at_once(post(&[program.webhook()], PostingPlan::For(scale.time(BURST))).await?)?;
        self.with_keys.push(closed.rate());
        program.stop().await.map(drop)
    }

    fn add_to(self, report: &mut BenchReport) {
        let against = |name: &str, measured, probe, probe_unit, goal| ReportFigure {
            name: name.to_owned(),
            unit: "/s",
            measured,
            probe,
            probe_unit,
            goal,
        };
        let no_op = "/s of a server that does nothing";
        report.add(against(
            &format!("alerts accepted and worked off ({CONNECTIONS} connections), against a server that does nothing"),
            self.worked_off,
            self.no_op.clone(),
            no_op,
            FigureGoal::RatioAtLeast(0.35),
        ));
        report.add(against(
            &format!("accepted alerts in a burst of {} s, against the same", BURST.as_secs()),
            self.accepted.clone(),
            self.no_op,
            no_op,
            FigureGoal::RatioAtLeast(0.6),
        ));
        report.add(ReportFigure::alone("worked off after the burst", "s", self.late_s, FigureGoal::AtMost(15.0)));
        report.add(against(
            "accepted alerts, against a bare insert of the same rows in batches of the same size",
            self.accepted.clone(),
            self.bare,
            "alerts/s",
            FigureGoal::RatioAtLeast(0.5),
        ));
        report.add(against(
            "the same, against single writes",
            self.accepted.clone(),
            self.syncs,
            "write+fdatasync/s",
            FigureGoal::RatioAtLeast(3.0),
        ));
        report.add(against(
            "the same where each sync lasts 1 ms longer",
            self.slow,
            self.slow_syncs,
            "write+fdatasync/s",
            FigureGoal::RatioAtLeast(8.0),
        ));
        report.add(against(
            &format!("the same while {KEYS} keys of earlier alerts are kept, against none"),
            self.with_keys,
            self.accepted,
            "/s",
            FigureGoal::RatioAtLeast(0.95),
        ));
        report.add(ReportFigure {
            name: "p99 from post to answer at half of what is worked off (open loop)".to_owned(),
            unit: "ms",
            measured: self.p99,
            probe: self.sync_p99,
            probe_unit: "ms, fdatasync's p99",
            goal: FigureGoal::RatioAtMostOr(5.0, 5.0),
        });
        report.add(ReportFigure::alone("median of the same", "ms", self.p50, FigureGoal::None));
        report.add(ReportFigure::alone("alerts to a commit in the burst", "", self.batches, FigureGoal::None));
        let cost = "processor time of an alert accepted and worked off";
        report.add(ReportFigure::alone(cost, "ms", self.cpu_ms, FigureGoal::AtMost(0.15)));
        let cost = "processor time of an alert that comes alone, to one subscriber";
        report.add(ReportFigure::alone(cost, "ms", self.lone_ms, FigureGoal::AtMost(0.6)));
    }
}

/// Has so many keys kept, as earlier alerts left them.
async fn keep_keys(world: &BenchFolder, keys: usize) -> anyhow::Result<()> {
    let store = SqliteStore::open(world.dir(), &SqliteOptions::default())?;
    let until = DateTime::from_millis(4_000_000_000_000);
    for first in (0..keys).step_by(KEYS_A_WRITE) {
        let writes = (first..keys.min(first + KEYS_A_WRITE)).map(|number| DocumentWrite::Insert {
            collection: Collection::IntakeKeys,
            document: doc! { "_id": probe::digest(number), "alertId": ObjectId::new(), "until": until },
        });
        store.write(writes.collect()).await?;
    }
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

/// Which alerts are posted.
#[derive(Debug, Clone, Copy)]
pub(crate) enum PostingPlan {
    /// So many, as fast as the answers come.
    Count(usize),
    /// As fast as the answers come, for so long.
    For(Duration),
    /// So many, at `rate` a second. An alert's time begins when it was due, not when a connection was free for it.
    At { count: usize, rate: f64 },
}

impl PostingPlan {
    /// When an alert is to be posted, from the beginning on; none: there are no more.
    fn due(self, number: usize, elapsed: Duration) -> Option<Duration> {
        match self {
            Self::Count(count) => (number < count).then_some(elapsed),
            Self::For(time) => (elapsed < time).then_some(elapsed),
            Self::At { count, rate } => (number < count).then(|| Duration::from_secs_f64(number as f64 / rate)),
        }
    }
}

/// Posts alerts; each connection to one of these addresses.
pub(crate) async fn post(webhooks: &[String], plan: PostingPlan) -> anyhow::Result<PostingOutcome> {
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
                let Some(due) = plan.due(number, begun.elapsed()) else { return anyhow::Ok((each, resent)) };
                let due = begun + due;
                tokio::time::sleep_until(due.into()).await;
                let body = alert(&symbol(number % CONFIGURATIONS), "BUY", &format!("{plan:?}-{number}"));
                resent += post_until_kept(&client, &url, &body).await?;
                each.push(due.elapsed());
            }
        });
    }
    let (mut each, mut resent) = (Vec::new(), 0);
    while let Some(done) = connections.join_next().await {
        let (of_one, resent_by_one) = done??;
        each.extend(of_one);
        resent += resent_by_one;
    }
    Ok(PostingOutcome { timings: probe::ProbeTimings::new(each, begun.elapsed()), resent })
}

/// Posts an alert until it is accepted; answers how often it had to be sent again.
async fn post_until_kept(client: &reqwest::Client, url: &str, body: &str) -> anyhow::Result<usize> {
    let mut resent = 0;
    loop {
        let response = client.post(url).body(body.to_owned()).send().await?;
        let status = response.status().as_u16();
        response.bytes().await?;
        match status {
            202 => return Ok(resent),
            // It had been stored all the same.
            200 if resent > 0 => return Ok(resent),
            503 => tokio::time::sleep(RESENT_AFTER).await,
            other => anyhow::bail!("answered {other}"),
        }
        resent += 1;
    }
}
