//! Who may post, how much and how often.

use std::num::NonZeroU32;

use alertcast::settings::{Settings, TRADINGVIEW_ADDRESSES};
use alertcast_core::store::Collection;
use axum::body::Body;
use futures::stream;
use ipnet::IpNet;
use serde_json::json;

use crate::support::{House, Post, SECRET};

#[tokio::test]
async fn a_wrong_secret_is_refused_and_nothing_is_kept() {
    let house = House::new().await;
    for path in ["/webhook/x", "/webhook/s3cret-of-the-test", "/webhook/%FF", "/webhook/S3CRET-OF-THE-TESTS"] {
        let answer = Post::buy(json!({})).to(path).send(&house).await.assert(401);
        assert_eq!(answer.header("www-authenticate"), "Webhook-Secret");
    }
    house.assert_nothing_kept().await;
}

#[tokio::test]
async fn two_secrets_are_valid_while_one_replaces_the_other() {
    let house = House::with(|settings| settings.webhook.secrets.push("the-new-secret-of-tests".into())).await;
    Post::buy(json!({})).send(&house).await.assert(202);
    Post::buy(json!({})).to("/webhook/the-new-secret-of-tests").send(&house).await.assert(202);
    Post::buy(json!({"n": 1})).to("/webhook/the-new-secret-of-tests/").send(&house).await.assert(202);
    let encoded = format!("/webhook/{}", SECRET.replace('-', "%2D"));
    Post::buy(json!({"n": 2})).to(&encoded).send(&house).await.assert(202);
}

#[tokio::test]
async fn other_methods_and_addresses_are_told_apart() {
    let house = House::new().await;
    let wrong = Post::body("").by("GET").send(&house).await.assert(405);
    assert_eq!(wrong.header("allow"), "POST");
    for path in ["/", "/webhook", "/webhook/", "/webhook/a/b", "/nowhere"] {
        Post::body("").to(path).send(&house).await.assert(404);
    }
    assert_eq!(Post::body("").by("GET").to("/healthz").send(&house).await.assert(200).body, json!({"status": "alive"}));
    assert_eq!(
        Post::body("").by("GET").to("/readyz").send(&house).await.assert(200).body,
        json!({"status": "ready", "degraded": []})
    );
}

fn tradingview_only(settings: &mut Settings) {
    settings.webhook.allowed_addresses = TRADINGVIEW_ADDRESSES.map(IpNet::from).to_vec();
}

#[tokio::test]
async fn only_allowed_addresses_may_post_and_the_refusal_says_what_to_change() {
    let house = House::with(tradingview_only).await;
    Post::buy(json!({})).from("52.89.214.238").send(&house).await.assert(202);
    Post::buy(json!({"n": 1})).from("::ffff:52.32.178.7").send(&house).await.assert(202);
    let answer = Post::buy(json!({"n": 2})).header("x-forwarded-for", "52.89.214.238").send(&house).await.assert(403);
    let detail = answer.body["detail"].as_str().unwrap();
    for part in ["198.51.100.7", "webhook.allowed_addresses", "webhook.trusted_proxies"] {
        assert!(detail.contains(part), "{detail}");
    }
    let kept = house.only(Collection::RejectedWebhooks).await;
    assert_eq!((kept.get_i32("status").unwrap(), kept.get_str("ipAddress").unwrap()), (403, "198.51.100.7"));
    // Whoever has no secret learns nothing about addresses.
    Post::buy(json!({})).to("/webhook/x").send(&house).await.assert(401);
}

#[tokio::test]
async fn behind_a_trusted_proxy_the_forwarded_address_counts() {
    let house = House::with(|settings| {
        tradingview_only(settings);
        settings.webhook.trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()];
    })
    .await;
    let behind =
        |n: i64, forwarded: &str| Post::buy(json!({"n": n})).from("10.0.0.1").header("x-forwarded-for", forwarded);
    behind(1, "52.89.214.238").send(&house).await.assert(202);
    behind(2, "203.0.113.1, 52.89.214.238, 10.9.9.9").send(&house).await.assert(202);
    behind(3, "52.89.214.238, 203.0.113.1").send(&house).await.assert(403);
    Post::buy(json!({"n": 4})).from("10.0.0.1").send(&house).await.assert(403);
    let kept = house.all(Collection::Alerts).await;
    assert_eq!(kept[0].get_document("webhook").unwrap().get_str("ipAddress").unwrap(), "52.89.214.238");
}

#[tokio::test]
async fn where_a_key_is_set_every_request_must_be_signed_with_it() {
    let house = House::with(|settings| settings.webhook.hmac_key = Some("key-of-the-relay".into())).await;
    let body = "symbol=BTCUSDT\ntimeframe=1h\nstrategy=EMA Cross\nsignal=buy\nprice=64000";
    // printf '%s' BODY | openssl dgst -sha256 -hmac key-of-the-relay
    let signature = "0444f1cbca187aa22982b9969fdbe4ae1bc078ed65d2d59eb71ea2f5980710a4";
    for wrong in ["", "00", "sha256=zz", &"0".repeat(64)] {
        let answer = Post::body(body).header("x-signature", wrong).send(&house).await.assert(401);
        assert_eq!(answer.header("www-authenticate"), "X-Signature");
    }
    Post::body(body).send(&house).await.assert(401);
    Post::body(format!("{body} ")).header("x-signature", signature).send(&house).await.assert(401);
    assert_eq!(house.kept().await, (0, 6));
    Post::body(body).header("x-signature", &format!("sha256={signature}")).send(&house).await.assert(202);
    let kept = house.only(Collection::Alerts).await;
    assert_eq!(kept.get_document("webhook").unwrap().get_str("signature").unwrap(), signature);
}

#[tokio::test]
async fn a_right_secret_meets_no_limit_whatever_comes_from_its_address() {
    let house = House::with(|settings| settings.webhook.requests_a_minute = NonZeroU32::new(3).unwrap()).await;
    for n in 0..3 {
        Post::buy(json!({})).to(&format!("/webhook/guess-{n}")).send(&house).await.assert(401);
    }
    let answer = Post::buy(json!({})).to("/webhook/guess-3").send(&house).await.assert(429);
    assert_eq!((answer.header("retry-after"), answer.header("connection")), ("20", "close"));
    for n in 0..300 {
        Post::buy(json!({"n": n})).send(&house).await.assert(202);
    }
    assert_eq!(house.kept().await, (300, 0));
}

#[tokio::test]
async fn guessing_secrets_is_slowed_down_and_costs_nobody_else_anything() {
    let house = House::new().await;
    let guess = |n: i32| Post::buy(json!({})).to(&format!("/webhook/guess-{n}"));
    for n in 0..60 {
        guess(n).send(&house).await.assert(401);
    }
    let answer = guess(60).send(&house).await.assert(429);
    assert_eq!(answer.header("retry-after"), "1");
    Post::buy(json!({})).send(&house).await.assert(202);
}

/// An alert of exactly so many bytes.
fn of_size(bytes: usize) -> String {
    let alert = crate::support::buy(json!({}));
    format!("{alert}{}", " ".repeat(bytes - alert.len()))
}

#[tokio::test]
async fn sixty_four_kilobytes_are_read_and_not_one_more() {
    let house = House::new().await;
    Post::body(of_size(64 * 1024)).send(&house).await.assert(202);
    let answer = Post::body(of_size(64 * 1024 + 1)).send(&house).await.assert(413);
    assert_eq!(answer.header("connection"), "close");
    let kept = house.only(Collection::RejectedWebhooks).await;
    assert_eq!((kept.get_i32("status").unwrap(), kept.get_str("body").unwrap().len()), (413, 64 * 1024));
}

#[tokio::test]
async fn a_body_in_pieces_is_bounded_too() {
    let house = House::new().await;
    let pieces = (0..10_000).map(|_| Ok::<_, std::io::Error>(vec![b'x'; 1_000]));
    Post::body(Body::from_stream(stream::iter(pieces))).send(&house).await.assert(413);
}

#[tokio::test]
async fn a_sender_that_breaks_off_leaves_nothing() {
    let house = House::new().await;
    let pieces = [Ok(b"{\"symbol\":".to_vec()), Err(std::io::Error::other("gone"))];
    Post::body(Body::from_stream(stream::iter(pieces))).send(&house).await.assert(503);
    house.assert_nothing_kept().await;
}
