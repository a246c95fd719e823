//! Users, their subscriptions and their preferences.

use alertcast_core::delivery::read_place;
use alertcast_core::id::{ConfigId, PlanId, PreferenceId, SubscriptionId, UserId};
use alertcast_core::money::{Amount, Count};
use alertcast_core::preference::{
    AlertChoices, AlertPreference, CustomSettings, PreferenceStatistics, WantedChannels, WantedTypes,
};
use alertcast_core::store::{Collection, read};
use alertcast_core::subscription::lifecycle::{check_paid, find_missing_dates};
use alertcast_core::subscription::{
    ACTIVE_SUBSCRIPTIONS_MAX, Payment, PaymentStatus, Subscription, SubscriptionExtension, SubscriptionPlace,
    SubscriptionStatus, SubscriptionTerm, SubscriptionUsage, places_taken, transaction_key,
};
use alertcast_core::time::Time;
use alertcast_core::user::{
    NotificationChannels, Preferences, Profile, TelegramAccount, TradingLimits, User, UserExtension,
};
use serde_json::Value;

use super::catalog::config_reference;
use super::fields::{FieldResult, InputFields};
use super::values::{email, number_name, text};
use super::{EntryAdmission, InputReading, ReferenceStyle, admit, reference};

/// Reads a user (seed 2.1).
pub(crate) fn user(reading: &mut InputReading<'_>, fields: InputFields<'_>) {
    let mut fields = fields.of(Collection::Users);
    let id = UserId(reading.id(&mut fields));
    let email: Option<String> = fields.get_required("email");
    let key = email.clone().map(|email| (email, id));
    if admit(&mut reading.known.users, key, reading.skip_existing, &fields, "email") == EntryAdmission::Skip {
        return reading.skip(Collection::Users, fields);
    }
    let (telegram, topic) = telegram(fields.within("telegram"));
    let number = telegram.as_ref().map(|telegram| (telegram.user_id.clone(), id));
    // One that is another user's is never left out silently.
    admit(&mut reading.known.telegram, number, false, &fields, "telegram.userId");
    let profile = profile(fields.within("profile"));
    let status = fields.get_or_default("status");
    let preferences = preferences(fields.within("preferences"));
    let (created_at, updated_at) = reading.times(&mut fields);
    let last_login_at = fields.get_optional("lastLoginAt");
    let mut extension = fields.within("alertcast");
    let bot_id = extension.get_optional("botId");
    let topic_id = topic.map(Count).or(extension.get_optional("topicId"));
    let alertcast = UserExtension { bot_id, topic_id, ..UserExtension::default() };
    drop(extension);
    drop(fields);
    let whole = || {
        Some(User {
            id,
            email: email?,
            telegram: telegram?,
            profile: profile?,
            status: status?,
            preferences: preferences?,
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
    let user_id = fields.get_required("userId");
    let (username, first_name, last_name) =
        (fields.get_optional("username"), fields.get_optional("firstName"), fields.get_optional("lastName"));
    let place = fields.optional("chatId", |value| read_place(&number_name(value)?, false));
    let (chat_id, topic) = place.map_or((None, None), |(chat, topic)| (Some(chat), topic));
    let telegram = user_id.map(|user_id| TelegramAccount { user_id, username, first_name, last_name, chat_id });
    (telegram, topic)
}

fn profile(mut fields: InputFields<'_>) -> Option<Profile> {
    let name = fields.get_required("name");
    let phone = fields.get_optional("phone");
    let timezone = fields.get_or_default("timezone");
    Some(Profile { name: name?, phone, timezone: timezone? })
}

fn preferences(mut fields: InputFields<'_>) -> Option<Preferences> {
    let mut notifications = fields.within("notifications");
    let notifications = NotificationChannels {
        email: notifications.get_or_default("email")?,
        telegram: notifications.get_or_default("telegram")?,
        renewal_reminders: notifications.get_or_default("renewalReminders")?,
    };
    let mut trading = fields.within("trading");
    let trading = TradingLimits {
        risk_level: trading.get_or_default("riskLevel")?,
        max_daily_alerts: trading.get_or_default("maxDailyAlerts")?,
    };
    Some(Preferences { notifications, trading })
}

/// Reads a subscription (seed 2.4) by the rules of seed 5.1.
pub(crate) fn subscription(reading: &mut InputReading<'_>, fields: InputFields<'_>) {
    let mut fields = fields.of(Collection::UserSubscriptions);
    let id = SubscriptionId(reading.id(&mut fields));
    let mut paid = fields.within("payment");
    let transaction_id: Option<String> = paid.get_required("transactionId");
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
    let Some(term) = term(fields.within("subscription"), before) else { return };
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
            usage: usage?,
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
    let paid: Option<Amount> = fields.get_required("amount");
    let price = plan.and_then(|plan| reading.known.prices.get(&plan));
    let given: Option<String> = fields.get_optional("currency");
    let of_plan = || price.map(|(_, currency)| currency.clone());
    let currency = given.or_else(of_plan).or_else(|| fields.default_of("currency"))?;
    if let (Some(paid), Some((amount, of))) = (paid, price)
        && (paid != *amount || currency != *of)
    {
        fields.wrong("amount", format!("is {paid} {currency}, but the plan's price is {amount} {of}"));
    }
    let method = fields.get_or_default("method");
    let proof_url = fields.get_optional("proofUrl");
    let status: PaymentStatus = fields.get_or_default("status")?;
    let approved_by =
        fields.optional("approvedBy", |value| reference(reading, value, &reading.known.users, email, "user"));
    let approved_at = fields.get_optional("approvedAt");
    let rejection_reason = fields.get_optional("rejectionReason");
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
        method: method?,
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

fn term(mut fields: InputFields<'_>, before: Option<&Subscription>) -> Option<SubscriptionTerm> {
    let start_date = fields.get_optional("startDate");
    let end_date = fields.get_optional("endDate");
    let status: SubscriptionStatus = fields.get_or_default("status")?;
    let before = before.map(|before| &before.subscription);
    let is_as_it_was = before
        .is_some_and(|before| (before.status, before.start_date, before.end_date) == (status, start_date, end_date));
    if let (Some(start), Some(end), false) = (start_date, end_date, is_as_it_was)
        && end <= start
    {
        fields.wrong("endDate", format!("is {end}, which is not after startDate, {start}"));
    }
    Some(SubscriptionTerm {
        start_date,
        end_date,
        status,
        auto_renew: fields.get_or_default("autoRenew")?,
        renewal_notification_sent: fields.get_or_default("renewalNotificationSent")?,
    })
}

fn usage(mut fields: InputFields<'_>) -> Option<SubscriptionUsage> {
    Some(SubscriptionUsage {
        alerts_received: fields.get_or_default("alertsReceived")?,
        trades_opened: fields.get_or_default("tradesOpened")?,
        last_activity_at: fields.get_optional("lastActivityAt"),
    })
}

/// Reads a user's preferences for one configuration (seed 2.5).
pub(crate) fn preference(reading: &mut InputReading<'_>, fields: InputFields<'_>) {
    let mut fields = fields.of(Collection::UserAlertPreferences);
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
            preferences: preferences?,
            statistics: statistics?,
            created_at,
            updated_at,
        })
    };
    reading.add(Collection::UserAlertPreferences, whole());
}

fn statistics(mut fields: InputFields<'_>) -> Option<PreferenceStatistics> {
    Some(PreferenceStatistics {
        alerts_received: fields.get_or_default("alertsReceived")?,
        trades_opened: fields.get_or_default("tradesOpened")?,
        last_alert_at: fields.get_optional("lastAlertAt"),
    })
}

fn choices(mut fields: InputFields<'_>) -> Option<AlertChoices> {
    let enabled = fields.get_or_default("enabled");
    let mut wanted = fields.within("alertTypes");
    let alert_types = WantedTypes {
        entry: wanted.get_or_default("entry")?,
        exit: wanted.get_or_default("exit")?,
        replacement: wanted.get_or_default("replacement")?,
    };
    drop(wanted);
    let mut wanted = fields.within("notifications");
    let notifications =
        WantedChannels { telegram: wanted.get_or_default("telegram")?, email: wanted.get_or_default("email")? };
    drop(wanted);
    let mut custom = fields.within("customSettings");
    let custom_settings = CustomSettings {
        min_price: custom.get_optional("minPrice"),
        max_price: custom.get_optional("maxPrice"),
        risk_level: custom.get_optional("riskLevel"),
    };
    if let (Some(min), Some(max)) = (custom_settings.min_price, custom_settings.max_price)
        && max < min
    {
        custom.wrong("maxPrice", format!("is {max}, which is below minPrice, {min}"));
    }
    Some(AlertChoices { enabled: enabled?, alert_types, notifications, custom_settings })
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
