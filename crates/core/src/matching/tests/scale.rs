//! Not a test: how large the audience is and how long an alert takes with 100,000 subscribers.
//! `cargo test --release -p alertcast-core -- --ignored --nocapture a_hundred_thousand`

use std::time::{Duration, Instant};

use super::world::*;
use crate::alert::intent::Intent;
use crate::fixtures::alert_id;
use crate::id::UserId;
use crate::market::Side;
use crate::matching::audience::{Audience, AudienceEntity};
use crate::matching::chunk::{UserChunk, list_entering, plan_chunk, span};
use crate::matching::job::{MatchingJob, MessageChannels};
use crate::preference::AlertChoices;
use crate::store::{ChunkPlan, ChunkState};
use crate::trade::document::Trade;
use crate::trade::request::TradeRequest;
use crate::user::{Profile, User};

/// In MiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    status.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4 / 1024
}

#[expect(clippy::disallowed_methods, reason = "a measurement needs a clock")]
fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let result = work();
    (result, start.elapsed())
}

fn hundred_thousand() -> Audience {
    let zones = ["UTC", "Asia/Kolkata", "Europe/Berlin", "America/New_York"];
    let mut audience = Audience::new();
    audience.put(AudienceEntity::Config(config(1)));
    audience.put(AudienceEntity::Plan(plan(1, &[1, 2, 3])));
    for n in 0..100_000 {
        let timezone = zones[n as usize % zones.len()].to_owned();
        let own = user(n);
        audience.put(AudienceEntity::User(User { profile: Profile { timezone, ..own.profile.clone() }, ..own }));
        audience.put(AudienceEntity::Subscription(subscription(n, n, 1)));
        for config in 1..=2 {
            audience.put(AudienceEntity::Preference(preference(n, config, AlertChoices::default())));
        }
    }
    audience
}

/// Plans an alert over the users in chunks of 500, on these open trades (by user).
fn planned(audience: &Audience, ask: TradeRequest, users: &[UserId], open: &[Trade], alert: u32) -> Vec<ChunkPlan> {
    let outlets = MessageChannels { default_bot: Some("42".to_owned()), ..MessageChannels::default() };
    let job = MatchingJob {
        alert: alert_id(alert),
        config: audience.config(config_id(1)).unwrap(),
        ask,
        delayed_feed: None,
        risk: None,
        received_at: NOON,
        followed_from: NOON,
        testing: false,
        decimals: None,
        outlets: &outlets,
    };
    let ids = Ids::default();
    let mut spent = Duration::ZERO;
    let mut plans = Vec::new();
    for users in users.chunks(500) {
        let span = span(users).unwrap();
        let within = |trade: &&Trade| (span.first..=span.last).contains(&trade.user_id);
        let from = open.partition_point(|trade| trade.user_id < span.first);
        let open_trades = open[from..].iter().take_while(within).cloned().collect();
        let state = ChunkState { open_trades, ..ChunkState::default() };
        let (plan, took) = timed(|| {
            let entering = list_entering(&job, audience, users, NOON);
            assert!(entering.len() <= users.len());
            plan_chunk(&job, audience, &UserChunk { users, state: &state, last: false }, NOON, &ids).unwrap().plan
        });
        spent += took;
        plans.push(plan);
    }
    let deliveries: usize = plans.iter().map(|plan| plan.deliveries.len()).sum();
    eprintln!("{:?}: {deliveries} deliveries planned in {spent:?}", job.ask.intent);
    plans
}

#[test]
#[ignore = "a measurement"]
fn a_hundred_thousand_subscribers() {
    let before = resident();
    let (audience, took) = timed(hundred_thousand);
    eprintln!("{audience:?}: {} MiB, loaded in {took:?}", resident() - before);
    let (users, took) = timed(|| audience.candidates(config_id(1)));
    eprintln!("candidates: {} in {took:?}", users.len());
    let turn = Intent::Turn { closes: Side::Buy, reason: None, opens: Side::Sell };
    let mut open: Vec<Trade> = Vec::new();
    for (alert, ask) in (1..).zip([buy("100"), ask(turn, "110"), tp("90")]) {
        let plans = planned(&audience, ask, &users, &open, alert);
        open = plans.into_iter().flat_map(|plan| plan.opened).collect();
    }
}
