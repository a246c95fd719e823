//! Configurations and plans.

use alertcast_core::alert_configuration::{
    AlertConfiguration, AlertTypes, AlertValidation, ConfigExtension, ConfigStatistics, ConfigStatus, PriceValidation,
    RequiredField, SignalSet, TradeManagement,
};
use alertcast_core::id::{ConfigId, PlanId};
use alertcast_core::market::Signal;
use alertcast_core::money::{Amount, Count};
use alertcast_core::plan::{Features, Plan, PlanDuration, PlanMetadata, PlanStatus, Pricing};
use alertcast_core::store::Collection;
use serde_json::Value;

use super::fields::{FieldResult, InputFields};
use super::known_documents::ConfigName;
use super::values::{amount, currency, flag, symbol, text, time, timeframe, whole, word};
use super::{EntryAdmission, InputReading, WrongValue, admit, reference};

/// Reads an alert configuration (seed 2.3).
pub(crate) fn config(reading: &mut InputReading<'_>, mut fields: InputFields<'_>) {
    let id = ConfigId(reading.id(&mut fields));
    let symbol = fields.read_required("symbol", symbol);
    let timeframe = fields.read_required("timeframe", timeframe);
    let strategy = fields.read_required("strategy", text);
    let key = match (&symbol, timeframe, &strategy) {
        (Some(symbol), Some(timeframe), Some(strategy)) => Some(((symbol.clone(), timeframe, strategy.clone()), id)),
        _ => None,
    };
    let known = &mut reading.known.configs;
    if admit(known, key, reading.skip_existing, &fields, "symbol, timeframe, strategy") == EntryAdmission::Skip {
        return reading.skip(Collection::AlertConfigurations, fields);
    }
    let name = fields.read_required("name", text);
    let description = fields.optional("description", text);
    let trade_management = trade_management(fields.within("tradeManagement"));
    let alert_types = alert_types(fields.within("alertTypes"));
    let validation = validation(fields.within("validation"));
    let status = fields.or("status", ConfigStatus::Active, word(ConfigStatus::ALL));
    let statistics = statistics(fields.within("statistics"));
    let mut extension = fields.within("alertcast");
    let alertcast =
        ConfigExtension { currency: extension.optional("currency", currency), ..ConfigExtension::default() };
    drop(extension);
    let (created_at, updated_at) = reading.times(&mut fields);
    drop(fields);
    let whole = || {
        Some(AlertConfiguration {
            id,
            name: name?,
            description,
            symbol: symbol?,
            timeframe: timeframe?,
            strategy: strategy?,
            trade_management,
            alert_types,
            validation,
            status,
            statistics,
            created_at,
            updated_at,
            alertcast,
        })
    };
    reading.add(Collection::AlertConfigurations, whole());
}

fn trade_management(mut fields: InputFields<'_>) -> TradeManagement {
    let defaults = TradeManagement::default();
    TradeManagement {
        max_open_trades: fields.or("maxOpenTrades", defaults.max_open_trades, whole(1, 5)),
        allow_opposite_signals: fields.or("allowOppositeSignals", defaults.allow_opposite_signals, flag),
        replace_on_same_signal: fields.or("replaceOnSameSignal", defaults.replace_on_same_signal, flag),
        auto_close_on_tp_sl: fields.or("autoCloseOnTPSL", defaults.auto_close_on_tp_sl, flag),
    }
}

fn alert_types(mut fields: InputFields<'_>) -> AlertTypes {
    AlertTypes {
        entry: signal_set(fields.within("entry"), &[Signal::Buy, Signal::Sell]),
        exit: signal_set(fields.within("exit"), &[Signal::TpHit, Signal::SlHit]),
    }
}

fn signal_set(mut fields: InputFields<'_>, signals: &'static [Signal]) -> SignalSet {
    SignalSet { enabled: fields.or("enabled", true, flag), signals: fields.list("signals", word(signals)) }
}

fn validation(mut fields: InputFields<'_>) -> AlertValidation {
    let required_fields = fields.list("requiredFields", word(RequiredField::ALL));
    let mut price = fields.within("priceValidation");
    let defaults = PriceValidation::default();
    let price_validation = PriceValidation {
        enabled: price.or("enabled", defaults.enabled, flag),
        tolerance: price.or("tolerance", defaults.tolerance, amount),
    };
    AlertValidation { required_fields, price_validation }
}

fn statistics(mut fields: InputFields<'_>) -> ConfigStatistics {
    ConfigStatistics {
        total_alerts: fields.or("totalAlerts", Count(0), whole(0, i64::MAX)),
        total_trades: fields.or("totalTrades", Count(0), whole(0, i64::MAX)),
        success_rate: fields.or("successRate", Amount::ZERO, amount),
        last_alert_at: fields.optional("lastAlertAt", time),
    }
}

/// A reference to a configuration: its id, or `{ symbol, timeframe, strategy }`.
pub(crate) fn config_reference(reading: &InputReading<'_>, value: &Value) -> Result<ConfigId, WrongValue> {
    reference(reading, value, &reading.known.configs, config_name, "configuration")
}

fn config_name(value: &Value) -> FieldResult<ConfigName> {
    let part = |name: &str| value.get(name).unwrap_or(&Value::Null);
    if !value.is_object() {
        return Err("is no configuration: write { symbol, timeframe, strategy }, or its id".to_owned());
    }
    let of = |name: &str, what: String| format!("has a {name} that {what}");
    Ok((
        symbol(part("symbol")).map_err(|what| of("symbol", what))?,
        timeframe(part("timeframe")).map_err(|what| of("timeframe", what))?,
        text(part("strategy")).map_err(|what| of("strategy", what))?,
    ))
}

/// Reads a plan (seed 2.2).
pub(crate) fn plan(reading: &mut InputReading<'_>, mut fields: InputFields<'_>) {
    let id = PlanId(reading.id(&mut fields));
    let name = fields.read_required("name", text);
    let key = name.clone().map(|name| (name, id));
    if admit(&mut reading.known.plans, key, reading.skip_existing, &fields, "name") == EntryAdmission::Skip {
        return reading.skip(Collection::SubscriptionPlans, fields);
    }
    let description = fields.read_required("description", text);
    let pricing = read_pricing(fields.within("pricing"));
    if let Some(pricing) = &pricing {
        reading.known.prices.insert(id, (pricing.amount, pricing.currency.clone()));
    }
    let features = features(fields.within("features"));
    let alert_configurations = fields.list("alertConfigurations", |value| config_reference(reading, value));
    let status = fields.or("status", PlanStatus::Active, word(PlanStatus::ALL));
    let metadata = metadata(fields.within("metadata"));
    let (created_at, updated_at) = reading.times(&mut fields);
    drop(fields);
    let whole = || {
        Some(Plan {
            id,
            name: name?,
            description: description?,
            pricing: pricing?,
            features,
            alert_configurations,
            status,
            metadata,
            created_at,
            updated_at,
        })
    };
    reading.add(Collection::SubscriptionPlans, whole());
}

fn read_pricing(mut fields: InputFields<'_>) -> Option<Pricing> {
    let amount = fields.read_required("amount", amount);
    let currency = fields.or("currency", "INR".to_owned(), currency);
    let mut term = fields.within("duration");
    let months = term.read_required("months", whole(1, 1_200));
    let days = term.or("days", Count(0), whole(0, 36_500));
    Some(Pricing { amount: amount?, currency, duration: PlanDuration { months: months?, days } })
}

fn features(mut fields: InputFields<'_>) -> Features {
    let defaults = Features::default();
    Features {
        max_alert_configs: fields.or("maxAlertConfigs", defaults.max_alert_configs, whole(-1, i64::MAX)),
        max_open_trades: fields.or("maxOpenTrades", defaults.max_open_trades, whole(1, i64::MAX)),
        priority_support: fields.or("prioritySupport", defaults.priority_support, flag),
        advanced_analytics: fields.or("advancedAnalytics", defaults.advanced_analytics, flag),
    }
}

fn metadata(mut fields: InputFields<'_>) -> PlanMetadata {
    PlanMetadata {
        display_order: fields.or("displayOrder", Count(0), whole(i64::MIN, i64::MAX)),
        is_popular: fields.or("isPopular", false, flag),
        tags: fields.list("tags", text),
    }
}
