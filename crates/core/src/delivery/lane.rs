//! Lanes: whose work a delivery is. One bot's messages are a lane, and each share of the mail.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::UserId;

const BOT: &str = "tg:";
const MAIL: &str = "mail:";

/// A lane's name: `tg:BOT`, `mail:N`. Whoever serves the lane holds the lease of the same name. One that was stored and is
/// neither of these is kept as it is, and served by nobody.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LaneName(String);

impl LaneName {
    /// The lane of a bot: the numeric part of its token.
    #[must_use]
    pub fn of_bot(bot: &str) -> Self {
        Self(format!("{BOT}{bot}"))
    }

    /// A share of the mail; the first is 0.
    #[must_use]
    pub fn of_mail(shard: u32) -> Self {
        Self(format!("{MAIL}{shard}"))
    }

    /// The share that a user's mail belongs to, where there are so many; always the same one.
    #[must_use]
    pub fn of_mail_to(user: UserId, shards: u32) -> Self {
        let hash =
            user.bytes().iter().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
        Self::of_mail(hash % shards.max(1))
    }

    /// The name as it is stored.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The bot's number, where it is a bot's lane.
    #[must_use]
    pub fn bot(&self) -> Option<&str> {
        self.0.strip_prefix(BOT)
    }
}

impl fmt::Display for LaneName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use bson::{Bson, doc};

    use super::*;
    use crate::delivery::{Channel, Delivery};
    use crate::fixtures;
    use crate::store::{Collection, document, read};

    #[test]
    fn a_lane_is_named_as_it_is_stored() {
        let lanes = [LaneName::of_bot("42"), LaneName::of_mail(3), LaneName::default()];
        assert_eq!(lanes.each_ref().map(LaneName::as_str), ["tg:42", "mail:3", ""]);
        assert_eq!(lanes.each_ref().map(LaneName::bot), [Some("42"), None, None]);
        assert_eq!(lanes[0].to_string(), "tg:42");
    }

    #[test]
    fn a_users_mail_is_always_the_same_share_and_the_only_one_where_there_is_one() {
        let of = |n, shards| LaneName::of_mail_to(fixtures::user_id(n), shards);
        assert_eq!(of(7, 4), of(7, 4));
        for shards in [0, 1] {
            assert_eq!(of(7, shards), LaneName::of_mail(0));
        }
    }

    #[test]
    fn a_stored_name_is_kept_as_it_is_whatever_it_is() {
        for name in ["tg:42", "mail:0", "mail:x", "pigeon", ""] {
            let mut stored = document(&fixtures::entry(Channel::Telegram, 1, 1, 1)).unwrap();
            stored.insert("lane", name);
            let kept: Delivery = read(Collection::Deliveries, stored).unwrap();
            assert_eq!(kept.lane.as_str(), name);
            assert_eq!(document(&kept).unwrap().get("lane"), Some(&Bson::from(name)));
        }
        let mut other = document(&fixtures::entry(Channel::Telegram, 1, 1, 1)).unwrap();
        other.insert("lane", doc! {});
        assert!(read::<Delivery>(Collection::Deliveries, other).is_err(), "what is no text is no name");
    }
}
