//! Configurations and plans.

use alertcast_core::alert_configuration::{
    AlertConfiguration, AlertTypes, AlertValidation, ConfigExtension, ConfigStatistics, PriceValidation, SignalSet,
    TradeManagement,
};
use alertcast_core::id::{ConfigId, PlanId};
use alertcast_core::market::{Symbol, Timeframe};
use alertcast_core::plan::{Features, Plan, PlanDuration, PlanMetadata, Pricing};
use alertcast_core::store::Collection;
use serde_json::Value;

use super::fields::{FieldResult, InputFields};
use super::known_documents::ConfigName;
use super::values::{symbol, text, timeframe};
use super::{EntryAdmission, InputReading, WrongValue, admit, reference};

/// Reads an alert configuration (seed 2.3).
pub(crate) fn config(reading: &mut InputReading<'_>, fields: InputFields<'_>) {
    let mut fields = fields.of(Collection::AlertConfigurations);
    let id = ConfigId(reading.id(&mut fields));
    let symbol: Option<Symbol> = fields.get_required("symbol");
    let timeframe: Option<Timeframe> = fields.get_required("timeframe");
    let strategy: Option<String> = fields.get_required("strategy");
    let key = match (&symbol, timeframe, &strategy) {
        (Some(symbol), Some(timeframe), Some(strategy)) => Some(((symbol.clone(), timeframe, strategy.clone()), id)),
        _ => None,
    };
    let known = &mut reading.known.configs;
    if admit(known, key, reading.skip_existing, &fields, "symbol, timeframe, strategy") == EntryAdmission::Skip {
        return reading.skip(Collection::AlertConfigurations, fields);
    }
    let (name, description) = (fields.get_required("name"), fields.get_optional("description"));
    let trade_management = trade_management(fields.within("tradeManagement"));
    let alert_types = alert_types(fields.within("alertTypes"));
    let validation = validation(fields.within("validation"));
    let status = fields.get_or_default("status");
    let statistics = statistics(fields.within("statistics"));
    let mut extension = fields.within("alertcast");
    let alertcast = ConfigExtension { currency: extension.get_optional("currency"), ..ConfigExtension::default() };
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
            trade_management: trade_management?,
            alert_types: alert_types?,
            validation: validation?,
            status: status?,
            statistics: statistics?,
            created_at,
            updated_at,
            alertcast,
        })
    };
    reading.add(Collection::AlertConfigurations, whole());
}

fn trade_management(mut fields: InputFields<'_>) -> Option<TradeManagement> {
    Some(TradeManagement {
        max_open_trades: fields.get_or_default("maxOpenTrades")?,
        allow_opposite_signals: fields.get_or_default("allowOppositeSignals")?,
        replace_on_same_signal: fields.get_or_default("replaceOnSameSignal")?,
        auto_close_on_tp_sl: fields.get_or_default("autoCloseOnTPSL")?,
    })
}

fn alert_types(mut fields: InputFields<'_>) -> Option<AlertTypes> {
    let (entry, exit) = (signal_set(fields.within("entry")), signal_set(fields.within("exit")));
    Some(AlertTypes { entry: entry?, exit: exit? })
}

fn signal_set(mut fields: InputFields<'_>) -> Option<SignalSet> {
    let enabled = fields.get_or_default("enabled");
    let signals = fields.get_list("signals");
    Some(SignalSet { enabled: enabled?, signals })
}

fn validation(mut fields: InputFields<'_>) -> Option<AlertValidation> {
    let required_fields = fields.get_list("requiredFields");
    let mut price = fields.within("priceValidation");
    let price_validation =
        PriceValidation { enabled: price.get_or_default("enabled")?, tolerance: price.get_or_default("tolerance")? };
    Some(AlertValidation { required_fields, price_validation })
}

fn statistics(mut fields: InputFields<'_>) -> Option<ConfigStatistics> {
    Some(ConfigStatistics {
        total_alerts: fields.get_or_default("totalAlerts")?,
        total_trades: fields.get_or_default("totalTrades")?,
        success_rate: fields.get_or_default("successRate")?,
        last_alert_at: fields.get_optional("lastAlertAt"),
    })
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
pub(crate) fn plan(reading: &mut InputReading<'_>, fields: InputFields<'_>) {
    let mut fields = fields.of(Collection::SubscriptionPlans);
    let id = PlanId(reading.id(&mut fields));
    let name: Option<String> = fields.get_required("name");
    let key = name.clone().map(|name| (name, id));
    if admit(&mut reading.known.plans, key, reading.skip_existing, &fields, "name") == EntryAdmission::Skip {
        return reading.skip(Collection::SubscriptionPlans, fields);
    }
    let description = fields.get_required("description");
    let pricing = read_pricing(fields.within("pricing"));
    if let Some(pricing) = &pricing {
        reading.known.prices.insert(id, (pricing.amount, pricing.currency.clone()));
    }
    let features = features(fields.within("features"));
    let alert_configurations = fields.list("alertConfigurations", |value| config_reference(reading, value));
    let status = fields.get_or_default("status");
    let metadata = metadata(fields.within("metadata"));
    let (created_at, updated_at) = reading.times(&mut fields);
    drop(fields);
    let whole = || {
        Some(Plan {
            id,
            name: name?,
            description: description?,
            pricing: pricing?,
            features: features?,
            alert_configurations,
            status: status?,
            metadata: metadata?,
            created_at,
            updated_at,
        })
    };
    reading.add(Collection::SubscriptionPlans, whole());
}

fn read_pricing(mut fields: InputFields<'_>) -> Option<Pricing> {
    let (amount, currency) = (fields.get_required("amount"), fields.get_or_default("currency"));
    let mut term = fields.within("duration");
    let (months, days) = (term.get_required("months"), term.get_or_default("days"));
    Some(Pricing { amount: amount?, currency: currency?, duration: PlanDuration { months: months?, days: days? } })
}

fn features(mut fields: InputFields<'_>) -> Option<Features> {
    Some(Features {
        max_alert_configs: fields.get_or_default("maxAlertConfigs")?,
        max_open_trades: fields.get_or_default("maxOpenTrades")?,
        priority_support: fields.get_or_default("prioritySupport")?,
        advanced_analytics: fields.get_or_default("advancedAnalytics")?,
    })
}

fn metadata(mut fields: InputFields<'_>) -> Option<PlanMetadata> {
    Some(PlanMetadata {
        display_order: fields.get_or_default("displayOrder")?,
        is_popular: fields.get_or_default("isPopular")?,
        tags: fields.get_list("tags"),
    })
}
