//! What makes a delivery the one it is.

use bson::Binary;
use bson::spec::BinarySubtype;
use sha2::{Digest, Sha256};

use super::{Cause, Channel, MessageKind};
use crate::id::{TradeId, UserId};

/// The unique key of a delivery: cause + recipient + channel + kind + trade (39 bytes, the cause first, so that the
/// deliveries of one alert stand together in the order of their users).
pub fn delivery_key(
    cause: Cause,
    recipient: Recipient<'_>,
    channel: Channel,
    kind: MessageKind,
    trade: Option<TradeId>,
) -> Binary {
    let mut bytes = Vec::with_capacity(39);
    bytes.push(cause.kind as u8);
    bytes.extend_from_slice(&cause.id.bytes());
    match recipient {
        Recipient::User(user) => bytes.extend_from_slice(&user.bytes()),
        Recipient::Chat(chat) => bytes.extend_from_slice(&digest12(&[chat])),
    }
    bytes.push(channel as u8);
    bytes.push(kind as u8);
    bytes.extend_from_slice(&trade.unwrap_or(TradeId::MIN).bytes());
    Binary { subtype: BinarySubtype::Generic, bytes }
}

/// What makes a delivery the one it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parcel<'a> {
    pub cause: Cause,
    pub recipient: Recipient<'a>,
    pub channel: Channel,
    pub kind: MessageKind,
    pub trade: Option<TradeId>,
}

/// For whom a delivery is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recipient<'a> {
    User(UserId),
    Chat(&'a str),
}

/// Twelve bytes that stand for some texts: an `ObjectId` made of a digest, for causes that have no document.
pub fn digest12(parts: &[&str]) -> [u8; 12] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let mut out = [0; 12];
    out.copy_from_slice(&hash.finalize()[..12]);
    out
}
