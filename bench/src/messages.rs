//! Messages a second: without limits against a bare loop of requests, and within Telegram's limits against what they
//! allow.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;

use crate::process::{BenchProcess, stats, wait_for_messages};
use crate::report::{BenchReport, FigureGoal, ReportFigure};
use crate::world::{BenchFolder, TOKEN};
use crate::{BenchScale, probe};

/// As the program's own, for each bot.
const CONCURRENCY: usize = 16;
const PATIENCE: Duration = Duration::from_secs(600);

/// Adds the rows about sending without limits.
pub(crate) async fn without_limits(scale: &BenchScale, report: &mut BenchReport) -> anyhow::Result<()> {
    let count = scale.of(20_000);
    let (mut rate, mut cost, mut bare) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..scale.runs {
        let world = prepare_pending(scale, count).await?;
        let telegram = BenchProcess::telegram(None, Duration::ZERO).await?;
        let program = BenchProcess::alertcast(world.dir(), Some(&telegram), None).await?;
        let first = stats(&telegram).await?.messages;
        let (begun, cpu) = (probe::now(), program.cpu()?);
        wait_for_messages(&telegram, count as u64, PATIENCE).await?;
        rate.push((count as u64 - first) as f64 / begun.elapsed().as_secs_f64());
        cost.push((program.cpu()? - cpu).as_secs_f64() / (count as u64 - first) as f64 * 1e3);
        program.stop().await?;
        bare.push(loop_of_requests(&telegram, count).await?);
        telegram.stop().await?;
    }
    report.add(ReportFigure {
        name: format!(
            "messages to a stand-in without limits, against a bare loop of requests ({CONCURRENCY} under way)"
        ),
        unit: "/s",
        measured: rate,
        probe: bare,
        probe_unit: "/s",
        goal: FigureGoal::RatioAtLeast(0.7),
    });
    report.add(ReportFigure::alone("processor time for 1,000 messages", "s", cost, FigureGoal::AtMost(0.05)));
    Ok(())
}

/// Adds the rows about Telegram's limits.
pub(crate) async fn within_limits(scale: &BenchScale, report: &mut BenchReport) -> anyhow::Result<()> {
    for (rate, count) in [(30_u32, 900), (1_000, 20_000)] {
        let (mut reached, mut own) = (Vec::new(), Vec::new());
        for _ in 0..scale.runs {
            let (speed, refused) = measure_limited(scale, rate, scale.of(count)).await?;
            reached.push(speed);
            own.push(refused as f64);
        }
        report.add(ReportFigure {
            name: format!("messages within a limit of {rate} a second, 1 % of the chats frozen by 429"),
            unit: "/s",
            probe: vec![f64::from(rate)],
            measured: reached,
            probe_unit: "/s allowed",
            goal: FigureGoal::RatioAtLeast(0.98),
        });
        report.add(ReportFigure::alone("429 of our own making then", "", own, FigureGoal::AtMost(0.0)));
    }
    Ok(())
}

/// Messages a second while there is enough to send, and how many 429 were not the stand-in's own caprice.
async fn measure_limited(scale: &BenchScale, rate: u32, count: usize) -> anyhow::Result<(f64, u64)> {
    let world = prepare_pending(scale, count).await?;
    let telegram = BenchProcess::telegram(Some(rate), Duration::from_millis(20)).await?;
    let (client, faults) = (reqwest::Client::new(), format!("{}/sim/faults", telegram.url));
    for chat in (1..=count).step_by(100) {
        let freeze = json!({"action": "too_many_requests", "retry_after": 3, "chat": chat, "times": 1});
        client.post(&faults).json(&freeze).send().await?.error_for_status()?;
    }
    let program = BenchProcess::alertcast(world.dir(), Some(&telegram), Some(rate)).await?;
    // The bucket that is full at the start would flatter the figure.
    let from = wait_for_messages(&telegram, u64::from(rate) + 5, PATIENCE).await?.messages;
    let begun = probe::now();
    let to = wait_for_messages(&telegram, count as u64 * 9 / 10, PATIENCE).await?;
    let speed = (to.messages - from) as f64 / begun.elapsed().as_secs_f64();
    let all = wait_for_messages(&telegram, count as u64, PATIENCE).await?;
    anyhow::ensure!(all.limited_injected > 0, "no chat was frozen");
    program.stop().await?;
    telegram.stop().await?;
    Ok((speed, all.limited_bot + all.limited_chat + all.limited_group + all.limited_while_frozen))
}

/// A world in which so many messages wait.
async fn prepare_pending(scale: &BenchScale, count: usize) -> anyhow::Result<BenchFolder> {
    let world = BenchFolder::make(scale.dir(), count, 1).await?;
    let program = BenchProcess::alertcast(world.dir(), None, None).await?;
    program.enter(0, "one").await?;
    world.wait_processed(1).await?;
    program.stop().await?;
    Ok(world)
}

/// The same messages by nothing but an HTTP client.
async fn loop_of_requests(telegram: &BenchProcess, count: usize) -> anyhow::Result<f64> {
    let client = reqwest::Client::builder().pool_max_idle_per_host(CONCURRENCY).build()?;
    let next = Arc::new(AtomicUsize::new(0));
    let text = "🟢 <b>BUY</b>  <b>BENCH0 · 1h</b>\nBench · trade #1\n\n📍 Entry  <b>100.5</b>\n🎯 Target  <b>110</b>  +9.45%\n🛑 Stop  <b>95</b>  −5.47%";
    let begun = probe::now();
    let mut tasks = JoinSet::new();
    for _ in 0..CONCURRENCY {
        let (client, next) = (client.clone(), Arc::clone(&next));
        let url = format!("{}/bot{TOKEN}/sendMessage", telegram.url);
        tasks.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return anyhow::Ok(());
                }
                let message = json!({"chat_id": number + 1, "text": text, "parse_mode": "HTML"});
                client.post(&url).json(&message).send().await?.error_for_status()?.bytes().await?;
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(count as f64 / begun.elapsed().as_secs_f64())
}
