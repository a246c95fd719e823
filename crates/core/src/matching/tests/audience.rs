//! The audience stays true under any order of changes.

use std::collections::{BTreeMap, BTreeSet};

use bson::doc;
use proptest::prelude::*;

use super::world::*;
use crate::alert_configuration::{AlertConfiguration, ConfigStatus};
use crate::id::UserId;
use crate::market::{Symbol, Timeframe};
use crate::matching::audience::{Audience, AudienceEntity};
use crate::money::Count;
use crate::preference::AlertChoices;
use crate::store::Collection;
use crate::trade::fixtures::price;
use crate::user::{NotificationChannels, RiskLevel, UserStatus};

fn named(n: u32, symbol: &str, strategy: &str) -> AlertConfiguration {
    AlertConfiguration { symbol: Symbol::new(symbol).unwrap(), strategy: strategy.to_owned(), ..config(n) }
}

fn found(audience: &Audience, symbol: &str, strategy: &str) -> Option<u32> {
    let found = audience.find_config(&Symbol::new(symbol).unwrap(), Timeframe::H1, strategy)?;
    (1..9).find(|n| config_id(*n) == found.id)
}

#[test]
fn a_configuration_is_found_by_its_name() {
    let mut audience = Audience::new();
    audience.put(AudienceEntity::Config(named(1, "BTCUSD", " EMA cross ")));
    assert_eq!(found(&audience, "btcusd", "EMA cross"), Some(1));
    assert_eq!(found(&audience, "BTCUSD", "  EMA cross\n"), Some(1));
    assert_eq!(found(&audience, "BTCUSD", "ema cross"), None);
    assert_eq!(found(&audience, "NASDAQ:BTCUSD", "EMA cross"), None);
    assert!(audience.find_config(&Symbol::new("BTCUSD").unwrap(), Timeframe::M1, "EMA cross").is_none());

    // Another takes its name before its own change of name is heard of.
    audience.put(AudienceEntity::Config(named(2, "BTCUSD", "EMA cross")));
    audience.put(AudienceEntity::Config(named(1, "BTCUSD", "MACD")));
    assert_eq!((found(&audience, "BTCUSD", "EMA cross"), found(&audience, "BTCUSD", "MACD")), (Some(2), Some(1)));

    // Two of one name: the active one.
    audience.put(AudienceEntity::Config(AlertConfiguration {
        status: ConfigStatus::Inactive,
        ..named(1, "BTCUSD", "EMA cross")
    }));
    assert_eq!(found(&audience, "BTCUSD", "EMA cross"), Some(2));
    audience.remove(Collection::AlertConfigurations, config_id(2).0);
    assert_eq!(found(&audience, "BTCUSD", "EMA cross"), Some(1));
    audience.remove(Collection::AlertConfigurations, config_id(1).0);
    assert_eq!(found(&audience, "BTCUSD", "EMA cross"), None);
    assert!(audience.config(config_id(1)).is_none());
}

#[test]
fn an_alert_finds_its_configuration_by_what_its_feed_and_exchange_say() {
    let mut audience = Audience::new();
    audience.put(AudienceEntity::Config(named(1, "NSE:RELIANCE", "EMA Cross")));
    audience.put(AudienceEntity::Config(named(2, "TCS", "EMA Cross")));
    audience.put(AudienceEntity::Config(named(3, "NASDAQ:AAPL", "EMA Cross")));
    audience.put(AudienceEntity::Config(named(4, "AAPL", "EMA Cross")));
    let alert = |fields: serde_json::Value| {
        let mut body = serde_json::json!({"timeframe": "1h", "strategy": "EMA Cross", "signal": "BUY", "price": 1});
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        crate::alert::payload::read(body.to_string().as_bytes(), "").unwrap()
    };
    let table = [
        (serde_json::json!({"symbol": "NSE:RELIANCE"}), Some(1), None),
        (serde_json::json!({"symbol": "NSE_DLY:RELIANCE"}), Some(1), Some("NSE_DLY")),
        (serde_json::json!({"symbol": "RELIANCE", "exchange": "NSE"}), Some(1), None),
        (serde_json::json!({"symbol": "reliance", "exchange": "nse_dly"}), Some(1), Some("NSE_DLY")),
        (serde_json::json!({"symbol": "RELIANCE"}), None, None),
        (serde_json::json!({"symbol": "NSE_DLY:TCS"}), Some(2), Some("NSE_DLY")),
        (serde_json::json!({"symbol": "BSE_DL:TCS"}), Some(2), Some("BSE_DL")),
        (serde_json::json!({"symbol": "AAPL", "exchange": "NASDAQ"}), Some(4), None),
        (serde_json::json!({"symbol": "NASDAQ:AAPL", "exchange": "NYSE"}), Some(3), None),
        (serde_json::json!({"symbol": "NYSE:AAPL"}), Some(4), None),
    ];
    for (fields, expected, feed) in table {
        let payload = alert(fields.clone());
        let found = audience.config_of(&payload).map(|config| (1..9).find(|n| config_id(*n) == config.id).unwrap());
        assert_eq!((found, payload.delayed_feed().as_deref()), (expected, feed), "{fields}");
    }
    for strategy in [
        "ema cross",
        "EMA  Cross",
        "EMA\u{a0}Cross",
        "EMA Cross.",
        "\"EMA Cross\"",
        "EMA_Cross",
        "EMA Cross\u{200b}",
        "EMACross",
        "EMA/Cross",
        "EMA\tCross",
        "EMA+Cross",
    ] {
        let payload = alert(serde_json::json!({"symbol": "NSE_DLY:TCS", "strategy": strategy}));
        assert!(audience.config_of(&payload).is_none(), "{strategy}");
        assert_eq!(audience.strategy_meant(&payload), Some("EMA Cross"), "{strategy}");
    }
    for (symbol, strategy) in [("TCS", "EMA"), ("TCS", "EMA Cross 2"), ("TCS", "!"), ("INFY", "ema cross")] {
        let payload = alert(serde_json::json!({"symbol": symbol, "strategy": strategy}));
        assert_eq!(audience.strategy_meant(&payload), None, "{symbol} {strategy}");
    }
}

#[test]
fn a_user_is_seen_as_decisions_and_couriers_need_it() {
    let mut audience = Audience::new();
    let mut whole = user(7);
    whole.status = UserStatus::Suspended;
    whole.telegram.chat_id = Some(" -1007 ".to_owned());
    whole.alertcast.bot_id = Some("77".to_owned());
    whole.alertcast.chat_blocked_at = Some(NOON);
    whole.preferences.notifications = NotificationChannels { email: false, telegram: true, renewal_reminders: false };
    whole.preferences.trading.risk_level = RiskLevel::Low;
    whole.preferences.trading.max_daily_alerts = Count(5);
    whole.profile.timezone = "asia/kolkata".to_owned();
    audience.put(AudienceEntity::User(whole.clone()));
    let seen = audience.user(whole.id).unwrap();
    assert_eq!((seen.id, seen.status, seen.chat_id, seen.bot_id), (whole.id, whole.status, Some("-1007"), Some("77")));
    assert_eq!((seen.chat_blocked, seen.email, seen.max_daily_alerts), (true, "user7@example.com", 5));
    assert_eq!(
        (seen.notifications.clone(), seen.risk_level),
        (whole.preferences.notifications.clone(), RiskLevel::Low)
    );
    assert_eq!(seen.zone.iana_name(), Some("Asia/Kolkata"));

    whole.telegram.chat_id = Some("  ".to_owned());
    whole.alertcast.chat_blocked_at = None;
    whole.profile.timezone = "Nowhere".to_owned();
    audience.put(AudienceEntity::User(whole.clone()));
    let seen = audience.user(whole.id).unwrap();
    assert_eq!((seen.chat_id, seen.chat_blocked, seen.zone.iana_name()), (None, false, Some("UTC")));
    audience.remove(Collection::Users, whole.id.0);
    assert!(audience.user(whole.id).is_none());
}

#[test]
fn a_preference_is_the_default_until_one_is_kept() {
    let mut audience = Audience::new();
    let none = audience.preference(user_id(1), config_id(1));
    assert_eq!((none.id, none.choices), (None, AlertChoices::default()));
    let mut choices = AlertChoices::default();
    choices.custom_settings.max_price = Some(price("9.5"));
    choices.alert_types.replacement = false;
    let kept = preference(1, 1, choices.clone());
    audience.put(AudienceEntity::Preference(kept.clone()));
    let seen = audience.preference(user_id(1), config_id(1));
    assert_eq!((seen.id, seen.choices), (Some(kept.id), choices));
    assert_eq!(audience.preference(user_id(1), config_id(2)).id, None);
    audience.remove(Collection::UserAlertPreferences, kept.id.0);
    assert_eq!(audience.preference(user_id(1), config_id(1)).id, None);
}

#[test]
fn documents_are_read_by_their_collection() {
    let read = |collection, document| AudienceEntity::read(collection, &crate::reading::pack(&document).unwrap());
    let document = crate::store::document(&user(1)).unwrap();
    let user_read = read(Collection::Users, document).unwrap().unwrap();
    assert_eq!((user_read.value, user_read.flaws), (AudienceEntity::User(user(1)), Vec::new()));
    assert_eq!(read(Collection::Trades, doc! {}), Ok(None));
    assert!(read(Collection::Users, doc! { "_id": 1 }).is_err());
}

/// One change of the audience, by small numbers.
#[derive(Debug, Clone)]
enum Turn {
    Plan { n: u32, configs: Vec<u32> },
    Subscription { n: u32, user: u32, plan: u32 },
    User { n: u32 },
    Preference { user: u32, config: u32 },
    Remove { collection: Collection, n: u32 },
}

fn any_turn() -> impl Strategy<Value = Turn> {
    let n = || 1_u32..5;
    let collection = proptest::sample::select(Collection::ALL);
    prop_oneof![
        (n(), proptest::collection::vec(n(), 0..4)).prop_map(|(n, configs)| Turn::Plan { n, configs }),
        (n(), n(), n()).prop_map(|(n, user, plan)| Turn::Subscription { n, user, plan }),
        n().prop_map(|n| Turn::User { n }),
        (n(), n()).prop_map(|(user, config)| Turn::Preference { user, config }),
        (collection, n()).prop_map(|(collection, n)| Turn::Remove { collection, n }),
    ]
}

/// The same in the plainest way.
#[derive(Debug, Default)]
struct Model {
    plans: BTreeMap<u32, Vec<u32>>,
    subscriptions: BTreeMap<u32, (u32, u32)>,
    users: BTreeSet<u32>,
    preferences: BTreeSet<(u32, u32)>,
}

impl Model {
    fn apply(&mut self, turn: &Turn) {
        match turn {
            Turn::Plan { n, configs } => {
                self.plans.insert(*n, configs.clone());
            }
            Turn::Subscription { n, user, plan } => {
                self.subscriptions.insert(*n, (*user, *plan));
            }
            Turn::User { n } => {
                self.users.insert(*n);
            }
            Turn::Preference { user, config } => {
                self.preferences.insert((*user, *config));
            }
            Turn::Remove { collection, n } => match collection {
                Collection::SubscriptionPlans => self.plans.retain(|plan, _| plan != n),
                Collection::UserSubscriptions => self.subscriptions.retain(|held, _| held != n),
                Collection::Users => self.users.retain(|user| user != n),
                Collection::UserAlertPreferences => self.preferences.retain(|kept| *kept != (*n, *n)),
                _ => {}
            },
        }
    }

    fn candidates(&self, config: u32) -> Vec<UserId> {
        let lists = |plan: &u32| self.plans.get(plan).is_some_and(|configs| configs.contains(&config));
        let users = self.subscriptions.values().filter(|(_, plan)| lists(plan)).map(|(user, _)| user_id(*user));
        users.collect::<BTreeSet<_>>().into_iter().collect()
    }
}

fn apply(audience: &mut Audience, turn: &Turn) {
    match turn {
        Turn::Plan { n, configs } => audience.put(AudienceEntity::Plan(plan(*n, configs))),
        Turn::Subscription { n, user, plan } => {
            audience.put(AudienceEntity::Subscription(subscription(*n, *user, *plan)))
        }
        Turn::User { n } => audience.put(AudienceEntity::User(user(*n))),
        Turn::Preference { user, config } => {
            audience.put(AudienceEntity::Preference(preference(*user, *config, AlertChoices::default())));
        }
        Turn::Remove { collection, n } => {
            let id = match collection {
                Collection::SubscriptionPlans => plan_id(*n).0,
                Collection::UserSubscriptions => subscription_id(*n).0,
                Collection::UserAlertPreferences => preference(*n, *n, AlertChoices::default()).id.0,
                _ => user_id(*n).0,
            };
            audience.remove(*collection, id);
        }
    }
}

proptest! {
    #[test]
    fn candidates_are_who_holds_a_subscription_to_a_listing_plan(
        turns in proptest::collection::vec(any_turn(), 0..40),
    ) {
        let (mut audience, mut model) = (Audience::new(), Model::default());
        for turn in &turns {
            apply(&mut audience, turn);
            model.apply(turn);
            for n in 1..5 {
                prop_assert_eq!(audience.candidates(config_id(n)), model.candidates(n));
                prop_assert_eq!(audience.user(user_id(n)).is_some(), model.users.contains(&n));
                let plans: Vec<u32> = audience.subscriptions(user_id(n))
                    .map(|held| (1..5).find(|plan| plan_id(*plan) == held.plan).unwrap())
                    .collect();
                let own = model.subscriptions.values().filter(|(user, _)| *user == n);
                let want: Vec<u32> = own.map(|(_, plan)| *plan).collect();
                prop_assert_eq!(plans, want);
                for config in 1..5 {
                    let kept = audience.preference(user_id(n), config_id(config)).id.is_some();
                    prop_assert_eq!(kept, model.preferences.contains(&(n, config)));
                }
            }
        }
        let size = audience.size();
        prop_assert_eq!(
            (size.users, size.plans, size.subscriptions, size.preferences),
            (model.users.len(), model.plans.len(), model.subscriptions.len(), model.preferences.len())
        );
    }
}
