//! One alert to many subscribers: until its trades and deliveries are committed, and until everybody has it.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use alertcast_core::alert::document::{Alert, AlertStatus};
use alertcast_core::store::{Collection, read};

use crate::probe::{self, median};
use crate::world::{LOOK, World, symbol};

/// Long enough for anything; a measurement that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(600);

/// Adds the rows to the report.
#[expect(clippy::disallowed_methods, reason = "a measurement is of the machine's own time")]
pub(crate) async fn measure(dir: &Path, subscribers: usize, runs: usize, report: &mut String) -> anyhow::Result<()> {
    let (mut committed, mut delivered, mut memory) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..runs.max(1) {
        let world = World::start(dir, subscribers, 1).await?;
        let begun = Instant::now();
        post(&world).await?;
        wait_processed(&world).await?;
        committed.push(begun.elapsed().as_secs_f64());
        memory.extend(probe::resident_mib().map(|mib| mib as f64));
        world.telegram.sim().wait_for(u64::try_from(subscribers)?, PATIENCE).await?;
        delivered.push(begun.elapsed().as_secs_f64());
        world.stop().await;
    }
    let (commit, all) = (median(committed), median(delivered));
    let count = subscribers as f64;
    writeln!(
        report,
        "| one alert to {subscribers} subscribers: trades and deliveries committed | {commit:.2} s, {:.0} subscribers/s | | |",
        count / commit
    )?;
    writeln!(
        report,
        "| the same: everybody has the message (stand-in without limits) | {all:.2} s, {:.0} messages/s | | |",
        count / all
    )?;
    writeln!(report, "| memory then, with load generator and stand-in | {:.0} MiB RSS | | |", median(memory))?;
    Ok(())
}

async fn post(world: &World) -> anyhow::Result<()> {
    let body = format!(
        "{{\"symbol\":\"{}\",\"timeframe\":\"60\",\"strategy\":\"Bench\",\"signal\":\"BUY\",\"price\":100.5}}",
        symbol(0)
    );
    let response = reqwest::Client::new().post(world.webhook()).body(body).send().await?;
    anyhow::ensure!(response.status() == 202, "answered {}", response.status());
    Ok(())
}

async fn wait_processed(world: &World) -> anyhow::Result<()> {
    let attempts = PATIENCE.as_millis() / LOOK.as_millis();
    for _ in 0..attempts {
        let alerts = world.running.app.store.page(Collection::Alerts, None, 1).await?;
        if let Some(document) = alerts.into_iter().next() {
            let alert: Alert = read(Collection::Alerts, document)?;
            if alert.processing.status == AlertStatus::Processed {
                return Ok(());
            }
        }
        tokio::time::sleep(LOOK).await;
    }
    anyhow::bail!("the alert was not processed in {} s", PATIENCE.as_secs())
}
