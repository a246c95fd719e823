//! The command line: reads it, runs the command, prints what came of it, and says with the exit code how it went.
//! Only here a store adapter is named.

mod admin;
mod doctor;
#[cfg(test)]
mod documented;
mod failure;
mod import;
mod replay;
mod seed;
mod serve;
mod setup;
mod store;
mod terminal;

use std::path::PathBuf;
use std::process::ExitCode;

use alertcast_core::store::Collection;
use alertcast_core::token::TOKEN_DAYS;
use clap::{Args, Parser, Subcommand};
use secrecy::SecretString;

use self::failure::CommandFailure;
use crate::base::ObjectIds;
use crate::clock::{Clock as _, SystemClock};
use crate::http;
use crate::running::set_up;
use crate::settings::loading::{self, ConfigError, LoadedSettings, SettingKey, SettingSources};
use crate::telemetry;
use crate::tokens::{self, TokenLookup};

/// Something failed.
const FAILED: u8 = 1;
/// The command or the configuration is not right.
const USAGE: u8 = 2;

/// One TradingView alert becomes the right message for every paying subscriber.
#[derive(Debug, Parser)]
#[command(name = "alertcast", version, propagate_version = true, arg_required_else_help = true)]
#[command(after_help = "Settings come from alertcast.toml, then the environment (ALERTCAST_…), then flags.\n\
                        `alertcast setup --print-config` explains every one.")]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    flags: SettingFlags,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Takes alerts in and sends them to the subscribers, until it is stopped
    Serve,
    /// Shows the whole system at work, with nothing else installed: a stand-in for Telegram, and sample alerts
    Demo(DemoCommand),
    /// Makes the store: collections and indexes. Repeatable
    Setup(SetupCommand),
    /// Makes the administrator and two plans. Repeatable
    Seed,
    /// Looks at configuration, ports, store, bots, mail and clock, and says what to do
    Doctor(DoctorCommand),
    /// Runs recorded alerts through today's plans and preferences, without sending or writing anything
    Replay(replay::ReplayCommand),
    /// Brings plans, configurations, users, subscriptions and preferences from a JSON or TOML file
    Import(ImportCommand),
    /// Works on administrators' accounts; also while the server runs
    #[command(subcommand)]
    Admin(AdminCommand),
    /// Prints the description of the API (OpenAPI 3.1)
    Openapi,
}

#[derive(Debug, Subcommand)]
enum AdminCommand {
    /// Makes a token for the API, and prints it alone on a line
    Token(TokenCommand),
}

#[derive(Debug, Args)]
struct TokenCommand {
    /// Whose token it is: it may what this administrator may
    #[arg(long, value_name = "NAME")]
    username: String,
    /// What it is for, in your words
    #[arg(long, value_name = "TEXT")]
    label: Option<String>,
    /// In how many days it ends
    #[arg(long, alias = "expires", value_name = "DAYS", default_value_t = TOKEN_DAYS)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=i64::from(tokens::DAYS_MAX)))]
    days: u32,
}

impl From<TokenCommand> for TokenLookup {
    fn from(TokenCommand { username, label, days }: TokenCommand) -> Self {
        Self { username, label, expires_days: Some(days) }
    }
}

#[derive(Debug, Args)]
struct DemoCommand {
    /// Plays the alerts, waits until they have settled, prints a summary, and ends
    #[arg(long)]
    once: bool,
}

#[derive(Debug, Args)]
struct SetupCommand {
    /// Prints a configuration file that explains every setting, and does nothing else
    #[arg(long, conflicts_with = "write_config")]
    print_config: bool,
    /// Writes that file where there is none, and does nothing else
    #[arg(long)]
    write_config: bool,
}

#[derive(Debug, Args)]
struct DoctorCommand {
    /// Prints what was found as one JSON document
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct ImportCommand {
    /// What to import: JSON where its name ends in .json or .jsonl, else TOML (docs/operations.md says what stands in it)
    file: PathBuf,
    /// Leaves out entries that the store has already, instead of refusing the file
    #[arg(long)]
    skip_existing: bool,
}

/// Settings as flags. Secrets are not among them: others could read them in the list of processes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Settings")]
struct SettingFlags {
    /// The configuration file [default: alertcast.toml, if there is one]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where to listen
    #[arg(long, global = true, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// The folder of the embedded store
    #[arg(long, global = true, value_name = "FOLDER")]
    data_dir: Option<String>,
    /// How much is logged: error, warn, info, debug, trace
    #[arg(long, global = true, value_name = "LEVEL")]
    log_level: Option<String>,
    /// How it is logged: text, json
    #[arg(long, global = true, value_name = "FORMAT")]
    log_format: Option<String>,
    /// Any other setting, by its name in the file
    #[arg(long = "set", global = true, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl SettingFlags {
    fn sources(self) -> anyhow::Result<SettingSources> {
        let named = [
            ("listen", self.listen),
            ("data_dir", self.data_dir),
            ("log.level", self.log_level),
            ("log.format", self.log_format),
        ];
        let mut flags = Vec::new();
        for text in &self.set {
            flags.push(assignment(text)?);
        }
        let named = named.into_iter().filter_map(|(path, value)| Some((SettingKey::at(path)?, value?)));
        flags.extend(named);
        Ok(SettingSources::from_process(self.config, flags))
    }
}

/// Reads `KEY=VALUE`.
fn assignment(text: &str) -> anyhow::Result<(&'static SettingKey, String)> {
    let fix = "write --set KEY=VALUE; `alertcast setup --print-config` lists the keys";
    let Some((path, value)) = text.split_once('=') else {
        return Err(CommandFailure::of_usage("--set has no = in it", fix).into());
    };
    let key = SettingKey::at(path.trim())
        .ok_or_else(|| CommandFailure::of_usage(format!("--set: {path:?} is no setting"), fix))?;
    if key.secret {
        return Err(CommandFailure::of_usage(
            format!("--set: {path} is a secret, and flags can be read by others in the list of processes"),
            format!("set {} in the environment, or {path}_file in the file", key.variable),
        )
        .into());
    }
    Ok((key, value.to_owned()))
}

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    let cli = CommandLine::parse();
    let result = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(run(cli)));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // It has told what is wrong already.
        Err(error) if error.is::<doctor::DoctorFailure>() => ExitCode::from(FAILED),
        Err(error) => {
            terminal::failure(&error);
            let usage = error.chain().any(|cause| {
                cause.is::<ConfigError>() || cause.downcast_ref::<CommandFailure>().is_some_and(|failure| failure.usage)
            });
            ExitCode::from(if usage { USAGE } else { FAILED })
        }
    }
}

async fn run(CommandLine { command, flags }: CommandLine) -> anyhow::Result<()> {
    match command {
        // These read no configuration: it may be what is to be mended.
        Command::Setup(SetupCommand { print_config: true, .. }) => {
            setup::print_config();
            Ok(())
        }
        Command::Setup(SetupCommand { write_config: true, .. }) => setup::write_config(flags.config.as_deref()),
        // It has settings of its own: nothing of it may reach the provider's bot or store.
        Command::Demo(demo) => serve::demo(demo.once, flags.listen.as_deref()).await,
        Command::Setup(_) => setup::run(&load(flags)?).await,
        Command::Serve => serve::run(load(flags)?).await,
        // What is wrong with the configuration is part of what it tells.
        Command::Doctor(DoctorCommand { json }) => doctor::run(&flags.sources()?, json).await,
        Command::Replay(replay) => replay::run(&load(flags)?.settings, replay).await,
        Command::Seed => run_seed(&load(flags)?).await,
        Command::Openapi => {
            terminal::line(format_args!("{:#}", http::api::description()));
            Ok(())
        }
        Command::Admin(AdminCommand::Token(token)) => admin::token(&load(flags)?, token.into()).await,
        Command::Import(import) => run_import(&load(flags)?, &import).await,
    }
}

fn load(flags: SettingFlags) -> anyhow::Result<LoadedSettings> {
    let loaded = loading::load(&flags.sources()?)?;
    telemetry::init(&loaded.settings.log);
    Ok(loaded)
}

async fn run_seed(loaded: &LoadedSettings) -> anyhow::Result<()> {
    let password = std::env::var(seed::PASSWORD_VARIABLE).ok().filter(|password| !password.is_empty());
    let opened = store::open(&loaded.settings).await?;
    set_up(&*opened.store).await?;
    seed::run(&*opened.store, &ObjectIds, SystemClock::new().now(), password.map(SecretString::from)).await
}

async fn run_import(loaded: &LoadedSettings, import: &ImportCommand) -> anyhow::Result<()> {
    terminal::title("import");
    let store = store::open(&loaded.settings).await?.store;
    set_up(&*store).await?;
    let now = SystemClock::new().now();
    let report = import::run(&import.file, import.skip_existing, &*store, &ObjectIds, now).await?;
    if report.collections.is_empty() {
        terminal::print_done(format_args!(
            "There was nothing in {}: none of its lists has an entry.",
            import.file.display()
        ));
        return Ok(());
    }
    for (collection, made, skipped) in &report.collections {
        let skipped = if *skipped > 0 { format!(", {skipped} left out: they exist") } else { String::new() };
        terminal::fact(what(*collection), format!("{made}{skipped}"));
    }
    terminal::print_done(format_args!("{} is imported.", import.file.display()));
    Ok(())
}

/// A collection's name for people.
const fn what(collection: Collection) -> &'static str {
    match collection {
        Collection::AlertConfigurations => "Configurations",
        Collection::SubscriptionPlans => "Plans",
        Collection::Users => "Users",
        Collection::UserSubscriptions => "Subscriptions",
        Collection::UserAlertPreferences => "Preferences",
        other => other.name(),
    }
}
