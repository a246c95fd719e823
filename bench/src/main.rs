//! Measures Alertcast against what the machine can do in the same run, and writes the report: all of it in less than
//! half an hour, each figure as the median of five runs.
//!
//!     cargo run --release -p alertcast-bench -- --write docs/benchmarks.md
//!
//! The program under test and the stand-in for Telegram run in processes of their own, which this same program is
//! started as again: so memory and processor time are theirs alone.

mod accept;
mod bare;
mod burst;
mod child;
mod fanout;
mod latency;
mod lists;
mod messages;
mod mongodb;
mod page;
mod probe;
mod process;
mod recovery;
mod report;
mod world;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};

use self::report::BenchReport;

/// Measures Alertcast, and writes the report.
#[derive(Debug, Parser)]
struct BenchCommand {
    #[command(subcommand)]
    part: Option<ChildRole>,
    #[command(flatten)]
    arguments: BenchArguments,
}

#[derive(Debug, Args)]
struct BenchArguments {
    /// On whose disk to measure.
    #[arg(long, default_value = "target")]
    dir: PathBuf,
    /// The file whose measured parts are written anew, and what people wrote around them stays; without it, the report
    /// is printed only.
    #[arg(long)]
    write: Option<PathBuf>,
    /// Runs of each figure, of which the median is told.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Measures only these: accept, burst, latency, fanout, messages, limits, recovery, lists, mongodb.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// A tenth of everything: to see that it works, not to measure.
    #[arg(long)]
    quick: bool,
    #[command(flatten)]
    mongodb: mongodb::MongoChoice,
}

/// The parts that run in processes of their own.
#[derive(Debug, Subcommand)]
enum ChildRole {
    /// Alertcast itself.
    #[command(hide = true)]
    Child(child::ChildServer),
    /// The stand-in for Telegram.
    #[command(hide = true)]
    Telegram(child::TelegramStandIn),
    /// A server that does nothing.
    #[command(hide = true)]
    NoOp,
}

/// How much is measured.
#[derive(Debug, Clone)]
pub(crate) struct BenchScale {
    pub(crate) dir: PathBuf,
    pub(crate) runs: usize,
    quick: bool,
}

impl BenchScale {
    /// So many, or a tenth.
    pub(crate) const fn of(&self, count: usize) -> usize {
        if self.quick { count.div_ceil(10) } else { count }
    }

    /// So long, or a tenth.
    pub(crate) fn time(&self, time: Duration) -> Duration {
        if self.quick { time / 10 } else { time }
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let cli = BenchCommand::parse();
    alertcast::tls::choose_provider();
    match cli.part {
        Some(ChildRole::Child(child)) => child.run().await,
        Some(ChildRole::Telegram(telegram)) => telegram.run().await,
        Some(ChildRole::NoOp) => child::run_no_op().await,
        None => measure(&cli.arguments).await,
    }
}

async fn measure(arguments: &BenchArguments) -> anyhow::Result<()> {
    std::fs::create_dir_all(&arguments.dir)?;
    if let Some(path) = arguments.write.as_deref().filter(|path| path.exists()) {
        // Not found out only after all has been measured.
        let nothing = [(page::PageSection::Embedded, String::new()), (page::PageSection::MongoDb, String::new())];
        page::renew_page(Some(&std::fs::read_to_string(path)?), &nothing)
            .with_context(|| path.display().to_string())?;
    }
    let scale = BenchScale { dir: arguments.dir.clone(), runs: arguments.runs.max(1), quick: arguments.quick };
    let wanted = |name: &str| arguments.only.is_empty() || arguments.only.iter().any(|only| only == name);
    let (mut report, mut on_mongodb) = (BenchReport::default(), BenchReport::default());
    if wanted("accept") {
        accept::measure(&scale, &mut report).await?;
    }
    if wanted("burst") {
        burst::measure(&scale, &mut report).await?;
    }
    if wanted("latency") {
        latency::measure(&scale, &mut report).await?;
    }
    if wanted("fanout") {
        fanout::measure(&scale, &mut report).await?;
    }
    if wanted("messages") {
        messages::without_limits(&scale, &mut report).await?;
    }
    if wanted("limits") {
        messages::within_limits(&scale, &mut report).await?;
    }
    if wanted("recovery") {
        recovery::measure(&scale, &mut report).await?;
    }
    if wanted("lists") {
        lists::measure(&scale, &mut report).await?;
    }
    if wanted("mongodb") {
        mongodb::measure(&arguments.mongodb, &scale, &mut on_mongodb).await?;
    }
    let parts = [(page::PageSection::Embedded, &report), (page::PageSection::MongoDb, &on_mongodb)];
    let parts = parts.into_iter().filter(|(_, report)| !report.is_empty());
    let measured: Vec<_> = parts.map(|(part, report)| (part, report.format_measured(scale.runs))).collect();
    if let Some(path) = &arguments.write {
        let kept = path.exists().then(|| std::fs::read_to_string(path)).transpose()?;
        let text = page::renew_page(kept.as_deref(), &measured);
        std::fs::write(path, text.with_context(|| format!("{} was not written", path.display()))?)?;
    }
    measured.iter().for_each(|(_, table)| show(table));
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the report is what this program is for")]
pub(crate) fn show(text: &str) {
    println!("{text}");
}
