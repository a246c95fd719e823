//! Identifiers: one type for each kind of document, so that a user's id cannot stand where a trade's belongs.
//!
//! All are `ObjectId`s (seed 2). New ones are made by the caller (`ObjectId::new` in the server, fixed ones in tests):
//! the domain draws no random numbers. They are time-ordered within a process, which keeps large inserts sequential.

use std::fmt;
use std::str::FromStr;

use bson::oid::ObjectId;
use serde::{Deserialize, Serialize};

/// The text is not the 24 hexadecimal digits of an `ObjectId`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an id: an id is 24 hexadecimal digits")]
pub struct BadId(String);

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub ObjectId);

        impl $name {
            /// The lowest id there is: the start of a walk over all ids, and the "none" of a unique key.
            pub const MIN: Self = Self(ObjectId::from_bytes([0; 12]));

            /// The id's twelve bytes, whose order is the id's order.
            pub const fn bytes(self) -> [u8; 12] {
                self.0.bytes()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = BadId;

            fn from_str(text: &str) -> Result<Self, BadId> {
                ObjectId::parse_str(text).map(Self).map_err(|_| BadId(text.chars().take(40).collect()))
            }
        }

        impl From<ObjectId> for $name {
            fn from(id: ObjectId) -> Self {
                Self(id)
            }
        }

        impl From<$name> for ObjectId {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl From<$name> for bson::Bson {
            fn from(id: $name) -> Self {
                Self::ObjectId(id.0)
            }
        }
    )+};
}

ids! {
    /// A subscriber: `users._id`.
    UserId,
    /// `subscription_plans._id`.
    PlanId,
    /// `alert_configurations._id`.
    ConfigId,
    /// `user_subscriptions._id`.
    SubscriptionId,
    /// `user_alert_preferences._id`.
    PreferenceId,
    /// `trades._id`.
    TradeId,
    /// `alerts._id`.
    AlertId,
    /// `admin_users._id`.
    AdminId,
    /// `deliveries._id`.
    DeliveryId,
}

/// Makes the ids of new documents. An argument to the domain, which draws no random numbers itself.
pub trait IdSource: Send + Sync + fmt::Debug {
    /// A new id, higher than every id this source gave before.
    fn next(&self) -> ObjectId;
}
