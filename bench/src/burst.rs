//! A bar closes: 60 alerts within one second, each for 200 subscribers, while Telegram takes 100 ms to answer.

use std::time::Duration;

use tokio::task::JoinSet;

use crate::process::BenchProcess;
use crate::report::{BenchReport, FigureGoal, ReportFigure};
use crate::world::{BenchFolder, alert, symbol};
use crate::{BenchScale, probe};

const ALERTS: usize = 60;
const SUBSCRIBERS: usize = 200;

/// Adds the rows to the report.
pub(crate) async fn measure(scale: &BenchScale, report: &mut BenchReport) -> anyhow::Result<()> {
    let mut slowest = Vec::new();
    for _ in 0..scale.runs {
        let world = BenchFolder::make(scale.dir(), SUBSCRIBERS, ALERTS).await?;
        let telegram = BenchProcess::telegram(None, Duration::from_millis(100)).await?;
        let program = BenchProcess::alertcast(world.dir(), Some(&telegram), None).await?;
        let client = reqwest::Client::new();
        let begun = probe::now();
        let mut posts = JoinSet::new();
        for number in 0..ALERTS {
            let (client, url) = (client.clone(), program.webhook());
            let due = begun + Duration::from_secs(1).mul_f64(number as f64 / ALERTS as f64);
            posts.spawn(async move {
                tokio::time::sleep_until(due.into()).await;
                let response = client.post(&url).body(alert(&symbol(number), "BUY", "burst")).send().await?;
                anyhow::ensure!(response.status() == 202, "answered {}", response.status());
                anyhow::Ok(due.elapsed())
            });
        }
        let mut worst = Duration::ZERO;
        while let Some(done) = posts.join_next().await {
            worst = worst.max(done??);
        }
        slowest.push(worst.as_secs_f64() * 1e3);
        world.wait_processed(ALERTS).await?;
        program.stop().await?;
        telegram.stop().await?;
    }
    report.add(ReportFigure::alone(
        format!("{ALERTS} alerts within a second, each to {SUBSCRIBERS} subscribers, Telegram answering in 100 ms: slowest answer"),
        "ms",
        slowest,
        FigureGoal::AtMost(50.0),
    ));
    Ok(())
}
