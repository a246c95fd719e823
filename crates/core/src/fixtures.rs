//! What the rules are told with: documents with fixed ids and fixed times, made by number. No clock, no randomness.

#![expect(clippy::unwrap_used, reason = "documents for tests: what cannot be made ends its test")]

mod people;

use bson::oid::ObjectId;
use bson::{Document, doc};

use crate::alert::document::{
    Alert, AlertData, AlertExtension, AlertProcessing, AlertStatistics, AlertStatus, Source, WebhookReceipt,
};
use crate::alert_configuration::{AlertConfiguration, ConfigStatus};
use crate::audit::AuditEntry;
use crate::delivery::{
    CauseKind, Channel, Delivery, DeliveryCause, DeliveryIdentity, DeliveryRecipient, EndedTrade, LaneName,
    MessageFacts, MessageKind, delivery_key, priority, rotation,
};
use crate::id::{AdminId, AlertId, ConfigId, DeliveryId, PlanId, PreferenceId, SubscriptionId, TradeId, UserId};
use crate::market::{ExitReason, Side, Signal, Symbol, Timeframe};
use crate::money::{Amount, Count, Price};
use crate::plan::{Features, Plan, PlanDuration, PlanMetadata, PlanStatus, Pricing};
use crate::preference::{AlertChoices, AlertPreference, PreferenceStatistics};
use crate::quota::Quota;
use crate::store::{AttemptOutcome, Collection, DeathCause, IntakeKey, OperatorNotice, partition_of};
use crate::subscription::{
    Payment, PaymentMethod, PaymentStatus, Subscription, SubscriptionExtension, SubscriptionStatus, SubscriptionTerm,
    SubscriptionUsage,
};
use crate::time::Time;
use crate::trade::document::{
    EntryDelivery, Pnl, Trade, TradeAlerts, TradeData, TradeExtension, TradeMetadata, TradeStatus, TradeTimes,
};
use crate::user::{Preferences, Profile, TelegramAccount, User, UserExtension, UserStatus};

pub use self::people::TestPeople;

/// The lease of the first bot's lane.
pub const BOT: &str = "tg:1";
/// The lease of the e-mail's lane.
pub const MAIL: &str = "mail:0";
/// The lease under which alerts are worked on.
pub const WORK: &str = "work:0";

/// Names of fields that somewhere mean more than a name: extended JSON's tags, operators and paths of updates.
pub const TAG_NAMES: [&str; 29] = [
    "$oid",
    "$date",
    "$numberInt",
    "$numberLong",
    "$numberDouble",
    "$numberDecimal",
    "$numberDecimalBytes",
    "$binary",
    "$uuid",
    "$code",
    "$scope",
    "$timestamp",
    "$regularExpression",
    "$dbPointer",
    "$minKey",
    "$maxKey",
    "$undefined",
    "$symbol",
    "$ref",
    "$id",
    "$db",
    "$set",
    "$literal",
    "$where",
    "$",
    "a.b",
    ".",
    "a.$",
    "0",
];

/// The moment `seconds` after the suite's beginning.
pub const fn at(seconds: i64) -> Time {
    Time::from_millis(1_750_000_000_000 + seconds * 1_000)
}

/// An id made of a kind and two numbers; among those of one kind it sorts by `a`, then `b`.
pub const fn oid(kind: u8, a: u32, b: u32) -> ObjectId {
    let [a0, a1, a2, a3] = a.to_be_bytes();
    let [b0, b1, b2, b3] = b.to_be_bytes();
    ObjectId::from_bytes([kind, 0, 0, 0, a0, a1, a2, a3, b0, b1, b2, b3])
}

pub const fn user_id(n: u32) -> UserId {
    UserId(oid(1, 0, n))
}

pub const fn plan_id(n: u32) -> PlanId {
    PlanId(oid(2, 0, n))
}

pub const fn config_id(n: u32) -> ConfigId {
    ConfigId(oid(3, 0, n))
}

pub const fn subscription_id(n: u32) -> SubscriptionId {
    SubscriptionId(oid(4, 0, n))
}

/// The preferences of a user for a configuration.
pub const fn preference_id(config: u32, user: u32) -> PreferenceId {
    PreferenceId(oid(5, config, user))
}

pub const fn alert_id(n: u32) -> AlertId {
    AlertId(oid(6, 0, n))
}

/// The trade that an alert opens for a user.
pub const fn trade_id(alert: u32, user: u32) -> TradeId {
    TradeId(oid(7, alert, user))
}

/// The delivery of an alert to a user by a channel.
pub const fn delivery_id(channel: Channel, alert: u32, user: u32) -> DeliveryId {
    DeliveryId(oid(8 + channel as u8, alert, user))
}

pub const fn admin_id(n: u32) -> AdminId {
    AdminId(oid(11, 0, n))
}

/// The number in an id that was made here.
pub fn number(id: ObjectId) -> u32 {
    let bytes = id.bytes();
    u32::from_be_bytes([bytes[8], bytes[9], bytes[10], bytes[11]])
}

pub fn price(value: f64) -> Price {
    Price::from_f64(value).unwrap()
}

pub fn amount(value: f64) -> Amount {
    Amount::from_f64(value).unwrap()
}

/// The user's Telegram chat.
pub fn chat(n: u32) -> String {
    format!("{}", 7_000_000 + n)
}

pub fn email(n: u32) -> String {
    format!("user{n}@example.com")
}

pub fn user(n: u32) -> User {
    User {
        id: user_id(n),
        email: email(n),
        telegram: TelegramAccount {
            user_id: chat(n),
            username: None,
            first_name: Some(format!("First{n}")),
            last_name: None,
            chat_id: Some(chat(n)),
        },
        profile: Profile { name: format!("User {n}"), phone: None, timezone: "Asia/Kolkata".to_owned() },
        status: UserStatus::Active,
        preferences: Preferences::default(),
        created_at: at(-1_000),
        updated_at: at(-1_000),
        last_login_at: None,
        alertcast: UserExtension::default(),
    }
}

pub fn plan(n: u32, configs: &[ConfigId]) -> Plan {
    Plan {
        id: plan_id(n),
        name: format!("Plan {n}"),
        description: "Signals".to_owned(),
        pricing: Pricing {
            amount: amount(999.0),
            currency: "INR".to_owned(),
            duration: PlanDuration { months: Count(1), days: Count(0) },
        },
        features: Features::default(),
        alert_configurations: configs.to_vec(),
        status: PlanStatus::Active,
        metadata: PlanMetadata::default(),
        created_at: at(-1_000),
        updated_at: at(-1_000),
    }
}

pub fn config(n: u32) -> AlertConfiguration {
    AlertConfiguration {
        id: config_id(n),
        name: format!("Configuration {n}"),
        description: None,
        symbol: Symbol::new(&format!("SYM{n}")).unwrap(),
        timeframe: Timeframe::H1,
        strategy: "EMA".to_owned(),
        trade_management: crate::alert_configuration::TradeManagement::default(),
        alert_types: crate::alert_configuration::AlertTypes::default(),
        validation: crate::alert_configuration::AlertValidation::default(),
        status: ConfigStatus::Active,
        statistics: crate::alert_configuration::ConfigStatistics::default(),
        created_at: at(-1_000),
        updated_at: at(-1_000),
        alertcast: crate::alert_configuration::ConfigExtension::default(),
    }
}

/// The subscription of user `n` to plan 1; it has the user's number.
pub fn subscription(n: u32) -> Subscription {
    Subscription {
        id: subscription_id(n),
        user_id: user_id(n),
        subscription_plan_id: plan_id(1),
        payment: Payment {
            transaction_id: format!("TXN{n}"),
            amount: amount(999.0),
            currency: "INR".to_owned(),
            method: PaymentMethod::Upi,
            proof_url: None,
            status: PaymentStatus::Approved,
            approved_by: None,
            approved_at: Some(at(-900)),
            rejection_reason: None,
        },
        subscription: SubscriptionTerm {
            start_date: Some(at(-900)),
            end_date: Some(at(2_592_000)),
            status: SubscriptionStatus::Active,
            auto_renew: false,
            renewal_notification_sent: false,
        },
        usage: SubscriptionUsage::default(),
        created_at: at(-1_000),
        updated_at: at(-1_000),
        alertcast: SubscriptionExtension::default(),
    }
}

pub fn preference(config: u32, user: u32) -> AlertPreference {
    AlertPreference {
        id: preference_id(config, user),
        user_id: user_id(user),
        subscription_id: subscription_id(user),
        alert_config_id: config_id(config),
        preferences: AlertChoices::default(),
        statistics: PreferenceStatistics::default(),
        created_at: at(-1_000),
        updated_at: at(-1_000),
    }
}

/// A BUY of configuration `config`, received `n` seconds after the beginning at a price of 100.
pub fn alert(n: u32, config: u32) -> Alert {
    Alert {
        id: alert_id(n),
        source: Source::TradingView,
        webhook: WebhookReceipt {
            received_at: at(i64::from(n)),
            processed_at: None,
            raw_payload: doc! { "ticker": format!("SYM{config}"), "price": 100.0, "n": i64::from(n) },
            signature: None,
            ip_address: Some("203.0.113.7".to_owned()),
        },
        alert_data: AlertData {
            symbol: format!("SYM{config}"),
            timeframe: "1h".to_owned(),
            strategy: "EMA".to_owned(),
            signal: Signal::Buy,
            price: price(100.0),
            take_profit_price: Some(price(110.0)),
            stop_loss_price: Some(price(95.0)),
            timestamp: at(i64::from(n)),
            additional_data: None,
        },
        processing: AlertProcessing { alert_config_id: Some(config_id(config)), ..AlertProcessing::default() },
        statistics: AlertStatistics::default(),
        created_at: at(i64::from(n)),
        updated_at: at(i64::from(n)),
        alertcast: AlertExtension { partition: Some(partition_of(config_id(config))), ..AlertExtension::default() },
    }
}

/// An alert that broke rules.
pub fn refused_alert(n: u32, config: u32, codes: &[&str]) -> Alert {
    let mut alert = alert(n, config);
    alert.processing.status = AlertStatus::Failed;
    alert.alertcast.refused_for = codes.iter().map(|&code| code.to_owned()).collect();
    alert
}

pub fn key(name: &str, until: Time) -> IntakeKey {
    IntakeKey { key: name.to_owned(), until }
}

/// The key that is an alert's own.
pub fn own_key(n: u32) -> IntakeKey {
    key(&format!("own-{n}"), at(100_000))
}

/// The open trade that alert `by` opened for a user, announced by these channels.
pub fn trade(by: u32, config: u32, user: u32, trade_number: i64, channels: &[Channel]) -> Trade {
    Trade {
        id: trade_id(by, user),
        trade_number: Count(trade_number),
        user_id: user_id(user),
        alert_config_id: config_id(config),
        subscription_id: subscription_id(user),
        trade_data: TradeData {
            symbol: format!("SYM{config}"),
            timeframe: "1h".to_owned(),
            strategy: "EMA".to_owned(),
            signal: Side::Buy,
            entry_price: price(100.0),
            take_profit_price: Some(price(110.0)),
            stop_loss_price: Some(price(95.0)),
            exit_price: None,
            exit_reason: None,
        },
        status: TradeStatus::Open,
        pnl: Pnl::default(),
        timestamps: TradeTimes { opened_at: at(i64::from(by)), closed_at: None, replaced_at: None },
        alerts: TradeAlerts { entry_alert_id: Some(alert_id(by)), exit_alert_id: None },
        metadata: TradeMetadata::default(),
        created_at: at(i64::from(by)),
        updated_at: at(i64::from(by)),
        alertcast: TradeExtension {
            rev: Count(1),
            preference_id: Some(preference_id(config, user)),
            entry_deliveries: channels
                .iter()
                .map(|&channel| EntryDelivery { channel, id: delivery_id(channel, by, user) })
                .collect(),
            ..TradeExtension::default()
        },
    }
}

/// The announcement of the trade that alert `by` opened; pending, due at once, of use for an hour.
pub fn entry(channel: Channel, by: u32, config: u32, user: u32) -> Delivery {
    let parcel = DeliveryIdentity {
        cause: DeliveryCause { kind: CauseKind::Alert, id: alert_id(by).0 },
        recipient: DeliveryRecipient::User(user_id(user)),
        channel,
        kind: MessageKind::Entry,
        trade: Some(trade_id(by, user)),
    };
    let facts = MessageFacts::Entry { number: Count(1) };
    Delivery {
        alert_id: Some(alert_id(by)),
        alert_config_id: Some(config_id(config)),
        subscription_id: Some(subscription_id(user)),
        lane: lane(channel),
        to: match channel {
            Channel::Telegram => chat(user),
            Channel::Email => email(user),
        },
        rotation: rotation(alert_id(by), user_id(user)),
        deadline_at: at(i64::from(by) + 3_600),
        ..Delivery::new_pending(delivery_id(channel, by, user), parcel, facts, at(i64::from(by)))
    }
}

/// The message by alert `by` that the trade which alert `entry_by` opened has ended.
pub fn exit(channel: Channel, by: u32, config: u32, user: u32, entry_by: u32) -> Delivery {
    let entry = entry(channel, by, config, user);
    let trade = trade_id(entry_by, user);
    Delivery {
        key: delivery_key(entry.cause, DeliveryRecipient::User(user_id(user)), channel, MessageKind::Exit, Some(trade)),
        trade_id: Some(trade),
        kind: MessageKind::Exit,
        priority: priority(MessageKind::Exit, false),
        deadline_at: at(i64::from(by) + 86_400),
        entry_delivery: Some(delivery_id(channel, entry_by, user)),
        facts: MessageFacts::LevelReached { numbers: vec![Count(1)] },
        ..entry
    }
}

/// The result, by alert `by`, of the trade that alert `entry_by` opened: for the entry's Telegram message, after the
/// exit's.
pub fn result(by: u32, config: u32, user: u32, entry_by: u32) -> Delivery {
    let told = exit(Channel::Telegram, by, config, user, entry_by);
    let entry = delivery_id(Channel::Telegram, entry_by, user);
    told.result(result_id(by, user), trade_id(entry_by, user), entry, closed_trade(), false).unwrap()
}

/// The result that alert `by` caused for a user.
pub const fn result_id(by: u32, user: u32) -> DeliveryId {
    DeliveryId(oid(10, by, user))
}

/// A trade from 100 to 110, by take profit.
pub fn closed_trade() -> EndedTrade {
    EndedTrade {
        number: Count(1),
        side: Side::Buy,
        entry_price: price(100.0),
        exit_price: price(110.0),
        reason: ExitReason::TpHit,
        inferred: false,
        inference: None,
        opened_at: at(1),
        pnl_amount: amount(10.0),
        pnl_percentage: amount(10.0),
        currency: "USD".to_owned(),
        decimals: None,
        note: None,
    }
}

/// The lane that serves a channel here.
pub fn lane(channel: Channel) -> LaneName {
    match channel {
        Channel::Telegram => LaneName::of_bot("1"),
        Channel::Email => LaneName::of_mail(0),
    }
}

/// A word to the operators: said once, then counted. `n` names the occurrence, `group` what is the same.
pub fn notice(group: u32, n: u32) -> OperatorNotice {
    OperatorNotice {
        first: operator(MessageKind::Operator, group, n),
        more: operator(MessageKind::OperatorMore, group, n),
    }
}

/// The key of a notice's delivery, by which the suite finds it.
pub fn operator(kind: MessageKind, group: u32, n: u32) -> Delivery {
    let cause = DeliveryCause { kind: CauseKind::Refusal, id: oid(12, 0, group) };
    let title = format!("Refusals {group}");
    Delivery {
        id: DeliveryId(oid(13, u32::from(kind == MessageKind::OperatorMore), n)),
        key: delivery_key(cause, DeliveryRecipient::Chat("operators"), Channel::Telegram, kind, None),
        cause,
        alert_id: None,
        alert_config_id: None,
        user_id: None,
        subscription_id: None,
        trade_id: None,
        kind,
        to: "operators".to_owned(),
        priority: priority(kind, false),
        rotation: 0,
        facts: if kind == MessageKind::OperatorMore {
            MessageFacts::OperatorMore { title, count: Count(0) }
        } else {
            MessageFacts::Operator { title, lines: vec![format!("line {n}")], test: false }
        },
        ..entry(Channel::Telegram, 0, 1, 0)
    }
}

pub fn quota(user: u32, rev: i64, entries: i64) -> Quota {
    Quota {
        user: user_id(user),
        rev: Count(rev),
        day: "2025-06-15".to_owned(),
        day_entries: Count(entries),
        hour_start: at(0),
        hour_entries: Count(entries),
    }
}

/// The document with what a Mongoose application and others may have put into it.
pub fn with_foreign_fields(mut document: Document) -> Document {
    document.insert("__v", 0);
    document.insert("foreign", foreign());
    document
}

/// What others put into a document; it survives whatever we do.
pub fn foreign() -> Document {
    doc! { "note": "kept", "long": 7_i64, "list": [1, "two", { "three": 3.0 }], "nothing": null }
}

/// The record of act `n`, which is about a document.
pub fn audit(n: u32, collection: Collection, about: ObjectId) -> AuditEntry {
    AuditEntry {
        id: oid(20, 0, n),
        at: at(50),
        admin_id: admin_id(1),
        username: "operator".to_owned(),
        action: "act".to_owned(),
        collection: collection.name().to_owned(),
        document_id: about,
        before: None,
        after: None,
        reason: Some("because".to_owned()),
        ip_address: None,
    }
}

pub fn sent_outcome(message_id: i64) -> AttemptOutcome {
    AttemptOutcome::Sent { message_id: Some(message_id), entry_lapsed: false, topic_gone: false }
}

pub fn dead() -> AttemptOutcome {
    AttemptOutcome::Dead { error: "Bad Request: chat not found".to_owned(), cause: DeathCause::Refused }
}

/// The chat of user `n` refuses us.
pub fn blocked_outcome(n: u32) -> AttemptOutcome {
    AttemptOutcome::Dead { error: "Forbidden".to_owned(), cause: DeathCause::ChatBlocked { chat: chat(n) } }
}

/// Its time is over, without any doubt.
pub const fn expired_outcome() -> AttemptOutcome {
    AttemptOutcome::Expired { in_doubt: false }
}

/// To be tried again, though this attempt may have arrived.
pub fn doubted_outcome(seconds: i64) -> AttemptOutcome {
    AttemptOutcome::Retry { due_at: at(seconds), error: "timeout".to_owned(), in_doubt: true }
}

pub fn retry(seconds: i64) -> AttemptOutcome {
    AttemptOutcome::Retry { due_at: at(seconds), error: "Too Many Requests".to_owned(), in_doubt: false }
}
