//! Who takes part in the demonstration: configurations, plans and subscribers, each there to show one thing.

use alertcast_core::alert_configuration::{
    AlertConfiguration, AlertValidation, ConfigExtension, ConfigStatus, TradeManagement,
};
use alertcast_core::id::{ConfigId, IdSource, PlanId, PreferenceId, SubscriptionId, UserId};
use alertcast_core::market::{Symbol, Timeframe};
use alertcast_core::money::{Amount, Count};
use alertcast_core::plan::{Features, Plan, PlanDuration, PlanMetadata, PlanStatus, Pricing};
use alertcast_core::preference::{AlertChoices, AlertPreference, PreferenceStatistics, WantedTypes};
use alertcast_core::store::{Collection, DocumentWrite, StoreResult, document};
use alertcast_core::subscription::{
    Payment, PaymentMethod, PaymentStatus, Subscription, SubscriptionExtension, SubscriptionStatus, SubscriptionTerm,
    SubscriptionUsage,
};
use alertcast_core::time::Time;
use alertcast_core::user::{
    Preferences, Profile, RiskLevel, TelegramAccount, TradingLimits, User, UserExtension, UserStatus,
};
use std::time::Duration;

/// The operators' chat in the demonstration.
pub(super) const OPERATORS: i64 = 9_000;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A subscriber, and what they show.
pub(super) struct DemoSubscriber {
    pub(super) name: &'static str,
    pub(super) chat: i64,
    pub(super) about: &'static str,
    zone: &'static str,
    plan: &'static str,
    risk: RiskLevel,
    days_left: i64,
    replacements: bool,
}

const PRO: &str = "Pro";
const BASIC: &str = "Basic";

/// The subscribers.
pub(super) const PEOPLE: [DemoSubscriber; 5] = [
    DemoSubscriber {
        name: "Asha",
        chat: 1_001,
        about: "Pro: both configurations, up to 3 open trades, priority",
        zone: "Asia/Kolkata",
        plan: PRO,
        risk: RiskLevel::High,
        days_left: 60,
        replacements: true,
    },
    DemoSubscriber {
        name: "Ben",
        chat: 1_002,
        about: "Pro, but takes low risk only",
        zone: "Europe/Berlin",
        plan: PRO,
        risk: RiskLevel::Low,
        days_left: 60,
        replacements: true,
    },
    DemoSubscriber {
        name: "Chen",
        chat: 1_003,
        about: "Basic: one configuration, one open trade",
        zone: "Asia/Singapore",
        plan: BASIC,
        risk: RiskLevel::Medium,
        days_left: 20,
        replacements: true,
    },
    DemoSubscriber {
        name: "Divya",
        chat: 1_004,
        about: "Basic, ended yesterday",
        zone: "Asia/Kolkata",
        plan: BASIC,
        risk: RiskLevel::Medium,
        days_left: -1,
        replacements: true,
    },
    DemoSubscriber {
        name: "Emil",
        chat: 1_005,
        about: "Basic, wants no replacements",
        zone: "America/New_York",
        plan: BASIC,
        risk: RiskLevel::Medium,
        days_left: 20,
        replacements: false,
    },
];

/// Everything that the demonstration's store begins with, as one write.
pub(super) fn writes(ids: &dyn IdSource, now: Time) -> StoreResult<Vec<DocumentWrite>> {
    let bitcoin = configuration(ids, "Bitcoin, hourly", "BTCUSDT", Timeframe::H1, "EMA Cross", now);
    let apple = configuration(ids, "Apple, 15 minutes", "AAPL", Timeframe::M15, "Breakout", now);
    let both: Vec<ConfigId> = [&bitcoin, &apple].into_iter().flatten().map(|config| config.id).collect();
    let pro = plan(ids, PRO, 2_499, both.clone(), (-1, 3, true), now);
    let basic = plan(ids, BASIC, 999, both.clone(), (1, 1, false), now);

    let mut writes = Vec::new();
    for config in [bitcoin, apple].into_iter().flatten() {
        writes.push(insert(Collection::AlertConfigurations, &config)?);
    }
    for plan in [&pro, &basic] {
        writes.push(insert(Collection::SubscriptionPlans, plan)?);
    }
    for person in &PEOPLE {
        let user = user(ids, person, now);
        let plan = if person.plan == PRO { &pro } else { &basic };
        let subscription = subscription(ids, user.id, plan, person, now);
        writes.push(insert(Collection::Users, &user)?);
        writes.push(insert(Collection::UserSubscriptions, &subscription)?);
        if let (false, Some(config)) = (person.replacements, both.first()) {
            let preference = preference(ids, &subscription, *config, now);
            writes.push(insert(Collection::UserAlertPreferences, &preference)?);
        }
    }
    Ok(writes)
}

fn insert<T: serde::Serialize>(collection: Collection, value: &T) -> StoreResult<DocumentWrite> {
    Ok(DocumentWrite::Insert { collection, document: document(value)? })
}

fn configuration(
    ids: &dyn IdSource,
    name: &str,
    symbol: &str,
    timeframe: Timeframe,
    strategy: &str,
    now: Time,
) -> Option<AlertConfiguration> {
    Some(AlertConfiguration {
        id: ConfigId(ids.next()),
        name: name.to_owned(),
        description: None,
        symbol: Symbol::new(symbol)?,
        timeframe,
        strategy: strategy.to_owned(),
        trade_management: TradeManagement::default(),
        alert_types: Default::default(),
        validation: AlertValidation::default(),
        status: ConfigStatus::Active,
        statistics: Default::default(),
        created_at: now,
        updated_at: now,
        alertcast: ConfigExtension::default(),
    })
}

/// `grants`: configurations, open trades, priority.
fn plan(
    ids: &dyn IdSource,
    name: &str,
    rupees: i64,
    configurations: Vec<ConfigId>,
    grants: (i64, i64, bool),
    now: Time,
) -> Plan {
    Plan {
        id: PlanId(ids.next()),
        name: name.to_owned(),
        description: format!("{name}, for the demonstration"),
        pricing: Pricing {
            amount: amount(rupees),
            currency: "INR".to_owned(),
            duration: PlanDuration { months: Count(1), days: Count(0) },
        },
        features: Features {
            max_alert_configs: Count(grants.0),
            max_open_trades: Count(grants.1),
            priority_support: grants.2,
            advanced_analytics: false,
        },
        alert_configurations: configurations,
        status: PlanStatus::Active,
        metadata: PlanMetadata::default(),
        created_at: now,
        updated_at: now,
    }
}

fn amount(rupees: i64) -> Amount {
    Amount::new(rupees.into()).unwrap_or(Amount::ZERO)
}

fn user(ids: &dyn IdSource, person: &DemoSubscriber, now: Time) -> User {
    User {
        id: UserId(ids.next()),
        email: format!("{}@example.com", person.name.to_lowercase()),
        telegram: TelegramAccount {
            user_id: person.chat.to_string(),
            username: None,
            first_name: Some(person.name.to_owned()),
            last_name: None,
            chat_id: Some(person.chat.to_string()),
        },
        profile: Profile { name: person.name.to_owned(), phone: None, timezone: person.zone.to_owned() },
        status: UserStatus::Active,
        preferences: Preferences {
            trading: TradingLimits { risk_level: person.risk, ..TradingLimits::default() },
            ..Preferences::default()
        },
        created_at: now,
        updated_at: now,
        last_login_at: None,
        alertcast: UserExtension::default(),
    }
}

fn subscription(ids: &dyn IdSource, user: UserId, plan: &Plan, person: &DemoSubscriber, now: Time) -> Subscription {
    let whole = DAY * u32::try_from(person.days_left.unsigned_abs()).unwrap_or(0);
    let end = if person.days_left < 0 { now - whole } else { now + whole };
    Subscription {
        id: SubscriptionId(ids.next()),
        user_id: user,
        subscription_plan_id: plan.id,
        payment: Payment {
            transaction_id: format!("DEMO-{}", person.chat),
            amount: plan.pricing.amount,
            currency: plan.pricing.currency.clone(),
            method: PaymentMethod::Upi,
            proof_url: None,
            status: PaymentStatus::Approved,
            approved_by: None,
            approved_at: Some(end - DAY * 90),
            rejection_reason: None,
        },
        subscription: SubscriptionTerm {
            start_date: Some(end - DAY * 90),
            end_date: Some(end),
            status: SubscriptionStatus::Active,
            auto_renew: false,
            renewal_notification_sent: false,
        },
        usage: SubscriptionUsage::default(),
        created_at: now,
        updated_at: now,
        alertcast: SubscriptionExtension::default(),
    }
}

fn preference(ids: &dyn IdSource, subscription: &Subscription, config: ConfigId, now: Time) -> AlertPreference {
    AlertPreference {
        id: PreferenceId(ids.next()),
        user_id: subscription.user_id,
        subscription_id: subscription.id,
        alert_config_id: config,
        preferences: AlertChoices {
            alert_types: WantedTypes { replacement: false, ..WantedTypes::default() },
            ..AlertChoices::default()
        },
        statistics: PreferenceStatistics::default(),
        created_at: now,
        updated_at: now,
    }
}
