//! The limits' arithmetic, as properties over any traffic.

use proptest::prelude::*;

use super::*;

const PRIVATE: bool = false;
const GROUP: bool = true;

/// A bot in one chat, at a time that the test moves.
struct Traffic {
    limits: SimLimits,
    is_group: bool,
    bot: LimitMeter,
    chat: ChatMeters,
    now_ms: i64,
}

impl Traffic {
    fn new(limits: SimLimits, is_group: bool) -> Self {
        let now_ms = 1_700_000_000_000;
        Self { limits, is_group, bot: LimitMeter::default(), chat: ChatMeters::default(), now_ms }
    }

    /// Limits that leave only the bot's.
    fn bot_only(per_second: u32, burst: u32) -> Self {
        let limits =
            SimLimits { bot_per_second: per_second, bot_burst: burst, chat_interval_ms: 0, ..SimLimits::default() };
        Self::new(limits, PRIVATE)
    }

    fn send_after(&mut self, ms: i64) -> Result<(), LimitRefusal> {
        self.now_ms += ms;
        admit(Some(&self.limits), &mut self.bot, &mut self.chat, self.is_group, self.now_ms)
    }

    /// Sends at these gaps whatever the answers; gives the times of what was admitted.
    fn admitted(&mut self, gaps_ms: &[i64]) -> Vec<i64> {
        gaps_ms.iter().filter_map(|gap| self.send_after(*gap).is_ok().then_some(self.now_ms)).collect()
    }
}

/// In every window, no more than the burst and what the rate adds.
fn assert_within(times_ms: &[i64], burst: i64, interval_ns: i64) -> Result<(), TestCaseError> {
    for (first, from_ms) in times_ms.iter().enumerate() {
        for (last, to_ms) in times_ms.iter().enumerate().skip(first) {
            let sent = (last - first + 1) as i64;
            let allowed = burst + (to_ms - from_ms) * NS_PER_MS / interval_ns;
            prop_assert!(sent <= allowed, "{sent} messages in {} ms, {allowed} allowed", to_ms - from_ms);
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn a_bot_never_sends_more_than_its_bucket_allows(
        gaps_ms in prop::collection::vec(0_i64..200, 1..300),
        per_second in 1_u32..100,
        burst in 1_u32..60,
    ) {
        let mut traffic = Traffic::bot_only(per_second, burst);
        let times_ms = traffic.admitted(&gaps_ms);
        assert_within(&times_ms, i64::from(burst), NS_PER_S / i64::from(per_second))?;
    }

    #[test]
    fn a_chat_never_gets_more_than_one_a_second_and_the_jitter(gaps_ms in prop::collection::vec(0_i64..1_500, 1..200)) {
        let mut traffic = Traffic::new(SimLimits::default(), PRIVATE);
        let times_ms = traffic.admitted(&gaps_ms);
        for (first, from_ms) in times_ms.iter().enumerate() {
            for (last, to_ms) in times_ms.iter().enumerate().skip(first) {
                prop_assert!((last - first) as i64 * 1_000 <= to_ms - from_ms + 100);
            }
        }
    }

    #[test]
    fn a_group_never_gets_more_than_twenty_a_minute(gaps_ms in prop::collection::vec(0_i64..4_000, 1..200)) {
        let mut traffic = Traffic::new(SimLimits::default(), GROUP);
        let times_ms = traffic.admitted(&gaps_ms);
        assert_within(&times_ms, 20, 3 * NS_PER_S)?;
    }

    #[test]
    fn whoever_waits_as_told_is_let_through(gaps_ms in prop::collection::vec(0_i64..900, 1..100)) {
        let mut traffic = Traffic::new(SimLimits::default(), GROUP);
        for gap_ms in gaps_ms {
            if let Err(refusal) = traffic.send_after(gap_ms) {
                prop_assert!(refusal.retry_after_s >= 1 && !refusal.while_frozen);
                prop_assert!(traffic.send_after(i64::from(refusal.retry_after_s) * 1_000).is_ok());
            }
        }
    }

    #[test]
    fn what_is_refused_neither_costs_nor_prolongs(knocks_ms in prop::collection::vec(0_i64..100, 0..9)) {
        let mut patient = Traffic::new(SimLimits::default(), PRIVATE);
        let mut impatient = Traffic::new(SimLimits::default(), PRIVATE);
        for traffic in [&mut patient, &mut impatient] {
            prop_assert!(traffic.send_after(0).is_ok());
            prop_assert!(traffic.send_after(100).is_err());
        }
        let frozen_until_ms = patient.now_ms + 1_000;
        for knock_ms in knocks_ms {
            let refusal = impatient.send_after(knock_ms).expect_err("frozen");
            prop_assert!(refusal.while_frozen);
        }
        let left_ms = frozen_until_ms - impatient.now_ms;
        prop_assert!(impatient.send_after(left_ms).is_ok());
        prop_assert!(patient.send_after(1_000).is_ok());
    }
}

#[test]
fn thirty_messages_go_at_once_and_the_next_waits() {
    let mut traffic = Traffic::bot_only(30, 30);
    assert_eq!(traffic.admitted(&[0; 30]).len(), 30);
    let refusal = traffic.send_after(0).expect_err("the bucket is empty");
    assert_eq!((refusal.cause, refusal.retry_after_s), (LimitCause::Bot, 1));
}

#[test]
fn a_steady_sender_with_a_shaking_network_is_not_refused() {
    let mut traffic = Traffic::new(SimLimits::default(), PRIVATE);
    assert!(traffic.send_after(0).is_ok());
    for _ in 0..100 {
        assert!(traffic.send_after(1_060).is_ok());
        assert!(traffic.send_after(940).is_ok());
    }
    assert!(traffic.send_after(890).is_err());
}

#[test]
fn a_refusal_by_the_bot_costs_the_chat_nothing() {
    let mut traffic = Traffic::new(SimLimits { bot_burst: 1, bot_per_second: 1, ..SimLimits::default() }, GROUP);
    let mut elsewhere = ChatMeters::default();
    admit(Some(&traffic.limits), &mut traffic.bot, &mut elsewhere, PRIVATE, traffic.now_ms).expect("first");
    assert_eq!(traffic.send_after(0).expect_err("bot").cause, LimitCause::Bot);
    traffic.bot = LimitMeter::default();
    assert!(traffic.send_after(0).is_ok());
}

#[test]
fn without_limits_only_injected_freezes_count() {
    let (mut bot, mut chat) = (LimitMeter::default(), ChatMeters::default());
    for _ in 0..1_000 {
        admit(None, &mut bot, &mut chat, PRIVATE, 5_000).expect("no limits");
    }
    bot.freeze(8_000, LimitCause::Injected);
    let refusal = admit(None, &mut bot, &mut chat, PRIVATE, 5_500).expect_err("frozen");
    assert_eq!(refusal, LimitRefusal { cause: LimitCause::Injected, retry_after_s: 3, while_frozen: true });
    admit(None, &mut bot, &mut chat, PRIVATE, 8_000).expect("thawed");
}
