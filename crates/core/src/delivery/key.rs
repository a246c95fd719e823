//! What makes a delivery the one it is.

use bson::Binary;
use bson::spec::BinarySubtype;
use sha2::{Digest, Sha256};

use super::{Channel, DeliveryCause, MessageKind};
use crate::id::{TradeId, UserId};

/// The unique key of a delivery: cause + recipient + channel + kind + trade (39 bytes, the cause first, so that the
/// deliveries of one alert stand together in the order of their users).
pub fn delivery_key(
    cause: DeliveryCause,
    recipient: DeliveryRecipient<'_>,
    channel: Channel,
    kind: MessageKind,
    trade: Option<TradeId>,
) -> Binary {
    let mut bytes = Vec::with_capacity(39);
    bytes.push(cause.kind as u8);
    bytes.extend_from_slice(&cause.id.bytes());
    match recipient {
        DeliveryRecipient::User(user) => bytes.extend_from_slice(&user.bytes()),
        DeliveryRecipient::Chat(chat) => bytes.extend_from_slice(&digest12(&[chat])),
    }
    bytes.push(channel as u8);
    bytes.push(kind as u8);
    bytes.extend_from_slice(&trade.unwrap_or(TradeId::MIN).bytes());
    Binary { subtype: BinarySubtype::Generic, bytes }
}

/// What makes a delivery the one it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeliveryIdentity<'a> {
    pub cause: DeliveryCause,
    pub recipient: DeliveryRecipient<'a>,
    pub channel: Channel,
    pub kind: MessageKind,
    pub trade: Option<TradeId>,
}

/// For whom a delivery is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryRecipient<'a> {
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
