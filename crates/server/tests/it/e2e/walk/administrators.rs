//! Administrators: what a token opens after something else came to stand in its administrator.

use std::collections::BTreeSet;
use std::time::Duration;

use alertcast_conformance::scene::insert;
use alertcast_core::admin::{
    Admin, AdminProfile, AdminStatus, AlertPermissions, LoginSecurity, PasswordHash, Permission, Permissions,
    SubscriptionPermissions, SystemPermissions, UserPermissions,
};
use alertcast_core::fixtures;
use alertcast_core::schema::{FieldWeight, contract_fields};
use alertcast_core::store::{Collection, document};
use alertcast_core::token::{ApiToken, TOKEN_BYTES, TokenDigest, token_text};
use bson::oid::ObjectId;
use bson::{Bson, Document};
use serde_json::{Value, json};

use super::{STEP, SpoiltPlace, places};
use crate::e2e::small_world;
use crate::harness::App;
use crate::harness::app::START;

/// One who may see users, and nothing else.
fn sound(n: u32) -> Admin {
    Admin {
        id: fixtures::admin_id(n),
        username: format!("admin{n}"),
        email: format!("admin{n}@example.com"),
        password: PasswordHash("$2b$12$none".to_owned()),
        profile: AdminProfile { first_name: "A".to_owned(), last_name: "B".to_owned(), phone: None },
        permissions: Permissions {
            users: UserPermissions { view: true, edit: false, delete: false },
            subscriptions: SubscriptionPermissions { view: false, approve: false, edit: false },
            alerts: AlertPermissions { view: false, configure: false },
            system: SystemPermissions { settings: false, logs: false },
        },
        status: AdminStatus::Active,
        security: LoginSecurity::default(),
        created_at: START,
        updated_at: START,
    }
}

/// The text of an administrator's token.
fn token(n: u32) -> String {
    let mut random = [0; TOKEN_BYTES];
    random[..4].copy_from_slice(&n.to_be_bytes());
    token_text(random)
}

fn kept_token(n: u32) -> ApiToken {
    ApiToken {
        id: fixtures::oid(40, 0, n),
        admin_id: fixtures::admin_id(n),
        digest: TokenDigest::of(&token(n)),
        label: None,
        expires_at: Some(START + Duration::from_secs(24 * 60 * 60)),
        created_at: START,
    }
}

/// What the API is asked with.
struct Asking {
    client: reqwest::Client,
    url: String,
}

impl Asking {
    async fn get(&self, n: u32, path: &str) -> (u16, Value) {
        let answer = self.client.get(format!("{}{path}", self.url)).bearer_auth(token(n)).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    async fn patch(&self, n: u32, path: &str, patch: &Value) -> (u16, Value) {
        let request = self.client.patch(format!("{}{path}", self.url)).bearer_auth(token(n));
        let answer = request.header("content-type", "application/json").body(patch.to_string()).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }
}

/// What the administrator's document says of permissions: those that it gives, and those that are given by default where
/// it says nothing.
fn said(spoilt: &Document) -> BTreeSet<String> {
    let default = Permissions::default();
    let is_said = |one: &&Permission| {
        let parts: Vec<&str> = one.as_str().split('.').collect();
        let group = spoilt.get("permissions").map(|all| all.as_document().and_then(|all| all.get(parts[0])));
        match group {
            None | Some(None) => default.hold(**one),
            Some(Some(group)) => match group.as_document().and_then(|group| group.get(parts[1])) {
                Some(Bson::Boolean(held)) => *held,
                Some(Bson::Null | Bson::Undefined) | None => default.hold(**one),
                Some(_) => false,
            },
        }
    };
    Permission::ALL.iter().filter(is_said).map(ToString::to_string).collect()
}

/// Whether the place is one that must be right for anybody to be let in.
fn decides(place: &SpoiltPlace) -> bool {
    contract_fields(Collection::AdminUsers)
        .iter()
        .any(|field| field.path == place.path && field.weight == FieldWeight::Decides)
}

fn is_odd(place: &SpoiltPlace) -> bool {
    matches!(place.value, Bson::MinKey | Bson::MaxKey | Bson::Timestamp(_) | Bson::Symbol(_) | Bson::Array(_))
}

/// Gives the fields of an administrator anew, as they were.
fn as_before(n: u32, place: &SpoiltPlace) -> Value {
    let mut whole = json!({
        "username": format!("admin{n}"), "email": format!("admin{n}@example.com"), "profile": {"firstName": "A", "lastName": "B"},
        "permissions": {
            "users": {"view": true, "edit": false, "delete": false},
            "subscriptions": {"view": false, "approve": false, "edit": false},
            "alerts": {"view": false, "configure": false}, "system": {"settings": false, "logs": false},
        },
        "status": "active",
    });
    let top = place.path.split('.').next().unwrap();
    whole.as_object_mut().unwrap().retain(|name, _| name == top);
    whole
}

async fn walk(step: usize) {
    let places = places(Collection::AdminUsers, &[], step);
    let last = u32::try_from(places.len()).unwrap();
    let mut app = App::start(small_world()).await;
    let chief = Admin { permissions: Permissions::ALL, ..sound(0) };
    let (neighbour, ended) = (last + 1, last + 2);
    app.change(
        (0..=ended).map(|n| insert(Collection::AdminUsers, &if n == 0 { chief.clone() } else { sound(n) })).collect(),
    )
    .await;
    app.change((0..=ended).map(|n| insert(Collection::ApiTokens, &kept_token(n))).collect()).await;
    let asking = Asking { client: reqwest::Client::new(), url: app.url("/api/v1") };
    let mut put = Vec::new();
    for (n, place) in (1..=last).zip(&places) {
        let spoilt = place.put_into(&document(&sound(n)).unwrap());
        if app.desk.put_past_checks(Collection::AdminUsers, &spoilt) {
            put.push((n, place, spoilt));
        }
    }
    // A unique value that two have by what somebody else wrote is one's alone.
    let ids: Vec<ObjectId> = put.iter().map(|(n, ..)| fixtures::admin_id(*n).0).collect();
    let kept = app.store.get(Collection::AdminUsers, &ids).await.unwrap();
    let kept: BTreeSet<ObjectId> = kept.iter().map(|kept| kept.get_object_id("_id").unwrap()).collect();
    put.retain(|(n, ..)| kept.contains(&fixtures::admin_id(*n).0));
    assert!(put.len() * 10 > places.len() * 9, "{} of {}", put.len(), places.len());
    let (mut opened, mut shut) = (0, 0);
    for (asked, (n, place, spoilt)) in put.iter().enumerate() {
        // Who shows tokens that open nothing is limited by the minute.
        if asked % 10 == 0 {
            app.advance(Duration::from_secs(60));
        }
        let (status, me) = asking.get(*n, "/me").await;
        let is_open = status == 200;
        assert!(is_open || [401, 409].contains(&status), "{place:?}: {status} {me}");
        if decides(place) && is_odd(place) {
            assert!(!is_open, "{place:?}: nothing is opened by a guess");
        }
        if is_open {
            let held = me["permissions"].as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned());
            let (held, said) = (held.collect::<BTreeSet<_>>(), said(spoilt));
            assert!(held.is_subset(&said), "{place:?}: {held:?}, and it says {said:?}");
            opened += 1;
        } else {
            shut += 1;
        }
        assert_eq!(asking.get(neighbour, "/users").await.0, 200, "{place:?}: others are let in");
    }
    assert!(opened * 5 > places.len() && shut * 5 > places.len(), "{opened} {shut} of {}", places.len());
    let listed = list(&asking).await;
    for (shown, (n, place, _)) in put.iter().enumerate() {
        // A token is limited by the minute, too.
        if shown % 10 == 0 {
            app.advance(Duration::from_secs(60));
        }
        let path = format!("/admin-users/{}", fixtures::admin_id(*n));
        assert!(listed.contains(&fixtures::admin_id(*n).to_string()), "{place:?}: it is listed");
        assert_eq!(asking.get(0, &path).await.0, 200, "{place:?}: it is shown");
        if place.path == "password" || *n % 4 != 0 {
            // Hashing takes long.
            continue;
        }
        let (status, answer) = asking.patch(0, &path, &as_before(*n, place)).await;
        assert_eq!(status, 200, "{place:?}: it is mended: {answer}");
        let kept = app.store.get(Collection::AdminUsers, &[fixtures::admin_id(*n).0]).await.unwrap().remove(0);
        assert_eq!(alertcast_core::reading::trouble_of(Collection::AdminUsers, &kept), None, "{place:?}");
    }
    app.stop_without_books().await;
}

/// Every administrator's id, page by page.
async fn list(asking: &Asking) -> BTreeSet<String> {
    let (mut ids, mut next) = (BTreeSet::new(), String::new());
    loop {
        let (status, page) = asking.get(0, &format!("/admin-users?limit=200{next}")).await;
        assert_eq!(status, 200, "{page}");
        ids.extend(page["items"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()));
        match page["next"].as_str() {
            Some(cursor) => next = format!("&cursor={cursor}"),
            None => return ids,
        }
    }
}

#[tokio::test]
async fn whatever_stands_in_an_administrator_their_token_opens_no_more_than_they_say_and_others_are_let_in() {
    walk(STEP).await;
}

#[tokio::test]
async fn long_each_type_in_each_field_of_an_administrator() {
    walk(1).await;
}

#[tokio::test]
async fn a_token_that_ended_with_a_password_stays_ended_whatever_stands_in_the_moment_of_its_change() {
    let mut app = App::start(small_world()).await;
    let changed =
        LoginSecurity { password_changed_at: Some(START + Duration::from_secs(1)), ..LoginSecurity::default() };
    let of = |n| Admin { security: changed.clone(), ..sound(n) };
    let values = alertcast_core::reading::every_bson_type();
    let last = u32::try_from(values.len()).unwrap();
    app.change((1..=last).map(|n| insert(Collection::AdminUsers, &of(n))).collect()).await;
    app.change((1..=last).map(|n| insert(Collection::ApiTokens, &kept_token(n))).collect()).await;
    let asking = Asking { client: reqwest::Client::new(), url: app.url("/api/v1") };
    for (n, value) in (1..=last).zip(values) {
        assert_eq!(asking.get(n, "/me").await.0, 401);
        for path in ["security.passwordChangedAt", "security"] {
            let place = SpoiltPlace { path, value: value.clone() };
            app.desk.put_past_checks(Collection::AdminUsers, &place.put_into(&document(&of(n)).unwrap()));
            let says_nothing = place.is_nothing() || (path == "security" && matches!(value, Bson::Document(_)));
            let was_before = matches!(value, Bson::DateTime(at) if at.timestamp_millis() <= START.millis());
            let status = asking.get(n, "/me").await.0;
            assert_eq!(status == 200, says_nothing || was_before && path != "security", "{place:?}: {status}");
        }
    }
    app.stop_without_books().await;
}
