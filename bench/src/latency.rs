//! From the post to the phone, where little is going on: how long it takes, what it writes and syncs, and what a delivery
//! costs the processor on its whole way.

use std::time::Duration;

use crate::process::{BenchProcess, stats, wait_for_messages};
use crate::report::{BenchReport, FigureGoal, ReportFigure};
use crate::world::BenchFolder;
use crate::{BenchScale, probe};

/// Each configuration gets one alert.
const ID: &str = "one";
const ROUNDS: usize = 20;
/// Long enough for everything that an alert brought to have come to rest.
const REST: Duration = Duration::from_millis(1_500);
/// How many alerts the writes are counted over.
const WRITTEN: usize = 5;
const SUBSCRIBERS: usize = 20_000;
const PATIENCE: Duration = Duration::from_secs(120);

/// Adds the rows to the report.
pub(crate) async fn measure(scale: &BenchScale, report: &mut BenchReport) -> anyhow::Result<()> {
    let (mut first, mut more, mut syncs, mut written, mut whole) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..scale.runs {
        let (one, second) = measure_bar_close(scale).await?;
        first.push(one);
        more.push(second - one);
        let (count, kilobytes) = measure_writes(scale).await?;
        syncs.push(count);
        written.push(kilobytes);
        whole.push(measure_whole_way(scale).await?);
    }
    let name = "from the post to the phone, one subscriber";
    report.add(ReportFigure::alone(name, "ms", first, FigureGoal::AtMost(5.0)));
    let name = "how much longer the second alert of a bar close takes";
    report.add(ReportFigure::alone(name, "ms", more, FigureGoal::AtMost(5.0)));
    report.add(ReportFigure::alone("syncs of one alert to one subscriber", "", syncs, FigureGoal::AtMost(5.0)));
    report.add(ReportFigure::alone("written by one alert to one subscriber", "KB", written, FigureGoal::AtMost(60.0)));
    let name = format!("deliveries a second of processor time, whole way, {} subscribers", scale.of(SUBSCRIBERS));
    report.add(ReportFigure::alone(name, "/s", whole, FigureGoal::AtLeast(12_000.0)));
    Ok(())
}

/// Medians in ms: of an alert that comes alone, and of one to somebody else that follows when the first has just arrived.
async fn measure_bar_close(scale: &BenchScale) -> anyhow::Result<(f64, f64)> {
    let world = BenchFolder::make_apart(scale.dir(), 2 * ROUNDS).await?;
    let telegram = BenchProcess::telegram(None, Duration::ZERO).await?;
    let program = BenchProcess::alertcast(world.dir(), Some(&telegram), None).await?;
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for round in 0..scale.of(ROUNDS) {
        tokio::time::sleep(REST).await;
        for (place, times) in [&mut first, &mut second].into_iter().enumerate() {
            let begun = probe::now();
            program.enter(2 * round + place, ID).await?;
            wait_for_messages(&telegram, (2 * round + place + 1) as u64, PATIENCE).await?;
            times.push(begun.elapsed().as_secs_f64() * 1e3);
        }
    }
    program.stop().await?;
    telegram.stop().await?;
    Ok((probe::median(first), probe::median(second)))
}

/// Syncs, and kilobytes written, of one alert.
async fn measure_writes(scale: &BenchScale) -> anyhow::Result<(f64, f64)> {
    let telegram = BenchProcess::telegram(None, Duration::ZERO).await?;
    let world = BenchFolder::make(scale.dir(), 1, WRITTEN + 1).await?;
    let trace = world.dir().join("syncs");
    let program = BenchProcess::alertcast_watched(world.dir(), &telegram, &trace).await?;
    let count = || anyhow::Ok(std::fs::read_to_string(&trace)?.lines().filter(|line| line.contains("sync(")).count());
    settle_in(&program).await?;
    let before = count()?;
    enter_all(&program).await?;
    let syncs = (count()? - before) as f64 / WRITTEN as f64;
    program.stop().await?;
    let world = BenchFolder::make(scale.dir(), 1, WRITTEN + 1).await?;
    let program = BenchProcess::alertcast(world.dir(), Some(&telegram), None).await?;
    settle_in(&program).await?;
    let before = program.written()?;
    enter_all(&program).await?;
    let bytes = program.written()? - before;
    program.stop().await?;
    telegram.stop().await?;
    Ok((syncs, bytes as f64 / WRITTEN as f64 / 1e3))
}

/// Deliveries that a second of processor time brings from the post to the phone.
async fn measure_whole_way(scale: &BenchScale) -> anyhow::Result<f64> {
    let count = scale.of(SUBSCRIBERS);
    let world = BenchFolder::make(scale.dir(), count, 1).await?;
    let telegram = BenchProcess::telegram(None, Duration::ZERO).await?;
    let program = BenchProcess::alertcast(world.dir(), Some(&telegram), None).await?;
    tokio::time::sleep(REST).await;
    let before = program.cpu()?;
    program.enter(0, ID).await?;
    wait_for_messages(&telegram, count as u64, PATIENCE).await?;
    // What became of the last of them is still being recorded.
    tokio::time::sleep(REST).await;
    let used = program.cpu()? - before;
    anyhow::ensure!(stats(&telegram).await?.messages == count as u64, "a message was sent twice");
    program.stop().await?;
    telegram.stop().await?;
    Ok(count as f64 / used.as_secs_f64())
}

/// What only the first alert of a new folder brings is over: files are made.
async fn settle_in(program: &BenchProcess) -> anyhow::Result<()> {
    tokio::time::sleep(REST).await;
    program.enter(WRITTEN, ID).await?;
    tokio::time::sleep(REST).await;
    Ok(())
}

/// One alert after the other, each when the one before has come to rest.
async fn enter_all(program: &BenchProcess) -> anyhow::Result<()> {
    for number in 0..WRITTEN {
        program.enter(number, ID).await?;
        tokio::time::sleep(REST).await;
    }
    Ok(())
}
