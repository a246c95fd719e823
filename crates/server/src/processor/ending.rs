//! The end of an alert's processing: what is noted with it, and what the operators hear.

use alertcast_core::alert::document::AlertError;
use alertcast_core::decision::{Decision, Verdict};
use alertcast_core::matching::chunk::ChunkTally;
use alertcast_core::matching::remarks::{OperatorRemark, RemarkKind, remarks};
use alertcast_core::money::Count;
use alertcast_core::store::{ChunkPlan, OperatorNotice, ProcessingEnd, StoreResult};
use alertcast_core::time::Time;

use super::run::AlertRun;
use crate::notices::{self, NoticeTrouble};

impl AlertRun<'_> {
    /// The alert's end, and what the operators should know of it.
    pub(super) async fn finish(
        &self,
        run: &ChunkTally,
        plan: &ChunkPlan,
        now: Time,
    ) -> StoreResult<(Option<ProcessingEnd>, Vec<OperatorNotice>)> {
        let total = self.whole(run, plan).await?;
        let remarks = remarks(self.job, &total);
        let error = |message: &String| AlertError::new(message.clone(), now);
        let errors = remarks.iter().filter_map(|remark| remark.note.as_ref()).map(error).collect();
        let elapsed = now.since(self.alert.webhook.received_at);
        let finish = ProcessingEnd {
            processed_at: now,
            processing_time: Count(i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX)),
            errors,
            settles: self.is_for_nobody(plan),
        };
        let notices = remarks.into_iter().flat_map(|remark| match remark.kind {
            RemarkKind::Delayed => notices::notices_once(self.app, &self.trouble(remark), now),
            _ => notices::notices(self.app, &self.trouble(remark), now),
        });
        Ok((Some(finish), notices.collect()))
    }

    /// Grouped by configuration; a test is each alert's own.
    fn trouble(&self, remark: OperatorRemark) -> NoticeTrouble {
        let group = match remark.kind {
            RemarkKind::Testing => format!("{}{}", notices::TESTING, self.alert.id),
            RemarkKind::Delayed => format!("delayed:{}", self.job.delayed_feed.as_deref().unwrap_or_default()),
            kind => format!("{}:{}", kind.as_str(), self.job.config.id),
        };
        NoticeTrouble { group, title: remark.title, lines: remark.lines, alert: Some(self.alert.id) }
    }

    /// Whether the plan is all that comes of the alert, and holds nothing that its settling would have to wait for or
    /// to tell.
    fn is_for_nobody(&self, plan: &ChunkPlan) -> bool {
        let is_told = |decision: &Decision| decision.verdict == Verdict::Sent || !decision.actions.is_empty();
        let decisions = plan.decisions.iter().flat_map(|chunk| &chunk.decisions);
        self.alert.alertcast.cursor.is_none() && plan.deliveries.is_empty() && !decisions.into_iter().any(is_told)
    }

    /// The tally of the whole alert: of one that a crash cut in two, from its decisions.
    async fn whole(&self, run: &ChunkTally, plan: &ChunkPlan) -> StoreResult<ChunkTally> {
        if self.alert.alertcast.cursor.is_none() {
            return Ok(run.clone());
        }
        let mut total = ChunkTally::default();
        let mut count = |decisions: &[Decision]| {
            for decision in decisions {
                total.sent += usize::from(decision.verdict == Verdict::Sent);
                total.matched += decision.actions.len();
                let is_unread = decision.verdict == Verdict::TradeUnreadable && self.job.concerns_holders();
                let is_news = is_unread && !run.unreadable.contains(&decision.user);
                total.unreadable.extend(is_news.then_some(decision.user));
            }
        };
        let mut after = None;
        loop {
            let chunks = self.app.store.decisions(self.alert.id, after, 100).await?;
            let Some(last) = chunks.last() else { break };
            after = Some(last.last_user);
            chunks.iter().for_each(|chunk| count(&chunk.decisions));
        }
        if let Some(chunk) = &plan.decisions {
            count(&chunk.decisions);
        }
        // Kept decisions do not tell who holds trades that nothing matched, nor which trades stayed open or ended oddly:
        // this run's count is the least.
        let mut whole = ChunkTally { sent: total.sent, matched: total.matched, ..run.clone() };
        whole.add(&ChunkTally { unreadable: total.unreadable, ..ChunkTally::default() });
        Ok(whole)
    }
}
