//! Whose turn it is where two sources share one bot's allowance: deliveries, and replies to people who wrote to the bot.
//!
//! While both wait, one send of so many is a reply's: replies do not starve behind a fan-out, and no alert is held up by
//! more than that share. What one side does not use goes to the other. Pure: who could leave now is an argument.

/// While both wait, one send of so many is a reply.
pub const REPLIES_ONE_IN: u32 = 10;

/// What a message that leaves is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendSource {
    Delivery,
    Reply,
}

/// Whose turn it is.
#[derive(Debug, Clone, Copy)]
pub struct SendTurns {
    replies_one_in: u32,
    /// Deliveries that left since the last reply, as far as they count.
    since_reply: u32,
}

impl SendTurns {
    /// While both wait, one of `replies_one_in` sends is a reply. The first is one: nobody owes anybody anything yet.
    #[must_use]
    pub const fn new(replies_one_in: u32) -> Self {
        let replies_one_in = if replies_one_in == 0 { 1 } else { replies_one_in };
        Self { replies_one_in, since_reply: replies_one_in - 1 }
    }

    /// What leaves next, of the sources that have something that may leave now.
    #[must_use]
    pub const fn next(&self, has_delivery: bool, has_reply: bool) -> Option<SendSource> {
        match (has_delivery, has_reply) {
            (false, false) => None,
            (true, false) => Some(SendSource::Delivery),
            (false, true) => Some(SendSource::Reply),
            (true, true) if self.since_reply + 1 >= self.replies_one_in => Some(SendSource::Reply),
            (true, true) => Some(SendSource::Delivery),
        }
    }

    /// Something left. A share that was not used is not saved up: at most one reply goes before its turn.
    pub fn note(&mut self, left: SendSource) {
        self.since_reply = match left {
            SendSource::Reply => 0,
            SendSource::Delivery => (self.since_reply + 1).min(self.replies_one_in - 1),
        };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What leaves, where this waits at each send.
    fn leave(turns: &mut SendTurns, waiting: &[(bool, bool)]) -> Vec<Option<SendSource>> {
        let mut left = Vec::new();
        for &(delivery, reply) in waiting {
            let next = turns.next(delivery, reply);
            next.into_iter().for_each(|next| turns.note(next));
            left.push(next);
        }
        left
    }

    fn count_replies(left: &[Option<SendSource>]) -> usize {
        left.iter().filter(|left| **left == Some(SendSource::Reply)).count()
    }

    #[test]
    fn while_both_wait_one_of_so_many_is_a_reply_and_the_first_goes_at_once() {
        let left = leave(&mut SendTurns::new(4), &[(true, true); 9]);
        let replies: Vec<usize> = (0..9).filter(|n| left[*n] == Some(SendSource::Reply)).collect();
        assert_eq!(replies, [0, 4, 8]);
    }

    #[test]
    fn what_one_side_does_not_use_is_the_others_and_is_not_saved_up() {
        let mut turns = SendTurns::new(4);
        assert_eq!(count_replies(&leave(&mut turns, &[(false, true); 20])), 20);
        assert_eq!(count_replies(&leave(&mut turns, &[(true, true); 3])), 0, "replies had more than their share");
        assert_eq!(count_replies(&leave(&mut turns, &[(true, false); 50])), 0);
        let left = leave(&mut turns, &[(true, true); 8]);
        assert_eq!(
            (left[0], count_replies(&left)),
            (Some(SendSource::Reply), 2),
            "one goes first, and one in its turn"
        );
    }

    #[test]
    fn a_share_of_nothing_or_of_all_is_one_of_each() {
        for one_in in [0, 1] {
            assert_eq!(count_replies(&leave(&mut SendTurns::new(one_in), &[(true, true); 5])), 5);
        }
    }

    proptest! {
        #[test]
        fn no_turn_is_lost_and_both_keep_their_shares(
            one_in in 1_u32..12,
            before in prop::collection::vec(any::<(bool, bool)>(), 0..40),
            both in 0_usize..60,
        ) {
            let mut turns = SendTurns::new(one_in);
            for (waiting, left) in before.iter().zip(leave(&mut turns, &before)) {
                let allowed = match left {
                    None => *waiting == (false, false),
                    Some(SendSource::Delivery) => waiting.0,
                    Some(SendSource::Reply) => waiting.1,
                };
                prop_assert!(allowed, "{waiting:?}: {left:?}");
            }
            let replies = count_replies(&leave(&mut turns, &vec![(true, true); both]));
            let one_in = usize::try_from(one_in).unwrap();
            prop_assert!((both / one_in..=both.div_ceil(one_in)).contains(&replies), "{replies} of {both}");
        }
    }
}
