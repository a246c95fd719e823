//! Measures Alertcast against what the machine can do in the same run, and writes the report.
//!
//!     cargo run --release -p alertcast-bench -- --write docs/benchmarks.md

mod accept;
mod fanout;
mod probe;
mod world;

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Parser;

/// Measures Alertcast, and writes the report.
#[derive(Debug, Parser)]
struct Arguments {
    /// On whose disk to measure.
    #[arg(long, default_value = "target")]
    dir: PathBuf,
    /// Where to write the report; without it, it is printed only.
    #[arg(long)]
    write: Option<PathBuf>,
    /// Runs of each figure, of which the median is told.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Subscribers of the large fan-out.
    #[arg(long, default_value_t = 100_000)]
    subscribers: usize,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    alertcast::tls::choose_provider();
    std::fs::create_dir_all(&arguments.dir)?;
    let mut report = String::from(HEAD);
    accept::measure(&arguments.dir, arguments.runs, &mut report).await?;
    for subscribers in [1_000, arguments.subscribers] {
        let runs = if subscribers > 10_000 { arguments.runs.min(3) } else { arguments.runs };
        fanout::measure(&arguments.dir, subscribers, runs, &mut report).await?;
    }
    writeln!(
        report,
        "\nMachine: {} cores. Medians of the runs; load generator, program and stand-in for Telegram share the cores, in one process.",
        cores()
    )?;
    if let Some(path) = &arguments.write {
        std::fs::write(path, &report)?;
    }
    show(&report);
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the report is what this program is for")]
fn show(report: &str) {
    println!("{report}");
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

const HEAD: &str = "# Benchmarks

Made by `cargo run --release -p alertcast-bench -- --write docs/benchmarks.md`. A figure alone says little about another
machine: beside each stands a probe of the same machine in the same run.

| figure | measured | probe | ratio |
|---|---|---|---|
";
