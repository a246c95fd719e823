//! What a change leads to that the operator should know: alerts that not everybody can be sent in time.

use alertcast_core::delivery::ENTRY_DEADLINE_MIN;
use alertcast_core::id::ConfigId;
use alertcast_core::market::Timeframe;
use alertcast_core::matching::audience::Audience;
use alertcast_core::store::Collection;
use alertcast_core::subscription::SubscriptionStatus;
use alertcast_core::time::Time;
use bson::Document;

use crate::app::App;

/// The warning about a document that is saved, where there is one.
pub(super) fn find_warning(app: &App, collection: Collection, document: &Document) -> Option<String> {
    if collection != Collection::AlertConfigurations {
        return None;
    }
    let timeframe = document.get_str("timeframe").ok().and_then(Timeframe::from_exact)?;
    warn_of_too_many(app, ConfigId(document.get_object_id("_id").ok()?), timeframe)
}

/// Whether sending an entry to everybody takes longer than it is of use.
fn warn_of_too_many(app: &App, config: ConfigId, timeframe: Timeframe) -> Option<String> {
    let now = app.clock.now();
    let people = app.audience.with(|audience| count_reached(audience, config, now));
    let settings = &app.settings;
    let deadline = settings.delivery.entry_deadline.unwrap_or_else(|| timeframe.duration().max(ENTRY_DEADLINE_MIN));
    let bots = settings.telegram.tokens.len().max(1);
    let rate = u64::from(settings.telegram.limits.bot_per_second.get()) * bots as u64;
    let takes = (people as u64).div_ceil(rate);
    (takes > deadline.as_secs()).then(|| {
        format!(
            "{people} subscribers at {rate} messages a second take {} minutes, and an entry is of use for {} minutes \
             only: the last would not get it. More bots (telegram.tokens) share the work; paid broadcasts allow a higher \
             telegram.limits.bot_per_second; delivery.entry_deadline_minutes sets a later deadline",
            takes.div_ceil(60),
            deadline.as_secs() / 60,
        )
    })
}

/// Those who hold a running subscription to one of the configuration's plans.
fn count_reached(audience: &Audience, config: ConfigId, now: Time) -> usize {
    let brings = |plan| audience.plan(plan).is_some_and(|plan| plan.alert_configurations.contains(&config));
    let candidates = audience.candidates(config).into_iter();
    let running = candidates.filter(|user| {
        audience.subscriptions(*user).any(|held| {
            held.status == SubscriptionStatus::Active
                && held.start.is_some_and(|start| start <= now)
                && held.end.is_some_and(|end| now < end)
                && brings(held.plan)
        })
    });
    running.count()
}
