//! `admin token`: with a server on the data folder, and without.

use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;

use alertcast::clock::{Clock as _, SystemClock};
use alertcast_core::store::{Collection, DocumentWrite};

use super::program::{Folder, Ran};
use super::serving::Served;

/// The token alone on a line, and nothing of it elsewhere.
fn token(ran: Ran) -> String {
    let ran = ran.assert(0);
    let token = ran.stdout.strip_suffix('\n').unwrap().to_owned();
    assert!(token.starts_with("act_") && token.len() == 68, "{token}");
    assert!(!ran.stderr.contains("act_"), "{}", ran.stderr);
    token
}

async fn asked(served: &Served, token: &str) -> u16 {
    let url = format!("http://{}/api/v1/users", served.address);
    crate::harness::prepare_process();
    reqwest::Client::new().get(url).bearer_auth(token).send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn a_token_opens_the_api_whether_it_was_made_before_the_start_or_after() {
    let folder = Folder::new();
    folder.run("seed").assert(0);
    let before = token(folder.run("admin token --username admin --label before"));
    // What a server that was killed leaves behind.
    drop(UnixListener::bind(folder.path().join("data/control.sock")).unwrap());
    let served = Served::start(&folder);
    let socket = std::fs::metadata(folder.path().join("data/control.sock")).unwrap();
    assert!(socket.file_type().is_socket());
    assert_eq!(socket.permissions().mode() & 0o777, 0o600);
    let after = token(folder.run("admin token --username ADMIN --expires 30"));
    for token in [&before, &after] {
        assert_eq!(asked(&served, token).await, 200);
    }
    assert_eq!(asked(&served, "act_00").await, 401);
    let unknown = folder.run("admin token --username nobody").assert(1);
    assert!(unknown.stderr.contains("there is no administrator \"nobody\""), "{}", unknown.stderr);
    served.signal("TERM");
    let (code, told) = served.ended();
    assert_eq!(code, Some(0), "{told}");
    assert!(!told.contains("act_"), "{told}");
    assert!(!folder.path().join("data/control.sock").exists());

    let kept = folder.all(Collection::ApiTokens).await;
    assert_eq!(kept.len(), 2);
    let labelled: Vec<_> =
        kept.iter().filter(|kept| kept.get_str("label").is_ok_and(|label| label == "before")).collect();
    assert_eq!(labelled.len(), 1);
    let days = |kept: &bson::Document| {
        let millis = |name| kept.get_datetime(name).unwrap().timestamp_millis();
        (millis("expiresAt") - millis("createdAt")) / 86_400_000
    };
    assert_eq!(days(labelled[0]), 90, "where nobody asks for longer");
    assert_eq!(kept.iter().map(days).filter(|days| *days == 30).count(), 1);
    for token in [&before, &after] {
        assert!(kept.iter().all(|kept| !kept.to_string().contains(&token[4..])));
    }
    assert_eq!(folder.all(Collection::AuditLog).await.len(), 2);
}

#[test]
fn a_token_that_would_open_nothing_is_not_made() {
    let folder = Folder::new();
    let nobody = folder.run("admin token --username admin").assert(1);
    assert!(nobody.stderr.contains("there is no administrator"), "{}", nobody.stderr);
    assert_eq!(nobody.stdout, "");
    folder.run("admin token --username admin --expires 0").assert(2);
    folder.run("admin token --username admin --days 99999").assert(2);
    folder.run("admin token").assert(2);
}

#[tokio::test]
async fn a_token_of_before_gets_ninety_days_from_the_next_start() {
    let folder = Folder::new();
    folder.run("seed").assert(0);
    let old = token(folder.run("admin token --username admin --days 365"));
    let id = folder.all(Collection::ApiTokens).await[0].get_object_id("_id").unwrap();
    let endless = DocumentWrite::Update {
        collection: Collection::ApiTokens,
        id,
        set: bson::doc! {},
        unset: vec!["expiresAt".to_owned()],
        expect: Vec::new(),
    };
    folder.write(vec![endless]).await;
    let served = Served::start(&folder);
    assert_eq!(asked(&served, &old).await, 200);
    served.signal("TERM");
    served.ended();
    let kept = folder.all(Collection::ApiTokens).await;
    let end = kept[0].get_datetime("expiresAt").unwrap().timestamp_millis();
    let now = SystemClock::new().now().millis();
    let days = (end - now + 43_200_000) / 86_400_000;
    assert_eq!(days, 90);
}

#[test]
fn the_description_is_printed() {
    let ran = Folder::new().run("openapi").assert(0);
    let described: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(described, alertcast::http::api::description());
}
