//! The simulator as a program of its own, for benchmarks and for tests that kill the program under test.
#![forbid(unsafe_code)]

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use telegram_sim::{ChatMode, SimConfig, SimLimits, TranscriptRetention};
use tokio::signal::unix::{SignalKind, signal};

/// A stand-in Telegram Bot API server.
#[derive(Debug, Parser)]
#[command(version)]
struct SimArguments {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// A bot's token, 123456:ABC; repeat it for more bots. More can be added later over /sim/bots.
    #[arg(long = "token")]
    tokens: Vec<String>,
    /// Every private chat counts as started with every bot (the default).
    #[arg(long, conflicts_with = "strict")]
    lenient: bool,
    /// Only chats that were started can be written to.
    #[arg(long)]
    strict: bool,
    /// Switch Telegram's limits off.
    #[arg(long)]
    no_limits: bool,
    /// Messages a second of each bot; the published limit is 30, of paid broadcasts 1000.
    #[arg(long, conflicts_with = "no_limits")]
    bot_rate: Option<u32>,
    /// Delay every answer.
    #[arg(long, default_value_t = 0)]
    latency_ms: u64,
    /// Append what arrives to this file, a JSON line each, and load what it holds already.
    #[arg(long)]
    ledger: Option<PathBuf>,
    /// Keep only so many entries of the transcript in memory.
    #[arg(long)]
    keep_last: Option<usize>,
    /// Write the port to this file once it is bound.
    #[arg(long)]
    port_file: Option<PathBuf>,
    /// Seed for faults with a probability.
    #[arg(long)]
    seed: Option<u64>,
}

impl SimArguments {
    fn config(&self) -> SimConfig {
        let published = SimLimits::default();
        let limits = self.bot_rate.map_or(published, |rate| published.with_bot_rate(rate));
        let defaults = SimConfig::default();
        SimConfig {
            bots: self.tokens.clone(),
            mode: if self.strict { ChatMode::Strict } else { ChatMode::Lenient },
            limits: (!self.no_limits).then_some(limits),
            keep: self.keep_last.map_or(TranscriptRetention::All, TranscriptRetention::Last),
            latency_ms: self.latency_ms,
            ledger: self.ledger.clone(),
            seed: self.seed.unwrap_or(defaults.seed),
            ..defaults
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(io::stderr).init();
    match run(&SimArguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: &SimArguments) -> Result<(), Box<dyn std::error::Error>> {
    // Before anything can be waited for: a signal that comes early must not be lost.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let server = telegram_sim::start(args.config(), args.listen).await?;
    if let Some(path) = &args.port_file {
        write_atomically(path, &server.addr().port().to_string())?;
    }
    writeln!(io::stdout(), "{}", server.url())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    server.stop().await;
    Ok(())
}

/// Whoever waits for the file must not read half of it.
fn write_atomically(path: &Path, text: &str) -> io::Result<()> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(".tmp");
    std::fs::write(&draft, text)?;
    std::fs::rename(&draft, path)
}
