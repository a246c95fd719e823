//! What an operator reads who has named the wrong server.

use std::time::Duration;

use alertcast_core::store::DocumentStore;
use alertcast_mongo::{ConnectError, MongoOptions, MongoStore};
use bson::{Document, doc};
use mongodb::Client;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::uri;

async fn refusal(uri: &str) -> ConnectError {
    let options = MongoOptions { server_selection_timeout: Duration::from_secs(1), ..MongoOptions::default() };
    MongoStore::connect(uri, &options).await.unwrap_err()
}

#[tokio::test]
async fn a_standalone_server_is_refused_with_what_to_do() {
    let port = standalone().await;
    for set in ["", "?replicaSet=rs0"] {
        let error = refusal(&format!("mongodb://127.0.0.1:{port}/{set}")).await;
        assert!(matches!(error, ConnectError::Standalone), "{error:?}");
        let said = error.to_string();
        for word in ["ALERTCAST_STORE", "--replSet rs0", "rs.initiate()", "?replicaSet=rs0"] {
            assert!(said.contains(word), "{said}");
        }
    }
}

#[tokio::test]
async fn the_server_says_how_long_it_keeps_the_locks_of_the_dead() {
    let admin = Client::with_uri_str(uri()).await.unwrap().database("admin");
    let asked = doc! { "getParameter": 1, "transactionLifetimeLimitSeconds": 1 };
    let told = admin.run_command(asked).await.unwrap().get_i32("transactionLifetimeLimitSeconds").unwrap();
    let store = MongoStore::connect(&uri(), &MongoOptions::default()).await.unwrap();
    assert_eq!(store.transaction_lifetime().await, Some(Duration::from_secs(told.try_into().unwrap())));
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_told_soon() {
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let begun = tokio::time::Instant::now();
    let error = refusal(&format!("mongodb://somebody:hunter2@127.0.0.1:{port}/?replicaSet=rs0")).await;
    assert!(begun.elapsed() < Duration::from_secs(10));
    let said = format!("{error} {error:?}");
    assert!(said.contains("ALERTCAST_STORE") && said.contains(&port.to_string()), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
}

#[tokio::test]
async fn a_server_that_never_answers_is_told_soon() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mute = tokio::spawn(async move {
        let mut held = Vec::new();
        loop {
            held.push(listener.accept().await.unwrap());
        }
    });
    let begun = tokio::time::Instant::now();
    let error = refusal(&format!("mongodb://127.0.0.1:{port}")).await;
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert!(matches!(error, ConnectError::Store(_)), "{error:?}");
    mute.abort();
}

#[tokio::test]
async fn a_string_that_is_none_is_not_repeated() {
    for wrong in
        ["mongodb://user:hunter2@", "mongodb://user:hun/ter2@host:27017", "http://user:hunter2@host", "nonsense"]
    {
        let error = refusal(wrong).await;
        assert!(matches!(error, ConnectError::BadUri(_)), "{wrong}: {error:?}");
        let said = format!("{error} {error:?}");
        assert!(!said.contains("hunter2") && !said.contains("ter2"), "{said}");
    }
}

#[tokio::test]
async fn another_replica_sets_name_is_told_with_the_right_one() {
    let wrong = uri().replace("replicaSet=", "replicaSet=not-");
    let error = refusal(&wrong).await;
    assert!(matches!(error, ConnectError::OtherSet { .. }), "{error:?}");
    assert!(uri().contains(&format!("replicaSet={}", found(&error))));
}

fn found(error: &ConnectError) -> &str {
    match error {
        ConnectError::OtherSet { found, .. } => found,
        _ => "",
    }
}

#[tokio::test]
async fn a_server_that_is_too_old_is_refused_with_the_version_that_is_needed() {
    // MongoDB 5.0, and one that the driver does not speak with any more.
    for wire_version in [13, 6] {
        let mut router = hello();
        router.extend(doc! { "msg": "isdbgrid", "maxWireVersion": wire_version });
        let port = server(router, doc! { "ok": 1.0 }).await;
        let error = refusal(&format!("mongodb://127.0.0.1:{port}")).await;
        let said = error.to_string();
        assert!(said.contains("ALERTCAST_STORE") && said.contains("6.0"), "{wire_version}: {said}");
    }
}

#[tokio::test]
async fn a_user_or_password_that_is_not_right_is_told_without_either() {
    let mut router = hello();
    router.extend(doc! { "msg": "isdbgrid", "saslSupportedMechs": ["SCRAM-SHA-256"] });
    let refused =
        doc! { "ok": 0.0, "code": 18, "codeName": "AuthenticationFailed", "errmsg": "Authentication failed." };
    let port = server(router, refused).await;
    let error = refusal(&format!("mongodb://somebody:hunter2@127.0.0.1:{port}/trading_alerts")).await;
    let said = error.to_string();
    assert!(said.contains("ALERTCAST_STORE") && said.contains("password") && said.contains("authSource"), "{said}");
    let all = format!("{said} {error:?}");
    assert!(!all.contains("hunter2") && !all.contains("somebody"), "{all}");
}

#[tokio::test]
async fn a_user_who_may_not_is_told_which_roles_are_needed() {
    let mut router = hello();
    router.extend(doc! { "msg": "isdbgrid" });
    let refused = doc! { "ok": 0.0, "code": 13, "codeName": "Unauthorized", "errmsg": "not authorized" };
    let port = server(router, refused).await;
    let options = MongoOptions { server_selection_timeout: Duration::from_secs(1), ..MongoOptions::default() };
    let store = MongoStore::connect(&format!("mongodb://127.0.0.1:{port}"), &options).await.unwrap();
    let said = store.setup().await.unwrap_err().to_string();
    assert!(said.contains("readWrite") && said.contains("dbAdmin"), "{said}");
}

/// A server that says hello as one without a replica set does. Answers its port.
async fn standalone() -> u16 {
    server(hello(), hello()).await
}

/// A server that says this hello, and answers everything else alike. Answers its port.
async fn server(hello: Document, other: Document) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream, hello.clone(), other.clone()));
        }
    });
    port
}

/// Answers every message in the form in which it was asked.
async fn answer(mut stream: TcpStream, hello: Document, other: Document) -> Option<()> {
    const QUERY: i32 = 2004;
    loop {
        let mut header = [0; 16];
        stream.read_exact(&mut header).await.ok()?;
        let number = |at: usize| i32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let mut body = vec![0; usize::try_from(number(0)).ok()? - header.len()];
        stream.read_exact(&mut body).await.ok()?;
        let (code, mut answer) = if number(12) == QUERY {
            // Flags, cursor, offset, one document.
            (1, [vec![0; 16], 1_i32.to_le_bytes().to_vec()].concat())
        } else {
            // Flags, a section of one document.
            (2013, vec![0; 5])
        };
        let asks_hello = [&b"\x10hello\0"[..], b"\x10isMaster\0", b"\x10ismaster\0", b"\x01hello\0", b"\x08hello\0"];
        let is_hello = asks_hello.iter().any(|name| body.windows(name.len()).any(|window| window == *name));
        answer.extend(if is_hello { &hello } else { &other }.to_vec().ok()?);
        let length = i32::try_from(header.len() + answer.len()).ok()?;
        let head = [length, 7, number(4), code].map(i32::to_le_bytes).concat();
        stream.write_all(&[head, answer].concat()).await.ok()?;
    }
}

fn hello() -> Document {
    doc! {
        "helloOk": true, "isWritablePrimary": true, "ismaster": true, "maxBsonObjectSize": 16_777_216,
        "maxMessageSizeBytes": 48_000_000, "maxWriteBatchSize": 100_000, "minWireVersion": 0, "maxWireVersion": 25,
        "logicalSessionTimeoutMinutes": 30, "connectionId": 1, "readOnly": false, "ok": 1.0,
    }
}
