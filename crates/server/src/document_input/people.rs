//! Users, their subscriptions and their preferences.

use alertcast_core::delivery::read_place;
use alertcast_core::id::{ConfigId, PlanId, PreferenceId, SubscriptionId, UserId};
use alertcast_core::money::Count;
use alertcast_core::preference::{
    AlertChoices, AlertPreference, CustomSettings, PreferenceStatistics, WantedChannels, WantedTypes,
};
use alertcast_core::store::{Collection, read};
use alertcast_core::subscription::lifecycle::{check_paid, find_missing_dates};
use alertcast_core::subscription::{
    ACTIVE_SUBSCRIPTIONS_MAX, Payment, PaymentMethod, PaymentStatus, Subscription, SubscriptionExtension,
    SubscriptionPlace, SubscriptionStatus, SubscriptionTerm, SubscriptionUsage, places_taken, transaction_key,
};
use alertcast_core::time::Time;
use alertcast_core::user::{
    NotificationChannels, Preferences, Profile, RiskLevel, TelegramAccount, TradingLimits, User, UserExtension,
    UserStatus,
};
use serde_json::Value;

use super::catalog::config_reference;
use super::fields::{FieldResult, InputFields};
use super::values::{amount, currency, email, flag, number_name, price, text, time, whole, word, zone};
use super::{EntryAdmission, InputReading, ReferenceStyle, admit, reference};

/// Reads a user (seed 2.1).
pub(crate) fn user(reading: &mut InputReading<'_>, mut fields: InputFields<'_>) {
    let id = UserId(reading.id(&mut fields));
    let email = fields.read_required("email", email);
    let key = email.clone().map(|email| (email, id));
    if admit(&mut reading.known.users, key, reading.skip_existing, &fields, "email") == EntryAdmission::Skip {
        return reading.skip(Collection::Users, fields);
    }
    let (telegram, topic) = telegram(fields.within("telegram"));
    let number = telegram.as_ref().map(|telegram| (telegram.user_id.clone(), id));
    // One that is another user's is never left out silently.
    admit(&mut reading.known.telegram, number, false, &fields, "telegram.userId");
    let profile = profile(fields.within("profile"));
    let status = fields.or("status", UserStatus::Active, word(UserStatus::ALL));
    let preferences = preferences(fields.within("preferences"));
    let (created_at, updated_at) = reading.times(&mut fields);
    let last_login_at = fields.optional("lastLoginAt", time);
    let mut extension = fields.within("alertcast");
    let bot_id = extension.optional("botId", number_name);
    let topic_id = topic.map(Count).or(extension.optional("topicId", whole(1, i64::from(i32::MAX))));
    let alertcast = UserExtension { bot_id, topic_id, ..UserExtension::default() };
    drop(extension);
    drop(fields);
    let whole = || {
        Some(User {
            id,
            email: email?,
            telegram: telegram?,
            profile: profile?,
            status,
            preferences,
            created_at,
            updated_at,
            last_login_at,
            alertcast,
        })
    };
    reading.add(Collection::Users, whole());
}

/// The account, and the topic that was written with its chat.
fn telegram(mut fields: InputFields<'_>) -> (Option<TelegramAccount>, Option<i64>) {
    let user_id = fields.read_required("userId", number_name);
    let (username, first_name, last_name) =
        (fields.optional("username", text), fields.optional("firstName", text), fields.optional("lastName", text));
    let place = fields.optional("chatId", |value| read_place(&number_name(value)?, false));
    let (chat_id, topic) = place.map_or((None, None), |(chat, topic)| (Some(chat), topic));
    let telegram = user_id.map(|user_id| TelegramAccount { user_id, username, first_name, last_name, chat_id });
    (telegram, topic)
}

fn profile(mut fields: InputFields<'_>) -> Option<Profile> {
    let name = fields.read_required("name", text);
    let phone = fields.optional("phone", text);
    let timezone = fields.or("timezone", "UTC".to_owned(), zone);
    Some(Profile { name: name?, phone, timezone })
}

fn preferences(mut fields: InputFields<'_>) -> Preferences {
    let (channels, limits) = (NotificationChannels::default(), TradingLimits::default());
    let mut notifications = fields.within("notifications");
    let notifications = NotificationChannels {
        email: notifications.or("email", channels.email, flag),
        telegram: notifications.or("telegram", channels.telegram, flag),
        renewal_reminders: notifications.or("renewalReminders", channels.renewal_reminders, flag),
    };
    let mut trading = fields.within("trading");
    let trading = TradingLimits {
        risk_level: trading.or("riskLevel", limits.risk_level, word(RiskLevel::ALL)),
        max_daily_alerts: trading.or("maxDailyAlerts", limits.max_daily_alerts, whole(0, i64::MAX)),
    };
    Preferences { notifications, trading }
}

/// Reads a subscription (seed 2.4) by the rules of seed 5.1.
pub(crate) fn subscription(reading: &mut InputReading<'_>, mut fields: InputFields<'_>) {
    let id = SubscriptionId(reading.id(&mut fields));
    let mut paid = fields.within("payment");
    let transaction_id = paid.read_required("transactionId", number_name);
    let key = transaction_id.as_deref().map(|transaction_id| (transaction_key(transaction_id), id));
    let known = &mut reading.known.subscriptions;
    if admit(known, key, reading.skip_existing, &fields, "payment.transactionId") == EntryAdmission::Skip {
        paid.leave_out();
        return reading.skip(Collection::UserSubscriptions, fields);
    }
    let user_id = user_of(reading, &mut fields);
    let plan_id = plan_of(reading, &mut fields);
    let before = reading.kept.clone().and_then(|kept| read::<Subscription>(Collection::UserSubscriptions, kept).ok());
    let before = before.as_ref();
    let owner = reading.kept.as_ref().and_then(|kept| kept.get_object_id("userId").ok()).map(UserId);
    stays_with(&fields, owner, before, (user_id, plan_id));
    let term = term(fields.within("subscription"), before);
    let payment = payment(reading, paid, transaction_id, plan_id, (before, &term));
    let usage = usage(fields.within("usage"));
    let mut extension = fields.within("alertcast");
    let picks = extension.list("picks", |value| config_reference(reading, value));
    let alertcast = SubscriptionExtension {
        picks: Some(picks).filter(|picks| !picks.is_empty()),
        transaction_key: payment.as_ref().map(|payment| transaction_key(&payment.transaction_id)),
        ..SubscriptionExtension::default()
    };
    drop(extension);
    let (created_at, updated_at) = reading.times(&mut fields);
    let place = SubscriptionPlace { plan: plan_id, status: term.status, start: term.start_date, end: term.end_date };
    if let Some(user) = user_id {
        reading.known.of_user.entry(user).or_default().push(id);
        reading.known.places.entry(user).or_default().push(place);
    }
    if before.is_none() {
        check_new(reading, &fields, place, user_id, (payment.as_ref(), &term));
    }
    drop(fields);
    let whole = || {
        Some(Subscription {
            id,
            user_id: user_id?,
            subscription_plan_id: plan_id?,
            payment: payment?,
            subscription: term,
            usage,
            created_at,
            updated_at,
            alertcast,
        })
    };
    reading.add(Collection::UserSubscriptions, whole());
}

/// Whose a subscription is, and once it is paid to what, is settled.
fn stays_with(
    fields: &InputFields<'_>,
    owner: Option<UserId>,
    before: Option<&Subscription>,
    (user, plan): (Option<UserId>, Option<PlanId>),
) {
    if owner.is_some() && user.is_some() && owner != user {
        fields.note_fixed("userId", "cannot be changed: a subscription stays with its user");
    }
    let Some(before) = before else { return };
    let paid = before.payment.status == PaymentStatus::Approved || before.entitlement().is_some();
    if paid && plan.is_some_and(|plan| plan != before.subscription_plan_id) {
        fields.note_fixed("subscriptionPlanId", "cannot be changed any more: this plan is what was paid for");
    }
}

/// The rules about a subscription that is new. One that is changed is judged by what its change is (`lifecycle`).
fn check_new(
    reading: &InputReading<'_>,
    fields: &InputFields<'_>,
    place: SubscriptionPlace,
    user: Option<UserId>,
    (payment, term): (Option<&Payment>, &SubscriptionTerm),
) {
    let held = user.and_then(|user| reading.known.places.get(&user)).map_or(&[][..], Vec::as_slice);
    if place.is_open(reading.now) && places_taken(held, reading.now) > ACTIVE_SUBSCRIPTIONS_MAX {
        fields.wrong("subscription.status", "is the user's sixth active subscription; at most 5 are allowed");
    }
    for name in find_missing_dates(term, None) {
        fields.wrong(
            &format!("subscription.{name}"),
            "is needed where a subscription is made active: it says for how long",
        );
    }
    if let Some(Err(why)) = payment.map(|payment| check_paid(payment.status, term, None)) {
        fields.wrong("subscription.status", why.to_string());
    }
}

fn payment(
    reading: &InputReading<'_>,
    mut fields: InputFields<'_>,
    transaction_id: Option<String>,
    plan: Option<PlanId>,
    (before, term): (Option<&Subscription>, &SubscriptionTerm),
) -> Option<Payment> {
    let paid = fields.read_required("amount", amount);
    let price = plan.and_then(|plan| reading.known.prices.get(&plan));
    let plans_currency = price.map_or_else(|| "INR".to_owned(), |(_, currency)| currency.clone());
    let currency = fields.or("currency", plans_currency, currency);
    if let (Some(paid), Some((amount, of))) = (paid, price)
        && (paid != *amount || currency != *of)
    {
        fields.wrong("amount", format!("is {paid} {currency}, but the plan's price is {amount} {of}"));
    }
    let method = fields.or("method", PaymentMethod::Upi, word(PaymentMethod::ALL));
    let proof_url = fields.optional("proofUrl", text);
    let status = fields.or("status", PaymentStatus::Pending, word(PaymentStatus::ALL));
    let approved_by =
        fields.optional("approvedBy", |value| reference(reading, value, &reading.known.users, email, "user"));
    let approved_at = fields.optional("approvedAt", time);
    let rejection_reason = fields.optional("rejectionReason", text);
    let before = before.map(|before| &before.payment);
    if status != PaymentStatus::Approved {
        let what = format!("is of an approved payment, and this one is {status}");
        if approved_at.is_some() && approved_at != before.and_then(|before| before.approved_at) {
            fields.wrong("approvedAt", what.as_str());
        }
        if approved_by.is_some() && approved_by != before.and_then(|before| before.approved_by) {
            fields.wrong("approvedBy", what);
        }
    }
    Some(Payment {
        transaction_id: transaction_id?,
        amount: paid?,
        currency,
        method,
        proof_url,
        status,
        approved_by,
        approved_at: approved_at.or_else(|| approved_when(reading, before, status, term)),
        rejection_reason,
    })
}

/// When a payment was approved that does not say. One that is approved by this was approved now; one that comes with a
/// file, when its term began.
fn approved_when(
    reading: &InputReading<'_>,
    before: Option<&Payment>,
    status: PaymentStatus,
    term: &SubscriptionTerm,
) -> Option<Time> {
    if status != PaymentStatus::Approved {
        return None;
    }
    match (before, reading.naming) {
        // Another application's may lack it. One that is taken away is noted anew.
        (Some(before), _) if before.status == status => before.approved_at.map(|_| reading.now),
        (None, ReferenceStyle::ByNameToo) => Some(term.start_date.map_or(reading.now, |start| start.min(reading.now))),
        _ => Some(reading.now),
    }
}

fn term(mut fields: InputFields<'_>, before: Option<&Subscription>) -> SubscriptionTerm {
    let start_date = fields.optional("startDate", time);
    let end_date = fields.optional("endDate", time);
    let status = fields.or("status", SubscriptionStatus::Pending, word(SubscriptionStatus::ALL));
    let before = before.map(|before| &before.subscription);
    let is_as_it_was = before
        .is_some_and(|before| (before.status, before.start_date, before.end_date) == (status, start_date, end_date));
    if let (Some(start), Some(end), false) = (start_date, end_date, is_as_it_was)
        && end <= start
    {
        fields.wrong("endDate", format!("is {end}, which is not after startDate, {start}"));
    }
    SubscriptionTerm {
        start_date,
        end_date,
        status,
        auto_renew: fields.or("autoRenew", false, flag),
        renewal_notification_sent: fields.or("renewalNotificationSent", false, flag),
    }
}

fn usage(mut fields: InputFields<'_>) -> SubscriptionUsage {
    SubscriptionUsage {
        alerts_received: fields.or("alertsReceived", Count(0), whole(0, i64::MAX)),
        trades_opened: fields.or("tradesOpened", Count(0), whole(0, i64::MAX)),
        last_activity_at: fields.optional("lastActivityAt", time),
    }
}

/// Reads a user's preferences for one configuration (seed 2.5).
pub(crate) fn preference(reading: &mut InputReading<'_>, mut fields: InputFields<'_>) {
    let id = PreferenceId(reading.id(&mut fields));
    let user_id = user_of(reading, &mut fields);
    let config_id = config_of(reading, &mut fields);
    let owner = reading.kept.as_ref().and_then(|kept| kept.get_object_id("userId").ok()).map(UserId);
    if owner.is_some() && user_id.is_some() && owner != user_id {
        fields.note_fixed("userId", "cannot be changed: preferences stay with their user");
    }
    let key = user_id.zip(config_id).map(|key| (key, id));
    let known = &mut reading.known.preferences;
    if admit(known, key, reading.skip_existing, &fields, "userId, alertConfigId") == EntryAdmission::Skip {
        return reading.skip(Collection::UserAlertPreferences, fields);
    }
    let subscription_id = subscription_of(reading, &mut fields, user_id);
    let preferences = choices(fields.within("preferences"));
    let statistics = statistics(fields.within("statistics"));
    let (created_at, updated_at) = reading.times(&mut fields);
    drop(fields);
    let whole = || {
        Some(AlertPreference {
            id,
            user_id: user_id?,
            subscription_id: subscription_id?,
            alert_config_id: config_id?,
            preferences,
            statistics,
            created_at,
            updated_at,
        })
    };
    reading.add(Collection::UserAlertPreferences, whole());
}

fn statistics(mut fields: InputFields<'_>) -> PreferenceStatistics {
    PreferenceStatistics {
        alerts_received: fields.or("alertsReceived", Count(0), whole(0, i64::MAX)),
        trades_opened: fields.or("tradesOpened", Count(0), whole(0, i64::MAX)),
        last_alert_at: fields.optional("lastAlertAt", time),
    }
}

fn choices(mut fields: InputFields<'_>) -> AlertChoices {
    let (types, channels) = (WantedTypes::default(), WantedChannels::default());
    let enabled = fields.or("enabled", true, flag);
    let mut wanted = fields.within("alertTypes");
    let alert_types = WantedTypes {
        entry: wanted.or("entry", types.entry, flag),
        exit: wanted.or("exit", types.exit, flag),
        replacement: wanted.or("replacement", types.replacement, flag),
    };
    drop(wanted);
    let mut wanted = fields.within("notifications");
    let notifications = WantedChannels {
        telegram: wanted.or("telegram", channels.telegram, flag),
        email: wanted.or("email", channels.email, flag),
    };
    drop(wanted);
    let mut custom = fields.within("customSettings");
    let custom_settings = CustomSettings {
        min_price: custom.optional("minPrice", price),
        max_price: custom.optional("maxPrice", price),
        risk_level: custom.optional("riskLevel", word(RiskLevel::ALL)),
    };
    if let (Some(min), Some(max)) = (custom_settings.min_price, custom_settings.max_price)
        && max < min
    {
        custom.wrong("maxPrice", format!("is {max}, which is below minPrice, {min}"));
    }
    AlertChoices { enabled, alert_types, notifications, custom_settings }
}

fn user_of(reading: &InputReading<'_>, fields: &mut InputFields<'_>) -> Option<UserId> {
    let field = reading.field(fields, "user", "userId");
    fields.read_required(field, |value| reference(reading, value, &reading.known.users, email, "user"))
}

fn plan_of(reading: &InputReading<'_>, fields: &mut InputFields<'_>) -> Option<PlanId> {
    let field = reading.field(fields, "plan", "subscriptionPlanId");
    fields.read_required(field, |value| reference(reading, value, &reading.known.plans, text, "plan"))
}

fn config_of(reading: &InputReading<'_>, fields: &mut InputFields<'_>) -> Option<ConfigId> {
    let field = reading.field(fields, "configuration", "alertConfigId");
    fields.read_required(field, |value| config_reference(reading, value))
}

/// The named subscription, which must be the user's; where none is named, the only one that the user has.
fn subscription_of(
    reading: &InputReading<'_>,
    fields: &mut InputFields<'_>,
    user: Option<UserId>,
) -> Option<SubscriptionId> {
    let field = reading.field(fields, "subscription", "subscriptionId");
    let theirs = user.and_then(|user| reading.known.of_user.get(&user)).map_or(&[][..], Vec::as_slice);
    let Some(value) = fields.take(field) else {
        if reading.naming == ReferenceStyle::ById {
            fields.note_missing(field);
            return None;
        }
        if let [only] = theirs {
            return Some(*only);
        }
        if user.is_some() {
            let what =
                format!("is missing, and the user has {} subscriptions: write one's transaction id", theirs.len());
            fields.wrong(field, what);
        }
        return None;
    };
    let named =
        reference(reading, &value, &reading.known.subscriptions, transaction, "subscription").and_then(|named| {
            let belongs = user.is_none() || theirs.contains(&named);
            if belongs { Ok(named) } else { Err("is another user's subscription".into()) }
        });
    named.map_err(|what| fields.wrong(field, what)).ok()
}

/// A subscription by its transaction id.
fn transaction(value: &Value) -> FieldResult<String> {
    number_name(value).map(|id| transaction_key(&id))
}
