//! `import`, from file to store.

use alertcast_core::store::Collection;
use bson::doc;

use super::program::Folder;

const GOOD: &str = r#"
[[alertConfigurations]]
name = "Bitcoin, hourly"
symbol = "btcusdt"
timeframe = "1h"
strategy = "EMA Cross"

[[plans]]
name = "Crypto"
description = "Every Bitcoin signal"
pricing = { amount = 999, duration = { months = 1 } }
alertConfigurations = [{ symbol = "BTCUSDT", timeframe = "1h", strategy = "EMA Cross" }]

[[users]]
email = "Asha@Example.com"
telegram = { userId = 1111, chatId = "1111" }
profile = { name = "Asha", timezone = "Asia/Kolkata" }

[[subscriptions]]
user = "asha@example.com"
plan = "Crypto"
payment = { transactionId = "UPI-0001", amount = 999, status = "approved" }
subscription = { startDate = 2026-01-01T00:00:00Z, endDate = 2027-01-01T00:00:00Z, status = "active" }

[[preferences]]
user = "asha@example.com"
configuration = { symbol = "BTCUSDT", timeframe = "1h", strategy = "EMA Cross" }
preferences = { customSettings = { minPrice = 10000 } }
"#;

const COLLECTIONS: [Collection; 5] = [
    Collection::AlertConfigurations,
    Collection::SubscriptionPlans,
    Collection::Users,
    Collection::UserSubscriptions,
    Collection::UserAlertPreferences,
];

#[tokio::test]
async fn a_file_is_imported_whole_with_mongooses_defaults_and_its_references() {
    let folder = Folder::new();
    folder.file("first.toml", GOOD);
    let ran = folder.run("import first.toml").assert(0);
    assert!(ran.stdout.contains("first.toml is imported"), "{}", ran.stdout);
    let mut documents = Vec::new();
    for collection in COLLECTIONS {
        let mut all = folder.all(collection).await;
        assert_eq!(all.len(), 1, "{collection}");
        documents.push(all.remove(0));
    }
    let ids: Vec<_> = documents.iter().map(|document| document.get_object_id("_id").unwrap()).collect();
    let [config, plan, user, subscription, preference] = documents.try_into().unwrap();
    assert_eq!(config.get_str("symbol").unwrap(), "BTCUSDT");
    assert_eq!(plan.get_array("alertConfigurations").unwrap(), &[ids[0].into()]);
    assert_eq!(user.get_str("email").unwrap(), "asha@example.com");
    assert_eq!(
        user.get_document("preferences").unwrap(),
        &doc! {
            "notifications": { "email": true, "telegram": true, "renewalReminders": true },
            "trading": { "riskLevel": "medium", "maxDailyAlerts": 50 },
        }
    );
    assert_eq!(
        (subscription.get("userId"), subscription.get("subscriptionPlanId")),
        (Some(&ids[2].into()), Some(&ids[1].into()))
    );
    assert_eq!(subscription.get_document("payment").unwrap().get_str("method").unwrap(), "UPI");
    assert_eq!(preference.get("subscriptionId"), Some(&ids[3].into()));
    assert_eq!(
        preference.get_document("preferences").unwrap(),
        &doc! {
            "enabled": true,
            "alertTypes": { "entry": true, "exit": true, "replacement": true },
            "notifications": { "telegram": true, "email": false },
            "customSettings": { "minPrice": 10_000.0 },
        }
    );
}

#[tokio::test]
async fn what_exists_is_refused_or_left_alone() {
    let folder = Folder::new();
    folder.file("first.toml", GOOD);
    folder.run("import first.toml").assert(0);
    let again = folder.run("import first.toml").assert(1);
    assert!(again.stderr.contains("users[0].email is in the store already: users "), "{}", again.stderr);
    let more = GOOD.to_owned() + "[[users]]\nemail = 'b@c.de'\ntelegram = { userId = '2' }\nprofile = { name = 'B' }\n";
    folder.file("more.toml", &more);
    let ran = folder.run("import more.toml --skip-existing").assert(0);
    assert!(ran.stdout.contains("Users           1, 1 left out"), "{}", ran.stdout);
    assert_eq!(folder.all(Collection::Users).await.len(), 2);
    assert_eq!(folder.all(Collection::UserSubscriptions).await.len(), 1);
}

#[tokio::test]
async fn every_mistake_is_told_with_its_place_and_nothing_is_written() {
    let folder = Folder::new();
    let bad = GOOD.replace("Asha@Example.com", "asha").replace("amount = 999, status", "amount = 5, status");
    folder.file("bad.toml", &bad);
    let ran = folder.run("import bad.toml").assert(1);
    assert_eq!(
        ran.stderr,
        "error: bad.toml has 4 mistakes; nothing was imported\n  \
         users[0].email is \"asha\", which does not fit the pattern of e-mail addresses that the database's contract has (seed 7.1), \
         ^[a-zA-Z0-9._%+-]+@[a-zA-Z0-9.-]+\\.[a-zA-Z]{2,}$\n  \
         subscriptions[0].user names no user, neither of the file nor of the store\n  \
         subscriptions[0].payment.amount is 5 INR, but the plan's price is 999 INR\n  \
         preferences[0].user names no user, neither of the file nor of the store\n  \
         fix: mend these places and run the command again\n"
    );
    for collection in COLLECTIONS {
        assert_eq!(folder.all(collection).await.len(), 0, "{collection}");
    }
}

#[test]
fn a_file_that_is_neither_is_named_with_the_place() {
    let folder = Folder::new();
    folder.file("a.json", "{\"users\": [}");
    let ran = folder.run("import a.json").assert(1);
    assert!(ran.stderr.contains("a.json is no JSON") && ran.stderr.contains("line 1"), "{}", ran.stderr);
    folder.file("a.toml", "users = [");
    assert!(folder.run("import a.toml").assert(1).stderr.contains("a.toml is no TOML"));
    assert!(folder.run("import none.toml").assert(1).stderr.contains("none.toml cannot be read"));
}

#[test]
fn a_file_with_nothing_in_it_is_not_said_to_be_imported() {
    let folder = Folder::new();
    folder.file("empty.json", "{\"users\": []}");
    let ran = folder.run("import empty.json").assert(0);
    assert!(
        ran.stdout.contains("There was nothing in empty.json") && !ran.stdout.contains("is imported"),
        "{}",
        ran.stdout
    );
}
