//! A rehearsal: recorded alerts run through today's plans, configurations, subscriptions and preferences, and nothing is
//! sent or written. The rules, the decisions and the trades are the domain's own; what the store would keep (open
//! trades, numbers, quotas, last prices, keys of duplicates) is kept in memory, and begins empty.
//!
//! It differs from the running program in this: the age rule is waived, every message is taken to arrive, and a
//! subscription counts as it stands today, unless it is asked to be judged as of each alert.
//!
//! - `input`: what is recorded, one alert a line. `list_of_trades`: TradingView's export of a strategy's trades.
//! - `rehearsal`: the run itself. `sending`: how long sending would take. `report`: what came of it.

mod input;
mod list_of_trades;
mod rehearsal;
mod report;
mod sending;

pub use input::{InputError, RecordedRequest, lines};
pub use list_of_trades::{ExportDefaults, is_list_of_trades, list_of_trades};
pub use rehearsal::{ReplayOptions, as_of, rehearse};
pub use report::{
    ConfigReport, LaneForecast, RefusalGroup, ReplayReport, ReplayTotals, SlowestAlert, StoryLine, SubscriberStory,
    TradeTally,
};
