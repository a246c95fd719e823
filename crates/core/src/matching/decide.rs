//! What is decided about one subscriber and one alert.

use crate::decision::Verdict;
use crate::id::{PreferenceId, SubscriptionId, UserId};
use crate::market::Side;
use crate::preference::AlertChoices;
use crate::quota::Quota;
use crate::store::{QuotaChange, UnreadableTrade};
use crate::time::Time;
use crate::trade::document::Trade;
use crate::trade::machine::{self, EntryRefusal, HolderNotice, NotOpen, TradeAdmission, TradeEnding, TradeStep};
use crate::user::UserStatus;

use super::allowance::charge;
use super::audience::{Audience, PreferenceView, UserView};
use super::entitlement::{EntitledSubscriber, UnentitledSubscriber, entitlement};
use super::job::{MatchingJob, MessageChannels};
use super::route::{MessagePurpose, SubscriberRoutes};

/// All that a decision rests on.
#[derive(Debug, Clone, Copy)]
pub(super) struct DecisionCase<'a> {
    pub(super) job: &'a MatchingJob<'a>,
    pub(super) audience: &'a Audience,
    pub(super) user: UserId,
    /// The user's open trades in the configuration.
    pub(super) open: &'a [Trade],
    pub(super) quota: Option<&'a Quota>,
    /// Those of them that cannot be read.
    pub(super) unread: &'a [UnreadableTrade],
    pub(super) now: Time,
}

/// What was decided.
#[derive(Debug)]
pub(super) struct DecisionRuling<'a> {
    pub(super) user: UserId,
    pub(super) verdict: Verdict,
    pub(super) subscription: Option<SubscriptionId>,
    pub(super) preference: Option<PreferenceId>,
    pub(super) exit: ExitPart<'a>,
    pub(super) entry: Option<EntryPart<'a>>,
    /// The user knows of open trades, and the exit matched none of them.
    pub(super) unmatched: bool,
}

/// What ends, what is told without a change, and by which channels; with none, silently.
#[derive(Debug, Default)]
pub(super) struct ExitPart<'a> {
    pub(super) ends: Vec<TradeEnding<'a>>,
    /// What should end, but nobody knows at which price.
    pub(super) left_open: Vec<&'a Trade>,
    pub(super) notice: Option<HolderNotice<'a>>,
    /// Trades that cannot be read, and for which it may be: their holder is told of it.
    pub(super) unread: Vec<UnreadableTrade>,
    pub(super) routes: SubscriberRoutes<'a>,
}

/// The trade that opens.
#[derive(Debug)]
pub(super) struct EntryPart<'a> {
    pub(super) side: Side,
    /// The highest number among the user's open trades, 0 without any.
    pub(super) newest_open: i64,
    pub(super) entitled: EntitledSubscriber,
    pub(super) preference: Option<PreferenceId>,
    pub(super) replaced: Option<TradeEnding<'a>>,
    pub(super) routes: SubscriberRoutes<'a>,
    pub(super) quota: QuotaChange,
}

/// Decides about one subscriber.
///
/// An exit looks at the open trades alone: whoever got the entry gets it. An entry looks at everything.
///
/// # Errors
/// `NotOpen` where one of the trades has ended.
pub(super) fn decide<'a>(case: &DecisionCase<'a>) -> Result<DecisionRuling<'a>, NotOpen> {
    let user = case.audience.user(case.user);
    let preference = case.audience.preference(case.user, case.job.config.id);
    let entitled = case.entitlement();
    let limit = entitled.map_or(1, |entitled| entitled.limit);
    let step = machine::step(case.open, &case.job.ask, &case.job.settings(limit))?;

    let exit_routes = exit_routes(case.job.outlets, user.as_ref(), &preference.choices);
    let opening = case.job.ask.opens().zip(step.entry);
    let entry = opening.map(|opening| enter(case, user.as_ref(), &preference, entitled, opening));
    let unread = case.unread_in_question();
    let exit = ExitVerdicts { silent: exit_routes.err(), unread: unread.first().copied() };
    let (verdict, subscription) = judge(case, &step, entry.as_ref(), exit, entitled);
    Ok(DecisionRuling {
        user: case.user,
        verdict,
        subscription,
        preference: preference.id,
        exit: ExitPart {
            ends: step.ends,
            left_open: step.left_open,
            notice: step.notice,
            unread,
            routes: exit_routes.unwrap_or_default(),
        },
        entry: entry.and_then(Result::ok),
        unmatched: step.unmatched,
    })
}

impl DecisionCase<'_> {
    fn entitlement(&self) -> Result<EntitledSubscriber, UnentitledSubscriber> {
        entitlement(self.audience, self.job.config, self.user, self.job.received_at, self.now)
    }

    /// The trades that cannot be read, and that an exit may be for: but those of which it can be read that they are of the
    /// other side, or that nobody heard of them.
    fn unread_in_question(&self) -> Vec<UnreadableTrade> {
        let wanted = self.job.ask.intent.closes();
        let is_other = |trade: &UnreadableTrade| wanted.zip(trade.side).is_some_and(|(wanted, side)| wanted != side);
        let in_question = |trade: &&UnreadableTrade| !trade.unreached && !is_other(trade);
        let unread = self.unread.iter().filter(|_| self.job.concerns_holders());
        unread.filter(in_question).copied().collect()
    }
}

/// Whether an entry might go to the user, as far as can be told without open trades and quota.
pub(super) fn may_enter(case: &DecisionCase<'_>) -> bool {
    let Some(user) = case.audience.user(case.user) else {
        return false;
    };
    let preference = case.audience.preference(case.user, case.job.config.id);
    let wanted = preference.choices.alert_types;
    let typed = if wanted.entry || wanted.replacement { Ok(()) } else { Err(Verdict::EntryMuted) };
    wants_entry(case.job, &user, &preference.choices, typed).is_ok()
        && !entry_routes(case.job, &user, &preference.choices).is_empty()
        && case.entitlement().is_ok()
}

/// The entry part: what opens, or why nothing does.
fn enter<'a>(
    case: &DecisionCase<'a>,
    user: Option<&UserView<'a>>,
    preference: &PreferenceView,
    entitled: Result<EntitledSubscriber, UnentitledSubscriber>,
    (side, admission): (Side, TradeAdmission<'a>),
) -> Result<EntryPart<'a>, UnentitledSubscriber> {
    let entitled = entitled?;
    let held_back = |verdict| UnentitledSubscriber { verdict, subscription: Some(entitled.subscription) };
    let user = user.ok_or_else(|| held_back(Verdict::UserInactive))?;
    let types = preference.choices.alert_types;
    let typed = match admission {
        TradeAdmission::Replace(_) if !types.replacement => Err(Verdict::ReplacementMuted),
        TradeAdmission::Open | TradeAdmission::Refused(_) if !types.entry => Err(Verdict::EntryMuted),
        TradeAdmission::Open | TradeAdmission::Replace(_) | TradeAdmission::Refused(_) => Ok(()),
    };
    wants_entry(case.job, user, &preference.choices, typed).map_err(held_back)?;
    if case.audience.has_unreadable_preference(case.user, preference.id) {
        return Err(held_back(Verdict::PreferenceUnreadable));
    }
    if !case.unread.is_empty() {
        return Err(held_back(Verdict::TradeUnreadable));
    }
    let replaced = match admission {
        TradeAdmission::Open => None,
        TradeAdmission::Replace(ending) => Some(ending),
        TradeAdmission::Refused(EntryRefusal::LimitReached) => return Err(held_back(Verdict::LimitReached)),
        TradeAdmission::Refused(EntryRefusal::OppositeOpen) => return Err(held_back(Verdict::OppositeOpen)),
    };
    let routes = entry_routes(case.job, user, &preference.choices);
    if routes.is_empty() {
        return Err(held_back(Verdict::NoChannel));
    }
    Ok(EntryPart {
        side,
        newest_open: case.open.iter().map(|trade| trade.trade_number.0).max().unwrap_or(0),
        entitled,
        preference: preference.id,
        replaced,
        routes,
        quota: charge(case.quota, user, case.job.received_at, case.now).map_err(held_back)?,
    })
}

/// Whether the subscriber's own choices let an entry through. `typed`: what the switch for its type says.
fn wants_entry(
    job: &MatchingJob<'_>,
    user: &UserView<'_>,
    choices: &AlertChoices,
    typed: Result<(), Verdict>,
) -> Result<(), Verdict> {
    let custom = &choices.custom_settings;
    let price = job.ask.price;
    if !choices.enabled {
        return Err(Verdict::Disabled);
    }
    typed?;
    if custom.min_price.is_some_and(|min| price < min) {
        return Err(Verdict::BelowMinPrice);
    }
    if custom.max_price.is_some_and(|max| price > max) {
        return Err(Verdict::AboveMaxPrice);
    }
    let bearable = custom.risk_level.unwrap_or(user.risk_level);
    if job.risk.is_some_and(|risk| risk > bearable) {
        return Err(Verdict::RiskTooHigh);
    }
    Ok(())
}

fn entry_routes<'a>(job: &MatchingJob<'a>, user: &UserView<'a>, choices: &AlertChoices) -> SubscriberRoutes<'a> {
    SubscriberRoutes::to(user, choices.notifications, job.outlets, MessagePurpose::Entry)
}

/// By which channels a holder hears of an exit.
///
/// # Errors
/// Why by none: the exit is then silent.
pub(super) fn exit_routes<'a>(
    outlets: &'a MessageChannels,
    user: Option<&UserView<'a>>,
    choices: &AlertChoices,
) -> Result<SubscriberRoutes<'a>, Verdict> {
    let user = user.ok_or(Verdict::UserInactive)?;
    match user.status {
        UserStatus::Active => {}
        UserStatus::Suspended => return Err(Verdict::UserSuspended),
        UserStatus::Inactive => return Err(Verdict::UserInactive),
    }
    if !choices.alert_types.exit {
        return Err(Verdict::ExitMuted);
    }
    let routes = SubscriberRoutes::to(user, choices.notifications, outlets, MessagePurpose::Exit);
    if routes.is_empty() { Err(Verdict::NoChannel) } else { Ok(routes) }
}

/// What an exit's verdict rests on beside the trades that can be read.
struct ExitVerdicts {
    /// Why the holder hears nothing of it.
    silent: Option<Verdict>,
    /// A trade that cannot be read, and for which it may be.
    unread: Option<UnreadableTrade>,
}

/// The one verdict for it all, and the subscription that it is about.
///
/// An entry's verdict stands before an exit's: of a turn whose entry is held back, the reason is kept, and the actions
/// beside it show what was closed. Only where nothing but a notice went out, and so no action tells of it, it is
/// `Sent`.
fn judge(
    case: &DecisionCase<'_>,
    step: &TradeStep<'_>,
    entry: Option<&Result<EntryPart<'_>, UnentitledSubscriber>>,
    exit: ExitVerdicts,
    entitled: Result<EntitledSubscriber, UnentitledSubscriber>,
) -> (Verdict, Option<SubscriptionId>) {
    let silent = exit.silent;
    let told = step.notice.as_ref().and_then(|notice| notice.trades.first().copied());
    let known = step.ends.iter().map(|ending| ending.trade).find(|trade| !trade.alertcast.unreached);
    let any = step.ends.first().map(|ending| ending.trade);
    let exit_subscription = known.or(told).or(any).map(|trade| trade.subscription_id);
    match entry {
        Some(Ok(entry)) => return (Verdict::Sent, Some(entry.entitled.subscription)),
        Some(Err(_)) if told.is_some() && silent.is_none() => return (Verdict::Sent, exit_subscription),
        Some(Err(held_back)) => return (held_back.verdict, held_back.subscription.or(exit_subscription)),
        None => {}
    }
    if known.or(told).is_some() {
        return (silent.unwrap_or(Verdict::Sent), exit_subscription);
    }
    if let (Some(unread), None) = (exit.unread, any) {
        return (silent.unwrap_or(Verdict::TradeUnreadable), unread.subscription);
    }
    if step.unmatched || !step.left_open.is_empty() {
        let about = case.open.iter().find(|trade| !trade.alertcast.unreached);
        return (Verdict::NoMatchingTrade, about.map(|trade| trade.subscription_id));
    }
    if any.is_some() {
        return (Verdict::Silent, exit_subscription);
    }
    match entitled {
        Ok(entitled) => (Verdict::NoMatchingTrade, Some(entitled.subscription)),
        Err(unentitled) => (unentitled.verdict, unentitled.subscription),
    }
}
