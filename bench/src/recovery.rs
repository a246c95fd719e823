//! How long after `kill -9` the program takes alerts again, with a hundred thousand users and a million deliveries
//! pending; and what processor time it has taken by then.

use std::time::Duration;

use crate::process::BenchProcess;
use crate::report::{BenchReport, FigureGoal, ReportFigure};
use crate::world::BenchFolder;
use crate::{BenchScale, probe};

const SUBSCRIBERS: usize = 100_000;
const ALERTS: usize = 10;

/// Adds the row to the report.
pub(crate) async fn measure(scale: &BenchScale, report: &mut BenchReport) -> anyhow::Result<()> {
    let subscribers = scale.of(SUBSCRIBERS);
    let world = BenchFolder::make(scale.dir(), subscribers, ALERTS).await?;
    let mut program = BenchProcess::alertcast(world.dir(), None, None).await?;
    for number in 0..ALERTS {
        program.enter(number, "one").await?;
    }
    world.wait_processed(ALERTS).await?;
    let (mut ready, mut used) = (Vec::new(), Vec::new());
    for run in 0..scale.runs {
        // Something is being written when it dies.
        program.enter(0, &format!("again {run}")).await?;
        tokio::time::sleep(Duration::from_millis(100)).await;
        program.kill().await?;
        let begun = probe::now();
        program = BenchProcess::alertcast_at_once(world.dir()).await?;
        program.enter(0, &format!("after {run}")).await?;
        ready.push(begun.elapsed().as_secs_f64());
        used.push(program.cpu()?.as_secs_f64());
    }
    program.stop().await?;
    let name = format!("takes alerts after kill -9, with {subscribers} users and {} pending", subscribers * ALERTS);
    report.add(ReportFigure::alone(name, "s", ready, FigureGoal::AtMost(1.0)));
    report.add(ReportFigure::alone("processor time until then", "s", used, FigureGoal::AtMost(1.0)));
    Ok(())
}
