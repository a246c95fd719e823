//! The same on MongoDB, with one process and with several: accepted alerts, and one alert to many subscribers. Beside
//! each stand the same writes in bare transactions, by the same driver, into the same collections.

mod bare;
mod world;

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use self::world::{BenchDatabase, BenchServer};
use crate::accept::{PostingPlan, post};
use crate::process::BenchProcess;
use crate::report::{BenchReport, FigureGoal, ReportFigure};
use crate::world::symbol;
use crate::{BenchScale, probe};

const CONFIGURATIONS: usize = 32;
const ALERTS: usize = 2_000;
/// Subscribers to a chunk, and so to a commit.
const CHUNK: usize = 500;
/// How many processes share the work.
const PROCESSES: [usize; 3] = [1, 2, 4];
/// What several processes work on at once: alerts of so many configurations, each to so many subscribers.
const AT_ONCE: usize = 8;
const SUBSCRIBERS_AT_ONCE: usize = 2_000;

/// Which MongoDB to measure on. Without one nothing is.
#[derive(Debug, Args)]
pub(crate) struct MongoChoice {
    /// A MongoDB to measure on, as ALERTCAST_STORE would name it; databases are made in it and dropped.
    #[arg(long, conflicts_with = "mongodb_server")]
    mongodb: Option<String>,
    /// The program of a MongoDB server, to be started for the measurement; else the one that `./test` has brought.
    #[arg(long, env = "ALERTCAST_TEST_MONGODB_SERVER")]
    mongodb_server: Option<PathBuf>,
}

/// Adds the rows to the report.
pub(crate) async fn measure(choice: &MongoChoice, scale: &BenchScale, report: &mut BenchReport) -> anyhow::Result<()> {
    let server = match (&choice.mongodb, choice.mongodb_server.clone().or_else(find_brought_server)) {
        (Some(uri), _) => BenchServer::at(uri),
        (None, Some(program)) => BenchServer::start(&program, scale.dir()).await?,
        (None, None) => {
            crate::show("MongoDB is not measured: run ./test once, or name one with --mongodb or --mongodb-server");
            return Ok(());
        }
    };
    measure_accepted(&server, scale, report).await?;
    for subscribers in [10_000, 100_000] {
        fan_out(&server, scale, scale.of(subscribers), report).await?;
    }
    measure_shared(&server, scale, report).await
}

/// The mongod that `./test` keeps.
fn find_brought_server() -> Option<PathBuf> {
    let parts = concat!(env!("CARGO_MANIFEST_DIR"), "/../.parts");
    let kept = std::fs::read_dir(parts).into_iter().flatten().flatten().map(|part| part.path().join("mongod"));
    kept.filter(|program| program.is_file()).max()
}

/// Accepted alerts a second with one process, and how long the slowest waited at half of that.
async fn measure_accepted(server: &BenchServer, scale: &BenchScale, report: &mut BenchReport) -> anyhow::Result<()> {
    let (mut full, mut bare) = (Vec::new(), Vec::new());
    let (mut p99, mut p50, mut resent) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..scale.runs {
        let world = BenchDatabase::make(server, scale.dir(), 0, CONFIGURATIONS).await?;
        let program = world.start(0).await?;
        let closed = post(&[program.webhook()], PostingPlan::Count(scale.of(ALERTS))).await?;
        world.wait_processed(scale.of(ALERTS)).await?;
        let open =
            post(&[program.webhook()], PostingPlan::At { count: scale.of(ALERTS), rate: closed.timings.rate() / 2.0 })
                .await?;
        world.wait_processed(scale.of(ALERTS) * 2).await?;
        program.stop().await?;
        full.push(closed.timings.rate());
        p99.push(open.timings.quantile_ms(0.99));
        p50.push(open.timings.quantile_ms(0.5));
        resent.push((closed.resent + open.resent) as f64);
        bare.push(bare::accept_again(world.database(), scale.of(ALERTS)).await?);
        world.drop().await?;
    }
    report.add(ReportFigure {
        name: "MongoDB: accepted alerts (64 connections, closed loop), against bare transactions of the same writes, \
               those of different configurations side by side"
            .to_owned(),
        unit: "/s",
        measured: full,
        probe: bare,
        probe_unit: "transactions/s",
        goal: FigureGoal::RatioAtLeast(0.5),
    });
    report.add(ReportFigure::alone(
        "MongoDB: p99 from post to answer at half that load (open loop)",
        "ms",
        p99,
        FigureGoal::None,
    ));
    report.add(ReportFigure::alone("MongoDB: median of the same", "ms", p50, FigureGoal::None));
    report.add(ReportFigure::alone("MongoDB: of all these, answered 503 and sent again", "", resent, FigureGoal::None));
    Ok(())
}

/// One alert to many: an entry on a configuration of its own for each run, in one world.
async fn fan_out(
    server: &BenchServer,
    scale: &BenchScale,
    subscribers: usize,
    report: &mut BenchReport,
) -> anyhow::Result<()> {
    let world = BenchDatabase::make(server, scale.dir(), subscribers, scale.runs).await?;
    let program = world.start(0).await?;
    let (mut committed, mut bare) = (Vec::new(), Vec::new());
    for run in 0..scale.runs {
        let begun = probe::now();
        program.enter(run, "one").await?;
        world.wait_processed(run + 1).await?;
        committed.push(subscribers as f64 / begun.elapsed().as_secs_f64());
        let again = bare::BareChunks::take_out(world.database(), &symbol(run), CHUNK).await?;
        bare.push(again.commit(world.database()).await?);
    }
    program.stop().await?;
    world.drop().await?;
    report.add(ReportFigure {
        name: format!(
            "MongoDB: one alert to {subscribers} subscribers: trades with their deliveries committed, against bare \
             transactions of the same writes, {CHUNK} subscribers to each"
        ),
        unit: "/s",
        measured: committed,
        probe: bare,
        probe_unit: "/s",
        goal: FigureGoal::RatioAtLeast(0.5),
    });
    Ok(())
}

/// What several processes accept, and what they work off, together.
async fn measure_shared(server: &BenchServer, scale: &BenchScale, report: &mut BenchReport) -> anyhow::Result<()> {
    for processes in PROCESSES {
        let (mut accepted, mut worked_off) = (Vec::new(), Vec::new());
        for _ in 0..scale.runs {
            let world = BenchDatabase::make(server, scale.dir(), 0, CONFIGURATIONS).await?;
            let programs = start(&world, processes).await?;
            let webhooks: Vec<String> = programs.iter().map(BenchProcess::webhook).collect();
            accepted.push(post(&webhooks, PostingPlan::Count(scale.of(ALERTS))).await?.timings.rate());
            stop(programs).await?;
            world.drop().await?;

            let subscribers = scale.of(SUBSCRIBERS_AT_ONCE);
            let world = BenchDatabase::make(server, scale.dir(), subscribers, AT_ONCE).await?;
            let programs = start(&world, processes).await?;
            let begun = probe::now();
            for config in 0..AT_ONCE {
                programs[config % processes].enter(config, "one").await?;
            }
            world.wait_processed(AT_ONCE).await?;
            worked_off.push((subscribers * AT_ONCE) as f64 / begun.elapsed().as_secs_f64());
            stop(programs).await?;
            world.drop().await?;
        }
        let with = if processes == 1 { "1 process".to_owned() } else { format!("{processes} processes") };
        report.add(ReportFigure::alone(format!("MongoDB, {with}: accepted alerts"), "/s", accepted, FigureGoal::None));
        report.add(ReportFigure::alone(
            format!("MongoDB, {with}: {AT_ONCE} alerts at once, each to {SUBSCRIBERS_AT_ONCE} subscribers: committed"),
            "/s",
            worked_off,
            FigureGoal::None,
        ));
    }
    Ok(())
}

/// Starts so many processes, and gives them the time to share the work.
async fn start(world: &BenchDatabase, processes: usize) -> anyhow::Result<Vec<BenchProcess>> {
    let mut programs = Vec::with_capacity(processes);
    for number in 0..processes {
        programs.push(world.start(number).await?);
    }
    if processes > 1 {
        tokio::time::sleep(Duration::from_secs(4)).await;
    }
    Ok(programs)
}

async fn stop(programs: Vec<BenchProcess>) -> anyhow::Result<()> {
    for program in programs {
        program.stop().await?;
    }
    Ok(())
}
