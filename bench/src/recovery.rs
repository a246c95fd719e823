//! How long after `kill -9` the program is ready again, with a million deliveries pending.

use std::time::Duration;

use crate::process::BenchProcess;
use crate::report::{BenchReport, FigureGoal, ReportFigure};
use crate::world::{BenchFolder, alert, symbol};
use crate::{BenchScale, probe};

const SUBSCRIBERS: usize = 10_000;
const ALERTS: usize = 100;

/// Adds the row to the report.
pub(crate) async fn measure(scale: &BenchScale, report: &mut BenchReport) -> anyhow::Result<()> {
    let subscribers = scale.of(SUBSCRIBERS);
    let world = BenchFolder::make(scale.dir(), subscribers, ALERTS).await?;
    let mut program = BenchProcess::alertcast(world.dir(), None, None).await?;
    let client = reqwest::Client::new();
    for number in 0..ALERTS {
        let body = alert(&symbol(number), "BUY", "one");
        let response = client.post(program.webhook()).body(body).send().await?;
        anyhow::ensure!(response.status() == 202, "answered {}", response.status());
    }
    world.wait_processed(ALERTS).await?;
    let mut ready = Vec::new();
    for run in 0..scale.runs {
        // Something is being written when it dies.
        let body = alert(&symbol(0), "BUY", &format!("again {run}"));
        let response = client.post(program.webhook()).body(body).send().await?;
        anyhow::ensure!(response.status() == 202, "answered {}", response.status());
        tokio::time::sleep(Duration::from_millis(100)).await;
        program.kill().await?;
        let begun = probe::now();
        program = BenchProcess::alertcast(world.dir(), None, None).await?;
        client.get(format!("{}/readyz", program.url)).send().await?.error_for_status()?;
        ready.push(begun.elapsed().as_secs_f64());
    }
    program.stop().await?;
    report.add(ReportFigure::alone(
        format!("ready after kill -9 with {} deliveries pending", subscribers * ALERTS),
        "s",
        ready,
        FigureGoal::AtMost(1.0),
    ));
    Ok(())
}
