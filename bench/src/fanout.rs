//! One alert to many subscribers: how fast its trades and deliveries are committed; and what memory three open trades
//! for each of them take.

use crate::process::BenchProcess;
use crate::report::{BenchReport, FigureGoal, ReportFigure};
use crate::world::BenchFolder;
use crate::{BenchScale, bare, probe};

const SUBSCRIBERS: usize = 100_000;
/// Subscribers to a chunk, and so to a commit.
const CHUNK: usize = 500;

/// Adds the rows to the report.
pub(crate) async fn measure(scale: &BenchScale, report: &mut BenchReport) -> anyhow::Result<()> {
    for subscribers in [1_000, SUBSCRIBERS] {
        let subscribers = scale.of(subscribers);
        let large = subscribers > 10_000;
        let (mut committed, mut bare, mut memory, mut decided) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for _ in 0..scale.runs {
            let world = BenchFolder::make(scale.dir(), subscribers, 3).await?;
            let program = BenchProcess::alertcast(world.dir(), None, None).await?;
            committed.push(subscribers as f64 / enter(&world, &program, 0).await?);
            // Before more trades are opened: these rows and no others.
            bare.push(bare::insert_trades(world.dir(), CHUNK)?);
            decided.push(world.count_bytes("decisions")? / subscribers as f64);
            if large {
                memory.push(three_open(&world, &program, 0).await?);
            }
            program.stop().await?;
        }
        report.add(ReportFigure {
            name: format!(
                "one alert to {subscribers} subscribers: trades with their deliveries committed, against a bare insert \
                 of the same rows, {CHUNK} of each to a commit"
            ),
            unit: "/s",
            measured: committed,
            probe: bare,
            probe_unit: "/s",
            goal: FigureGoal::RatioAtLeast(if large { 0.7 } else { 0.5 }),
        });
        if large {
            let name = "kept for good of an alert for each subscriber: the decision";
            report.add(ReportFigure::alone(name, "bytes", decided, FigureGoal::None));
            report.add(ReportFigure::alone(
                format!("memory (RSS) with {subscribers} subscribers and {} open trades", subscribers * 3),
                "MB",
                memory,
                FigureGoal::AtMost(400.0),
            ));
        }
    }
    Ok(())
}

/// Posts an entry and waits until it is processed; answers the seconds.
async fn enter(world: &BenchFolder, program: &BenchProcess, config: usize) -> anyhow::Result<f64> {
    let begun = probe::now();
    program.enter(config, "one").await?;
    world.wait_processed(config + 1).await?;
    Ok(begun.elapsed().as_secs_f64())
}

/// Opens two more trades for everybody; answers the memory then, in MB.
async fn three_open(world: &BenchFolder, program: &BenchProcess, first: usize) -> anyhow::Result<f64> {
    for config in first + 1..first + 3 {
        enter(world, program, config).await?;
    }
    program.resident_mb()
}
