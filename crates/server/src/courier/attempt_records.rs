//! What is to be written down: attempts in batches, then the settling of their alerts.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use alertcast_core::id::{AlertId, UserId};
use alertcast_core::store::AttemptRecord;
use alertcast_core::time::Time;
use alertcast_core::user::RefusingRecipient;

/// A batch is written when its first record is this old …
const BATCH_AFTER: Duration = Duration::from_millis(100);
/// … or when it is this large.
pub(super) const BATCH: usize = 256;
/// An alert's deliveries end by the thousand: it is settled when none has ended for a while, and looked at now and then.
const SETTLE_AFTER: Duration = Duration::from_millis(500);
/// Alerts settled in one go.
const SETTLE_BATCH: usize = 16;

/// One attempt's record, and what its writing makes free.
#[derive(Debug, Clone)]
pub(super) struct PendingRecord {
    pub(super) record: AttemptRecord,
    /// The chat that is kept until it is written.
    pub(super) chat: String,
    /// The chat as the deliveries name it, and until when Telegram wants to hear nothing for it.
    pub(super) defer: Option<(String, Time)>,
    /// Whose chat had refused us, and is open again.
    pub(super) opened: Option<UserId>,
    /// The id that the chat has now.
    pub(super) moved: Option<String>,
    /// Who will have no messages any more, which was not known.
    pub(super) lost: Option<LostSubscriber>,
    /// Its topic is not there: it went to the general one.
    pub(super) topic_loss: Option<TopicLoss>,
}

/// Whose message went to a group's general topic; none for the operators.
#[derive(Debug, Clone, Copy)]
pub(super) struct TopicLoss {
    pub(super) user: Option<UserId>,
}

/// A subscriber whom a channel does not lead to any more.
#[derive(Debug, Clone)]
pub(super) struct LostSubscriber {
    pub(super) user: UserId,
    pub(super) refuser: RefusingRecipient,
}

/// What is to be written down.
#[derive(Debug, Default)]
pub(super) struct AttemptRecords {
    lines: Vec<PendingRecord>,
    /// When the first of them was noted.
    since: Duration,
    /// Somebody waits for it.
    awaited: bool,
    writing: bool,
    settle: BTreeMap<AlertId, Duration>,
    settling: bool,
}

impl AttemptRecords {
    pub(super) fn note(&mut self, now: Duration, line: PendingRecord) {
        if self.lines.is_empty() {
            self.since = now;
        }
        self.lines.push(line);
    }

    /// How many records are not written.
    pub(super) fn unwritten(&self) -> usize {
        self.lines.len()
    }

    /// When the next batch should be written.
    pub(super) fn write_at(&self) -> Option<Duration> {
        let waits = !self.writing && !self.lines.is_empty();
        let is_due = self.awaited || self.lines.len() >= BATCH;
        waits.then(|| if is_due { Duration::ZERO } else { self.since + BATCH_AFTER })
    }

    /// The batch to write now.
    pub(super) fn begin_writing(&mut self, now: Duration) -> Vec<PendingRecord> {
        (self.writing, self.awaited) = (true, false);
        self.since = now;
        let rest = self.lines.split_off(self.lines.len().min(BATCH));
        std::mem::replace(&mut self.lines, rest)
    }

    pub(super) fn note_written(&mut self) {
        self.writing = false;
    }

    /// The batch could not be written: it goes first again.
    pub(super) fn not_written(&mut self, mut batch: Vec<PendingRecord>) {
        self.writing = false;
        batch.append(&mut self.lines);
        self.lines = batch;
    }

    /// A delivery of these alerts has ended.
    pub(super) fn add_ended(&mut self, now: Duration, alerts: impl IntoIterator<Item = AlertId>) {
        for alert in alerts {
            self.settle.entry(alert).or_insert(now + SETTLE_AFTER);
        }
    }

    /// When the next alerts should be settled.
    pub(super) fn settle_at(&self) -> Option<Duration> {
        if self.settling { None } else { self.settle.values().min().copied() }
    }

    /// The alerts to settle now.
    pub(super) fn begin_settling(&mut self, now: Duration) -> Vec<AlertId> {
        self.settling = true;
        let due: Vec<AlertId> =
            self.settle.iter().filter(|(_, at)| **at <= now).map(|(id, _)| *id).take(SETTLE_BATCH).collect();
        for alert in &due {
            self.settle.remove(alert);
        }
        due
    }

    pub(super) fn note_settled(&mut self) {
        self.settling = false;
    }

    /// Messages wait for these chats: a record that keeps one of them is to be written at once.
    pub(super) fn await_chats(&mut self, chats: &HashSet<String>) {
        self.awaited |= !chats.is_empty() && self.lines.iter().any(|line| chats.contains(&line.chat));
    }

    /// Everything is to be written and settled at once.
    pub(super) fn hurry(&mut self) {
        self.since = Duration::ZERO;
        self.settle.values_mut().for_each(|at| *at = Duration::ZERO);
    }

    /// Whether nothing is left to write or to settle.
    pub(super) fn is_done(&self) -> bool {
        self.lines.is_empty() && !self.writing && self.settle.is_empty() && !self.settling
    }
}

#[cfg(test)]
mod tests {
    use alertcast_core::delivery::Channel;
    use alertcast_core::fixtures::{delivery_id, sent_outcome};

    use super::*;

    fn record(chat: &str) -> PendingRecord {
        let record = AttemptRecord { delivery: delivery_id(Channel::Telegram, 1, 1), outcome: sent_outcome(1) };
        PendingRecord {
            record,
            chat: chat.to_owned(),
            defer: None,
            opened: None,
            moved: None,
            lost: None,
            topic_loss: None,
        }
    }

    #[test]
    fn a_record_is_written_at_once_where_a_message_waits_for_its_chat() {
        let (noted, of) = (Duration::from_secs(9), |chat: &str| HashSet::from([chat.to_owned()]));
        let mut records = AttemptRecords::default();
        records.await_chats(&of("a"));
        records.note(noted, record("a"));
        assert_eq!(records.write_at(), Some(noted + BATCH_AFTER), "nobody waits since it was noted");
        records.await_chats(&of("b"));
        assert_eq!(records.write_at(), Some(noted + BATCH_AFTER), "for another chat");
        records.await_chats(&of("a"));
        assert_eq!(records.write_at(), Some(Duration::ZERO));
        assert_eq!(records.begin_writing(noted).len(), 1);
        records.note_written();
        records.note(noted, record("a"));
        assert_eq!(records.write_at(), Some(noted + BATCH_AFTER), "it was for the batch before");
    }
}
