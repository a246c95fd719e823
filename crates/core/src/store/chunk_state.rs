//! What the decisions about the users of a chunk rest on, as a store reads it; and what it is once a plan is committed.

use std::collections::{HashMap, HashSet};

use bson::RawDocument;

use super::ChunkPlan;
use crate::id::{SubscriptionId, TradeId, UserId};
use crate::market::Side;
use crate::quota::Quota;
use crate::reading::UnreadableDocument;
use crate::trade::document::Trade;

/// Users from one id to another, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserSpan {
    pub first: UserId,
    pub last: UserId,
}

impl UserSpan {
    /// Whether a user is among them.
    pub fn contains(self, user: UserId) -> bool {
        (self.first..=self.last).contains(&user)
    }
}

/// What a chunk's decisions rest on.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ChunkState {
    /// The open trades of the configuration, of the users in the span; sorted by user, then trade number.
    pub open_trades: Vec<Trade>,
    /// The highest trade number of each asked user in the configuration; a user without trades is absent.
    pub last_numbers: HashMap<UserId, i64>,
    /// The quota of each asked user; a user without one is absent.
    pub quotas: HashMap<UserId, Quota>,
    /// Those of the open trades that cannot be read: their holders get no entry, and no exit finds them.
    pub unreadable_trades: Vec<UnreadableTrade>,
    /// Quotas of asked users that cannot be read. Set aside, they are counted anew.
    pub unreadable_quotas: Vec<UnreadableDocument>,
}

impl ChunkState {
    /// Those of the open trades that are of users in the span.
    pub fn open_within(&self, span: UserSpan) -> &[Trade] {
        let first = self.open_trades.partition_point(|trade| trade.user_id < span.first);
        let end = self.open_trades.partition_point(|trade| trade.user_id <= span.last);
        &self.open_trades[first..end.max(first)]
    }

    /// Those of the open trades that cannot be read, and are of users in the span.
    pub fn unreadable_within(&self, span: UserSpan) -> impl Iterator<Item = &UnreadableTrade> {
        self.unreadable_trades.iter().filter(move |trade| span.contains(trade.user))
    }

    /// Who holds an open trade, readable or not: by id, each once.
    pub fn holders(&self) -> Vec<UserId> {
        let mut holders: Vec<UserId> = self.open_trades.iter().map(|trade| trade.user_id).collect();
        holders.extend(self.unreadable_trades.iter().map(|trade| trade.user));
        if !self.unreadable_trades.is_empty() {
            holders.sort_unstable();
        }
        holders.dedup();
        holders
    }

    /// Makes it what a store would answer once the plan, which rests on it, is committed. Of users who were not asked
    /// about, it learns what the plan tells.
    pub fn apply(&mut self, plan: &ChunkPlan) {
        if !plan.ended.is_empty() {
            let ended: HashSet<TradeId> = plan.ended.iter().map(|end| end.trade).collect();
            self.open_trades.retain(|trade| !ended.contains(&trade.id));
        }
        if !plan.opened.is_empty() {
            self.last_numbers.extend(plan.opened.iter().map(|trade| (trade.user_id, trade.trade_number.0)));
            self.open_trades.extend(plan.opened.iter().cloned());
            // Two sorted runs: the stable sort merges them.
            self.open_trades.sort_by_key(|trade| (trade.user_id, trade.trade_number));
        }
        self.quotas.extend(plan.quotas.iter().map(|change| (change.after.user, change.after.clone())));
    }
}

/// An open trade that cannot be read: of it what is known without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnreadableTrade {
    /// None where its `_id` is none of ours: then nothing can rest on it.
    pub id: Option<TradeId>,
    pub user: UserId,
    pub rev: i64,
    /// Its side, and whose counters its messages raise, where that much can be read.
    pub side: Option<Side>,
    pub subscription: Option<SubscriptionId>,
    /// It says that its entry never arrived.
    pub unreached: bool,
}

impl UnreadableTrade {
    /// What its bytes tell beside what it was found by.
    pub fn of(id: Option<TradeId>, user: UserId, rev: i64, bytes: &[u8]) -> Self {
        let trade = RawDocument::from_bytes(bytes).ok();
        let within = |part: &str| trade.and_then(|trade| trade.get_document(part).ok());
        let side = within("tradeData").and_then(|data| Side::from_exact(data.get_str("signal").ok()?));
        let subscription = trade.and_then(|trade| trade.get_object_id("subscriptionId").ok()).map(SubscriptionId);
        let unreached = within("alertcast").and_then(|own| own.get_bool("unreached").ok()).unwrap_or(false);
        Self { id, user, rev, side, subscription, unreached }
    }
}
