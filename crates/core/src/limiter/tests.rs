//! The limiter against a server that counts what arrives.

use proptest::prelude::*;

use super::*;

fn limits(bot_per_second: u32) -> SendLimits {
    let of = |n| NonZeroU32::new(n).unwrap();
    SendLimits { bot_per_second: of(bot_per_second), chat_per_second: of(1), group_per_minute: of(20) }
}

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// A message as the outside saw it: it left, it arrived somewhere between, it was answered.
#[derive(Debug, Clone)]
struct Passage {
    chat: usize,
    left: Duration,
    arrived: Duration,
    answered: Duration,
}

/// A sender that always has a message for every chat, and notices everything `lateness` too late.
struct Sender<'a> {
    limits: SendLimits,
    chats: &'a [String],
    begun: Duration,
    lateness: Duration,
    /// Travel times there and back, used one after the other.
    travels: &'a [(u64, u64)],
}

impl Sender<'_> {
    fn run(&self, lasting: Duration) -> Vec<Passage> {
        let mut limiter = SendLimiter::new(self.limits, self.begun);
        let (mut now, end) = (self.begun, self.begun + lasting);
        let mut passages: Vec<Passage> = Vec::new();
        let mut under_way: Vec<usize> = Vec::new();
        let mut turn = 0;
        while now < end {
            under_way.retain(|index| {
                let open = passages[*index].answered > now;
                if !open {
                    limiter.finish(now, &self.chats[passages[*index].chat]);
                }
                open
            });
            let order = (0..self.chats.len()).map(|n| (n + turn) % self.chats.len());
            let free: Vec<(usize, Option<Duration>)> =
                order.map(|chat| (chat, limiter.earliest(now, &self.chats[chat]))).collect();
            if let Some((chat, _)) = free.iter().find(|(_, at)| *at == Some(now)) {
                limiter.start(now, &self.chats[*chat]);
                let (there, back) = self.travels[passages.len() % self.travels.len()];
                let arrived = now + ms(there);
                under_way.push(passages.len());
                passages.push(Passage { chat: *chat, left: now, arrived, answered: arrived + ms(back) });
                turn = chat + 1;
                continue;
            }
            let next_answer = under_way.iter().map(|index| passages[*index].answered).min();
            let next_free = free.iter().filter_map(|(_, at)| *at).min().map(|at| at + self.lateness);
            now = next_answer.into_iter().chain(next_free).min().unwrap();
        }
        passages
    }
}

/// The most that any window of this length (its end excluded) saw.
fn most_within(window: Duration, mut times: Vec<Duration>) -> usize {
    times.sort();
    let mut first = 0;
    let mut most = 0;
    for last in 0..times.len() {
        while times[last] - times[first] >= window {
            first += 1;
        }
        most = most.max(last + 1 - first);
    }
    most
}

fn chat_names(private: usize, groups: usize) -> Vec<String> {
    let private = (1..=private).map(|n| n.to_string());
    private.chain((1..=groups).map(|n| format!("-100{n}"))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn never_above_any_limit_in_any_window(
        bot_per_second in prop_oneof![1_u32..6, Just(30)],
        private in 1_usize..40,
        groups in 0_usize..4,
        begun in 0_u64..100_000,
        lateness in 0_u64..40,
        travels in prop::collection::vec((0_u64..900, 0_u64..900), 1..40),
    ) {
        let chats = chat_names(private, groups);
        let sender =
            Sender { limits: limits(bot_per_second), chats: &chats, begun: ms(begun), lateness: ms(lateness), travels: &travels };
        let passages = sender.run(Duration::from_secs(130));
        let left = passages.iter().map(|p| p.left).collect();
        prop_assert!(most_within(SECOND, left) <= bot_per_second as usize);
        for (chat, name) in chats.iter().enumerate() {
            let arrivals: Vec<Duration> = passages.iter().filter(|p| p.chat == chat).map(|p| p.arrived).collect();
            prop_assert!(most_within(SECOND, arrivals.clone()) <= 1, "chat {name}");
            prop_assert!(!is_group(name) || most_within(MINUTE, arrivals) <= 20, "group {name}");
        }
    }

    #[test]
    fn a_second_at_the_server_holds_no_more_than_the_limit_while_the_network_shakes_a_little(
        bot_per_second in prop_oneof![Just(30_u32), Just(200)],
        travels in prop::collection::vec((100_u64..=105, 0_u64..50), 1..40),
    ) {
        let chats = chat_names(400, 0);
        let sender =
            Sender { limits: limits(bot_per_second), chats: &chats, begun: ms(7), lateness: ms(1), travels: &travels };
        let arrivals = sender.run(Duration::from_secs(10)).iter().map(|p| p.arrived).collect();
        prop_assert!(most_within(SECOND, arrivals) <= bot_per_second as usize);
    }

    #[test]
    fn with_enough_work_at_least_98_percent_of_the_allowance_is_used(
        lateness in 0_u64..=14,
        travels in prop::collection::vec((0_u64..200, 0_u64..200), 1..40),
    ) {
        let chats = chat_names(60, 0);
        let sender =
            Sender { limits: limits(30), chats: &chats, begun: ms(0), lateness: ms(lateness), travels: &travels };
        // The first second belongs to whoever owned the bot before.
        let sent = sender.run(Duration::from_secs(61)).len();
        prop_assert!(sent as f64 >= 0.98 * 60.0 * 30.0, "{sent}");
    }
}

#[test]
fn a_thousand_a_second_reach_98_percent_with_a_timer_of_one_millisecond() {
    let chats = chat_names(1_600, 0);
    let sender =
        Sender { limits: limits(1_000), chats: &chats, begun: ms(0), lateness: ms(1), travels: &[(20, 15), (90, 4)] };
    let passages = sender.run(Duration::from_secs(6));
    let sent = passages.len();
    assert!(sent as f64 >= 0.98 * 5.0 * 1_000.0, "{sent}");
    assert!(most_within(SECOND, passages.iter().map(|p| p.left).collect()) <= 1_000);
}

#[test]
fn a_new_owner_saves_up_nothing_from_before_its_time() {
    let begun = Duration::from_secs(500);
    let limiter = SendLimiter::new(limits(30), begun);
    assert_eq!(limiter.earliest(begun, "7"), Some(begun + SECOND));
    assert_eq!(limiter.earliest(begun, "-7"), Some(begun + Duration::from_secs(3)));
    assert_eq!(limiter.earliest_bot(begun), begun + (SECOND + MARGIN) / 30);
}

#[test]
fn one_message_at_a_time_to_a_chat_and_the_pause_runs_from_the_answer() {
    let mut limiter = SendLimiter::new(limits(30), ms(0));
    limiter.start(ms(2_000), "7");
    assert_eq!(limiter.earliest(ms(9_000), "7"), None);
    assert_eq!(limiter.earliest(ms(9_000), "8"), Some(ms(9_000)));
    limiter.finish(ms(9_000), "7");
    assert_eq!(limiter.earliest(ms(9_000), "7"), Some(ms(10_000)));
}

#[test]
fn a_frozen_chat_holds_up_nobody_else_and_a_frozen_bot_everybody() {
    let mut limiter = SendLimiter::new(limits(30), ms(0));
    limiter.freeze_chat(ms(5_000), "7", ms(40_000));
    assert_eq!(limiter.earliest(ms(5_000), "7"), Some(ms(40_000)));
    assert_eq!(limiter.earliest(ms(5_000), "8"), Some(ms(5_000)));
    limiter.freeze_bot(ms(60_000));
    assert_eq!(limiter.earliest(ms(5_000), "8"), Some(ms(60_000)));
}

#[test]
fn a_group_may_have_its_minute_at_once_and_then_waits_for_it_to_pass() {
    let mut limiter = SendLimiter::new(limits(30), ms(0));
    let mut now = Duration::from_secs(100);
    for _ in 0..20 {
        now = limiter.earliest(now, "@channel").unwrap();
        limiter.start(now, "@channel");
        limiter.finish(now, "@channel");
    }
    assert_eq!(now, Duration::from_secs(119));
    assert_eq!(limiter.earliest(now, "@channel"), Some(Duration::from_secs(160)));
}

#[test]
fn idle_chats_are_forgotten() {
    let mut limiter = SendLimiter::new(limits(1_000), ms(0));
    for n in 0..100_000_u64 {
        let (now, chat) = (ms(2_000 + n), n.to_string());
        limiter.start(now, &chat);
        limiter.finish(now, &chat);
        assert!(limiter.chats() <= 3 * SWEEP_MIN, "{}", limiter.chats());
    }
}
