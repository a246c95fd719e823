//! `replay`: a rehearsal over the store as it stands. The store is only read, beside a running server too.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use alertcast_core::id::{ConfigId, UserId};
use alertcast_core::market::{Symbol, Timeframe};
use alertcast_core::matching::audience::{Audience, AudienceEntity};
use alertcast_core::matching::job::MessageChannels;
use alertcast_core::reading::{DocumentReading, UnreadableDocument, pack};
use alertcast_core::store::{Collection, StoreError};
use alertcast_core::time::Time;
use bson::Document;
use clap::Args;
use jiff::tz::TimeZone;
use tracing::warn;

use super::failure::CommandFailure;
use super::store::ReadOnlyStore;
use super::terminal;
use crate::audience::COLLECTIONS;
use crate::channel::telegram;
use crate::clock::{Clock as _, SystemClock};
use crate::collection_walk::{self, PAGE};
use crate::replay::{
    self, ConfigReport, ExportDefaults, LaneForecast, RecordedRequest, RefusalGroup, ReplayOptions, ReplayReport,
    SubscriberStory, TradeTally, as_of, is_list_of_trades, list_of_trades, rehearse,
};
use crate::settings::{Settings, bot_id};

#[derive(Debug, Args)]
pub(super) struct ReplayCommand {
    /// Recorded alerts, one JSON line each, or TradingView's List of trades as CSV
    file: PathBuf,
    /// Prints what came of it as one JSON document
    #[arg(long)]
    json: bool,
    /// Only alerts received from then on: 2026-01-31, or 2026-01-31T10:00:00Z
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Only alerts received before then
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// Only this configuration's alerts: its id, or SYMBOL,TIMEFRAME,STRATEGY
    #[arg(long = "configuration", visible_alias = "only", value_name = "ID|SYMBOL,TF,STRATEGY")]
    only: Option<String>,
    /// Tells what one subscriber would have got
    #[arg(long, value_name = "EMAIL|ID")]
    user: Option<String>,
    /// Judges subscriptions as of each alert, not as they stand today
    #[arg(long)]
    as_recorded: bool,
    /// What a List of trades does not say: the symbol
    #[arg(long)]
    symbol: Option<String>,
    /// The timeframe
    #[arg(long)]
    timeframe: Option<String>,
    /// The strategy
    #[arg(long)]
    strategy: Option<String>,
    /// The chart's time zone: UTC, America/New_York
    #[arg(long, default_value = "UTC", value_name = "ZONE")]
    zone: String,
}

/// Rehearses a file, and prints the report.
pub(super) async fn run(settings: &Settings, replay: ReplayCommand) -> anyhow::Result<()> {
    let recorded = read(&replay)?;
    let now = SystemClock::new().now();
    let zone = zone(&replay.zone)?;
    let (from, to) = (moment("--from", replay.from.as_deref(), &zone)?, moment("--to", replay.to.as_deref(), &zone)?);
    let cast = load(settings, (!replay.as_recorded).then_some(now)).await?;
    let options = ReplayOptions {
        outlets: outlets(settings),
        limits: telegram::limits(&settings.telegram),
        now,
        from,
        to,
        config: replay.only.as_deref().map(|only| configuration(&cast.audience, only)).transpose()?,
        user: replay.user.as_deref().map(|user| cast.user(user)).transpose()?,
    };
    let mut report = rehearse(&cast.audience, &recorded, &options)?;
    if let (Some(story), Some(user)) = (&mut report.user, options.user) {
        story.name = cast.names.get(&user).cloned();
    }
    if replay.json {
        terminal::line(serde_json::to_string_pretty(&report)?);
    } else {
        print(&replay.file, &report);
    }
    Ok(())
}

/// Stands for a bot where none is configured.
const NO_BOT: &str = "none";

/// The messages would leave as this configuration says; without a bot, as if there were one.
fn outlets(settings: &Settings) -> MessageChannels {
    let bot = settings.telegram.tokens.first().and_then(bot_id).unwrap_or_else(|| NO_BOT.to_owned());
    MessageChannels {
        default_bot: Some(bot),
        mail_shards: settings.email.lanes(),
        entry_deadline: settings.delivery.entry_deadline,
    }
}

fn read(replay: &ReplayCommand) -> anyhow::Result<Vec<RecordedRequest>> {
    let shown = replay.file.display();
    let text = std::fs::read_to_string(&replay.file).map_err(|error| {
        CommandFailure::new(
            format!("{shown} cannot be read: {error}"),
            "check the path; the file must be text in UTF-8",
        )
    })?;
    let recorded =
        if is_list_of_trades(&text) { list_of_trades(&text, &read_naming(replay)?) } else { replay::lines(&text) };
    let fix = "each line is a payload as TradingView posts it, or {\"receivedAt\": …, \"query\": …, \"body\": …}; or the \
               file is the List of trades that TradingView's Strategy Tester exports";
    Ok(recorded.map_err(|error| CommandFailure::new(format!("{shown}: {error}"), fix))?)
}

/// What a List of trades does not say, from the flags of its own or from `--configuration`.
fn read_naming(replay: &ReplayCommand) -> anyhow::Result<ExportDefaults> {
    let mut named = replay.only.as_deref().unwrap_or_default().splitn(3, ',').map(|part| Some(part.trim().to_owned()));
    let mut or_named = |given: &Option<String>| {
        let named = named.next().flatten();
        given.clone().or_else(|| named.filter(|part| !part.is_empty()))
    };
    let (symbol, timeframe, strategy) =
        (or_named(&replay.symbol), or_named(&replay.timeframe), or_named(&replay.strategy));
    let (Some(symbol), Some(timeframe), Some(strategy)) = (symbol, timeframe, strategy) else {
        return Err(CommandFailure::of_usage(
            "a List of trades does not say which symbol, timeframe and strategy it is of",
            "add --symbol BTCUSDT --timeframe 1h --strategy \"EMA Cross\", as the configuration has them",
        )
        .into());
    };
    Ok(ExportDefaults { symbol, timeframe, strategy, zone: zone(&replay.zone)? })
}

fn zone(name: &str) -> anyhow::Result<TimeZone> {
    let wrong =
        |_| CommandFailure::of_usage(format!("--zone: {name:?} is no time zone"), "write it as Asia/Kolkata, or UTC");
    Ok(TimeZone::get(name).map_err(wrong)?)
}

fn moment(flag: &str, text: Option<&str>, zone: &TimeZone) -> anyhow::Result<Option<Time>> {
    let Some(text) = text else { return Ok(None) };
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return Ok(Some(at.into()));
    }
    let civil = text.parse::<jiff::civil::DateTime>().ok().and_then(|civil| zone.to_timestamp(civil).ok());
    let wrong = || {
        CommandFailure::of_usage(format!("{flag}: {text:?} is no moment"), "write 2026-01-31, or 2026-01-31T10:00:00Z")
    };
    Ok(Some(civil.ok_or_else(wrong)?.into()))
}

fn configuration(audience: &Audience, only: &str) -> anyhow::Result<ConfigId> {
    let by_name = || {
        let mut parts = only.splitn(3, ',').map(str::trim);
        let (symbol, timeframe, strategy) = (parts.next()?, parts.next()?, parts.next()?);
        let symbol = Symbol::new(symbol)?;
        audience.find_config(&symbol, Timeframe::from_exact(timeframe)?, strategy).map(|config| config.id)
    };
    let by_id = || only.parse().ok().filter(|id| audience.config(*id).is_some());
    by_id().or_else(by_name).ok_or_else(|| {
        let mut known: Vec<String> = audience
            .configs()
            .map(|config| format!("{},{},{}", config.symbol, config.timeframe, config.strategy))
            .collect();
        known.sort();
        known.truncate(10);
        let known = if known.is_empty() { "there is none yet".to_owned() } else { known.join("; ") };
        CommandFailure::of_usage(
            format!("--configuration: {only:?} is none of the store's"),
            format!("write one of: {known}"),
        )
        .into()
    })
}

/// Who is there.
struct ReplayAudience {
    audience: Audience,
    emails: BTreeMap<String, UserId>,
    /// Name and e-mail address.
    names: BTreeMap<UserId, String>,
}

impl ReplayAudience {
    fn user(&self, text: &str) -> anyhow::Result<UserId> {
        let by_email = self.emails.get(&text.trim().to_lowercase()).copied();
        let by_id = || text.parse().ok().filter(|id| self.audience.user(*id).is_some());
        by_email.or_else(by_id).ok_or_else(|| {
            let fix = "write the subscriber's e-mail address or id as the store has it";
            CommandFailure::of_usage(format!("--user: nobody is {text:?}"), fix).into()
        })
    }
}

/// Everybody in the store; their subscriptions as they stand at `today`, where one is given.
async fn load(settings: &Settings, today: Option<Time>) -> anyhow::Result<ReplayAudience> {
    let store = ReadOnlyStore::open(settings).await?;
    let mut cast = ReplayAudience { audience: Audience::new(), emails: BTreeMap::new(), names: BTreeMap::new() };
    for collection in COLLECTIONS {
        cast.load(&store, collection, today).await?;
    }
    Ok(cast)
}

impl ReplayAudience {
    async fn load(
        &mut self,
        store: &ReadOnlyStore,
        collection: Collection,
        today: Option<Time>,
    ) -> std::result::Result<(), StoreError> {
        let read = |document: Document| match pack(&document) {
            Ok(bytes) => AudienceEntity::read(collection, &bytes),
            Err(error) => Err(UnreadableDocument::of(collection, &document, error.to_string())),
        };
        let visit = |document: Document| match read(document) {
            Ok(Some(read)) => self.put(read, today),
            Ok(None) => {}
            Err(unreadable) => warn!(%unreadable, "a document cannot be read, and is left out"),
        };
        collection_walk::each(|after| store.page(collection, after, PAGE), visit).await
    }

    fn put(&mut self, mut read: DocumentReading<AudienceEntity>, today: Option<Time>) {
        match (&mut read.value, today) {
            (AudienceEntity::Subscription(subscription), Some(today)) => as_of(subscription, today),
            (AudienceEntity::User(user), _) => {
                self.emails.insert(user.email.to_lowercase(), user.id);
                self.names.insert(user.id, format!("{} ({})", user.profile.name, user.email));
            }
            _ => {}
        }
        self.audience.put_read(read);
    }
}

fn print(file: &Path, report: &ReplayReport) {
    terminal::title("replay");
    let alerts = &report.alerts;
    terminal::fact("File", format!("{}, {}", file.display(), terminal::count_noun(alerts.read, "alert", "alerts")));
    if let (Some(first), Some(last)) = (&alerts.first_at, &alerts.last_at) {
        terminal::fact("Received", format!("{first} … {last}"));
    }
    let mut counts = vec![format!("{} accepted", terminal::emphasize(alerts.accepted))];
    for (count, what) in
        [(alerts.duplicates, "sent before"), (alerts.refused, "refused"), (alerts.left_out, "left out")]
    {
        if count > 0 {
            counts.push(format!("{count} {what}"));
        }
    }
    terminal::fact("Alerts", counts.join(", "));
    print_lines("Refused", &report.refused, terminal::FindingMark::Bad);
    print_lines("Taken for resends", &report.resends, terminal::FindingMark::Attention);
    print_lines("What the operators would have heard", &report.remarks, terminal::FindingMark::Attention);
    for config in &report.configurations {
        print_config(config);
    }
    if report.configurations.len() > 1 {
        terminal::line("");
        terminal::group("All configurations");
        print_trades(&report.trades);
    }
    print_sending(&report.sending);
    report.user.iter().for_each(print_story);
    terminal::print_done("Nothing was sent, and nothing was written.");
}

fn print_lines(group: &str, found: &[RefusalGroup], mark: terminal::FindingMark) {
    if !found.is_empty() {
        terminal::line("");
        terminal::group(group);
    }
    for refusal in found {
        let lines: Vec<String> = refusal.lines.iter().map(ToString::to_string).collect();
        let more = if refusal.count > refusal.lines.len() { " …" } else { "" };
        let word = if refusal.count == 1 { "line" } else { "lines" };
        terminal::print_finding(
            mark,
            &format!("{} × {}: {word} {}{more}", refusal.count, refusal.rule, lines.join(", ")),
            Some(&refusal.message),
        );
    }
}

fn print_config(config: &ConfigReport) {
    terminal::line("");
    let testing = if config.testing { ", in testing" } else { "" };
    terminal::group(&format!("{}  ({} {} {}{testing})", config.name, config.symbol, config.timeframe, config.strategy));
    terminal::fact("Alerts", config.alerts);
    terminal::fact(
        "Recipients",
        format!("{}, {}", config.recipients, terminal::count_noun(config.messages, "message", "messages")),
    );
    let mut verdicts: Vec<(&str, usize)> = config.verdicts.iter().map(|(verdict, count)| (*verdict, *count)).collect();
    verdicts.sort_by_key(|(verdict, count)| (*verdict != "sent", usize::MAX - count));
    let verdicts: Vec<String> = verdicts.iter().map(|(verdict, count)| format!("{verdict} {count}")).collect();
    terminal::fact(
        "Decisions",
        if verdicts.is_empty() { "nobody is concerned".to_owned() } else { verdicts.join(" · ") },
    );
    print_trades(&config.trades);
}

fn print_trades(trades: &TradeTally) {
    let mut parts = vec![format!("{} opened", trades.opened)];
    if trades.replaced > 0 {
        parts.push(format!("{} replaced", trades.replaced));
    }
    parts.extend(trades.closed.iter().map(|(reason, count)| format!("{count} closed by {reason}")));
    if trades.still_open > 0 {
        parts.push(format!("{} still open", trades.still_open));
    }
    terminal::fact("Trades", parts.join(" · "));
    if let Some(rate) = trades.win_rate {
        let (won, ended, (sum, mean)) = (trades.won, trades.count_ended(), trades.pnl_shown());
        let result = format!("{rate} % won ({won} of {ended}), P&L {sum} in sum, {mean} a trade");
        terminal::fact("Result", result);
    }
}

fn print_sending(lanes: &[LaneForecast]) {
    if lanes.is_empty() {
        return;
    }
    terminal::line("");
    terminal::group("Sending, within Telegram's limits");
    for lane in lanes {
        let name = match lane.lane.bot() {
            Some(NO_BOT) => "A bot".to_owned(),
            Some(bot) => format!("Bot {bot}"),
            None => lane.lane.to_string(),
        };
        let worst = lane.worst.map_or_else(String::new, |worst| {
            let (seconds, line) = (worst.seconds, worst.line);
            let messages = terminal::count_noun(worst.messages, "message", "messages");
            format!("; the slowest alert (line {line}, {messages}) is out after {seconds:.1} s")
        });
        terminal::fact(&name, format!("{}{worst}", terminal::count_noun(lane.messages, "message", "messages")));
    }
}

fn print_story(story: &SubscriberStory) {
    terminal::line("");
    terminal::group(&format!("Subscriber {}", story.name.as_deref().unwrap_or(&story.id)));
    if story.lines.is_empty() {
        terminal::line("  no alert concerned this subscriber");
    }
    for line in &story.lines {
        terminal::line(format_args!("  line {:<5} {}  {}: {}", line.line, line.at, line.alert, line.verdict));
        for trade in &line.trades {
            terminal::line(format_args!("             {trade}"));
        }
    }
}
