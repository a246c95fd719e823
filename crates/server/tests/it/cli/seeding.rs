//! `seed`: seed 7.2, once.

use alertcast_core::store::Collection;
use bson::{Bson, Document, doc};

use super::program::Folder;

fn password_in(stdout: &str) -> &str {
    let line = stdout.lines().find_map(|line| line.trim().strip_prefix("password ")).unwrap();
    assert!(line.len() >= 20, "{line}");
    line
}

fn without(document: &Document, fields: &[&str]) -> Document {
    let mut document = document.clone();
    for field in fields {
        assert!(document.remove(field).is_some(), "{field}");
    }
    document
}

#[tokio::test]
async fn the_seeds_documents_are_made_once() {
    let folder = Folder::new();
    let first = folder.run("seed").assert(0);
    let password = password_in(&first.stdout).to_owned();
    let second = folder.run("seed").assert(0);
    assert!(second.stdout.contains("Everything was there already"), "{}", second.stdout);
    assert!(!second.stdout.contains("password "), "{}", second.stdout);

    let admins = folder.all(Collection::AdminUsers).await;
    assert_eq!(admins.len(), 1);
    let hash = admins[0].get_str("password").unwrap();
    assert!(hash.starts_with("$2b$12$") && bcrypt::verify(&password, hash).unwrap(), "{hash}");
    assert!(matches!(admins[0].get("createdAt"), Some(Bson::DateTime(_))));
    assert_eq!(
        without(&admins[0], &["_id", "password", "createdAt", "updatedAt"]),
        doc! {
            "username": "admin",
            "email": "admin@tradingalerts.com",
            "profile": { "firstName": "System", "lastName": "Administrator" },
            "permissions": {
                "users": { "view": true, "edit": true, "delete": true },
                "subscriptions": { "view": true, "approve": true, "edit": true },
                "alerts": { "view": true, "configure": true },
                "system": { "settings": true, "logs": true },
            },
            "status": "active",
            "security": { "failedLoginAttempts": 0 },
        }
    );
}

#[tokio::test]
async fn the_seeds_plans_are_those_of_the_seed_with_mongooses_defaults() {
    let folder = Folder::new();
    folder.run("seed").assert(0);
    let plan = |name: &str, description: &str, amount: f64, months: i32, features: Document| {
        doc! {
            "name": name, "description": description,
            "pricing": { "amount": amount, "currency": "INR", "duration": { "months": months, "days": 0 } },
            "features": features, "alertConfigurations": [], "status": "active",
            "metadata": { "displayOrder": 0, "isPopular": false, "tags": [] },
        }
    };
    let features = |configs: i32, trades: i32, support: bool| {
        doc! {
            "maxAlertConfigs": configs, "maxOpenTrades": trades, "prioritySupport": support, "advancedAnalytics": false,
        }
    };
    let plans = folder.all(Collection::SubscriptionPlans).await;
    let plans: Vec<Document> = plans.iter().map(|plan| without(plan, &["_id", "createdAt", "updatedAt"])).collect();
    assert_eq!(
        plans,
        [
            plan("Basic Plan", "Basic trading alerts for beginners", 999.0, 1, features(5, 2, false)),
            plan("Pro Plan", "Advanced trading alerts for professionals", 2499.0, 3, features(-1, 3, true)),
        ]
    );
}

#[tokio::test]
async fn the_password_may_come_from_the_environment() {
    let folder = Folder::new();
    let weak = folder.run_with("seed", &[("ALERTCAST_ADMIN_PASSWORD", "short-1")]).assert(2);
    assert!(!weak.stderr.contains("short-1") && weak.stderr.contains("12 characters"), "{}", weak.stderr);
    let given = "a password of my own";
    let ran = folder.run_with("seed", &[("ALERTCAST_ADMIN_PASSWORD", given)]).assert(0);
    assert!(!ran.stdout.contains(given), "{}", ran.stdout);
    let admins = folder.all(Collection::AdminUsers).await;
    assert!(bcrypt::verify(given, admins[0].get_str("password").unwrap()).unwrap());
}
