//! Lists: filters, sorts, pages.

use alertcast_core::store::Collection;
use serde_json::{Value, json};

use super::office::{CONFIG, Office, config, hex, plan, subscription, user};

/// All items, page by page; `between` happens after the first.
async fn pages(office: &Office, query: &str, between: impl AsyncFnOnce()) -> Vec<Value> {
    let mut between = Some(between);
    let (mut items, mut next) = (Vec::new(), None::<String>);
    loop {
        let cursor = next.take().map(|next| format!("&cursor={next}")).unwrap_or_default();
        let page = office.get(&format!("{query}{cursor}")).await.assert(200);
        items.extend(page.body["items"].as_array().unwrap().clone());
        let Some(more) = page.body["next"].as_str() else {
            assert_eq!(page.header("link"), "");
            return items;
        };
        assert!(page.header("link").ends_with("; rel=\"next\""), "{}", page.header("link"));
        assert!(page.header("link").contains(more));
        next = Some(more.to_owned());
        if let Some(between) = between.take() {
            between().await;
        }
    }
}

fn names(items: &[Value]) -> Vec<&str> {
    items.iter().map(|item| item["email"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn pages_hold_what_stays_once_while_others_come_and_go() {
    let office = Office::new().await;
    let mut ids = Vec::new();
    for n in 1..=7 {
        ids.push(office.made("/users", user(n)).await);
    }
    let all = pages(&office, "/users?sort=email&limit=2", async || {
        office.delete(&format!("/users/{}", ids[1])).await.assert(204);
        office.delete(&format!("/users/{}", ids[3])).await.assert(204);
        office.made("/users", user(0)).await;
        office.made("/users", user(8)).await;
    })
    .await;
    assert_eq!(
        names(&all),
        ["u1", "u2", "u3", "u5", "u6", "u7", "u8"].map(|name| format!("{name}@example.com")).iter().collect::<Vec<_>>()
    );
    let back = pages(&office, "/users?sort=-email&limit=3", async || {}).await;
    assert_eq!(names(&back).first(), Some(&"u8@example.com"));
}

#[tokio::test]
async fn filters_go_by_readable_names() {
    let office = Office::new().await;
    let customer = office.customer(1).await;
    let other = office.customer(2).await;
    let mut pending = subscription(&other.user, &other.plan, "T3");
    pending["payment"]["status"] = json!("pending");
    pending["subscription"] = json!({});
    office.made("/user-subscriptions", pending).await;
    for (query, count) in [
        (format!("/user-subscriptions?userId={}", other.user), 2),
        (format!("/user-subscriptions?subscriptionPlanId={}", customer.plan), 1),
        ("/user-subscriptions?paymentStatus=pending".to_owned(), 1),
        ("/user-subscriptions?subscriptionStatus=active".to_owned(), 2),
        ("/user-subscriptions?transactionId=T3".to_owned(), 1),
        ("/users?telegramUserId=1001".to_owned(), 1),
        ("/users?email=U1@Example.com".to_owned(), 1),
        ("/users?chatId=1002&status=active".to_owned(), 1),
        ("/users?status=suspended".to_owned(), 0),
        ("/alert-configurations?symbol=btcusdt".to_owned(), 1),
        ("/subscription-plans?sort=-amount".to_owned(), 2),
        ("/trades?status=open".to_owned(), 0),
        ("/deliveries?state=dead&sort=-endedAt".to_owned(), 0),
        ("/alerts?signal=BUY".to_owned(), 0),
        ("/rejected-webhooks".to_owned(), 0),
        ("/user-alert-preferences?enabled=true".to_owned(), 0),
        ("/admin-users?username=Chief".to_owned(), 1),
    ] {
        let found = office.get(&query).await.assert(200).body;
        assert_eq!(found["items"].as_array().unwrap().len(), count, "{query}");
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_query_is_named() {
    let office = Office::new().await;
    office.made("/alert-configurations", config("A")).await;
    office.made("/subscription-plans", plan("P")).await;
    let cursor =
        office.get("/alert-configurations?limit=1").await.assert(200).body["next"].as_str().unwrap().to_owned();
    for (query, problem) in [
        ("limit=0".to_owned(), "limit: invalid"),
        ("limit=201".to_owned(), "limit: invalid"),
        ("limit=x".to_owned(), "limit: invalid"),
        ("sort=strategy".to_owned(), "sort: invalid"),
        ("status=open".to_owned(), "status: invalid"),
        ("nothing=1".to_owned(), "nothing: unknown_field"),
        ("status=active&status=active".to_owned(), "status: invalid"),
        ("cursor=xyz".to_owned(), "cursor: invalid"),
        (format!("cursor={cursor}&status=active"), "cursor: invalid"),
        (format!("cursor={cursor}&sort=-id"), "cursor: invalid"),
    ] {
        let answer = office.get(&format!("/alert-configurations?{query}")).await.assert(400);
        assert_eq!(answer.problems(), [problem], "{query}");
    }
    assert_eq!(office.get(&format!("/users?cursor={cursor}")).await.assert(400).problems(), ["cursor: invalid"]);
    assert_eq!(office.get("/deliveries?sort=endedAt").await.assert(400).problems(), ["sort: invalid"]);
    assert_eq!(
        office.get("/users?telegramUserId=1&limit=5&userId=x").await.assert(400).problems(),
        ["userId: unknown_field",]
    );
    assert_eq!(office.get("/trades?userId=x").await.assert(400).problems(), ["userId: invalid"]);
    office.get(&format!("/alert-configurations?cursor={cursor}&limit=200")).await.assert(200);
    assert_eq!(
        office.get(&format!("/alert-configurations/{}", hex(CONFIG))).await.assert(200).body["symbol"],
        "BTCUSDT"
    );
}

#[tokio::test]
async fn the_fields_that_are_asked_for_come_alone_with_the_id() {
    let office = Office::new().await;
    let customer = office.customer(1).await;
    let path = format!("/users/{}", customer.user);
    let whole = office.get(&path).await.assert(200);
    let part = office.get(&format!("{path}?fields=profile.name,telegram")).await.assert(200);
    let telegram = &whole.body["telegram"];
    assert_eq!(part.body, json!({"id": customer.user, "telegram": telegram, "profile": {"name": "User 1"}}));
    assert_eq!(part.header("etag"), whole.header("etag"), "a change may be bound to what was read in part");
    let page = office.get("/users?fields=status&limit=1").await.assert(200);
    assert_eq!(page.body["items"], json!([{"id": customer.user, "status": "active"}]));
    let admin = office.get("/admin-users?fields=username,profile.phone").await.assert(200).body;
    assert_eq!(admin["items"][0]["username"], "chief");
    assert_eq!(admin["items"][0].as_object().unwrap().len(), 2, "what a document lacks is left out");
    for wrong in [
        "/admin-users?fields=password",
        "/users?fields=",
        "/users?fields=emial",
        "/alerts?fields=processing.matchedUsers",
        &format!("{path}?fields=email&fields=status"),
    ] {
        assert_eq!(office.get(wrong).await.assert(400).problems(), ["fields: invalid"], "{wrong}");
    }
    assert_eq!(office.get(&format!("{path}?field=email")).await.assert(400).problems(), ["field: unknown_field"]);
}

#[tokio::test]
async fn a_page_s_link_keeps_the_fields_and_a_cursor_goes_with_others() {
    let office = Office::new().await;
    for n in 1..=3 {
        office.made("/users", user(n)).await;
    }
    let all = pages(&office, "/users?sort=email&limit=2&fields=email", async || {}).await;
    assert_eq!(names(&all), ["u1@example.com", "u2@example.com", "u3@example.com"]);
    let first = office.get("/users?limit=1&fields=email").await.assert(200);
    assert!(first.header("link").contains("fields=email"), "{}", first.header("link"));
    let next = first.body["next"].as_str().unwrap();
    office.get(&format!("/users?limit=1&fields=status&cursor={next}")).await.assert(200);
}

#[tokio::test]
async fn a_list_is_bounded_by_moments_that_it_can_be_sorted_by() {
    let office = Office::new().await;
    for n in 1..=5 {
        let id = office.made("/users", user(n)).await;
        let at = jiff::Timestamp::from_millisecond(1_767_225_600_000 + i64::from(n) * 1_000).unwrap();
        let created = bson::doc! { "createdAt": bson::Bson::from(alertcast_core::time::Time::from(at)) };
        office.house.set(Collection::Users, id.parse().unwrap(), created).await;
    }
    // They were made at the seconds 1 to 5 of 2026.
    for (query, expected) in [
        ("createdAt[gte]=2026-01-01T00:00:02Z&createdAt[lt]=2026-01-01T00:00:04Z", &["u2", "u3"][..]),
        ("createdAt[gt]=2026-01-01T00:00:02Z&createdAt[lte]=2026-01-01T00:00:04Z", &["u3", "u4"]),
        ("createdAt[gt]=2026-01-01T05:30:04%2B05:30", &["u5"]),
        ("createdAt%5Bgte%5D=2026-01-01&createdAt[lt]=2026-01-02&sort=-createdAt", &["u5", "u4", "u3", "u2", "u1"]),
        ("createdAt[lt]=2026-01-01", &[]),
        ("createdAt[gte]=2026-01-01T00:00:02Z&status=active&createdAt[gt]=2026-01-01T00:00:03Z", &["u4", "u5"]),
    ] {
        let found = pages(&office, &format!("/users?{query}&limit=2"), async || {}).await;
        let expected: Vec<String> = expected.iter().map(|name| format!("{name}@example.com")).collect();
        assert_eq!(names(&found), expected, "{query}");
    }
    for (query, problem) in [
        ("users?createdAt[gte]=yesterday", "createdAt[gte]: invalid"),
        ("users?createdAt[gte]=", "createdAt[gte]: invalid"),
        ("users?createdAt[ge]=2026-01-01", "createdAt[ge]: unknown_field"),
        ("users?updatedAt[gte]=2026-01-01", "updatedAt[gte]: unknown_field"),
        ("users?createdAt[gte]=2026-01-01&sort=email", "sort: invalid"),
        ("trades?openedAt[gte]=2026-01-01&closedAt[lt]=2026-01-01", "closedAt[lt]: invalid"),
        ("deliveries?endedAt[gte]=2026-01-01", "sort: invalid"),
    ] {
        assert_eq!(office.get(&format!("/{query}")).await.assert(400).problems(), [problem], "{query}");
    }
    let first = office.get("/users?createdAt[gte]=2026-01-01&limit=1").await.assert(200).body;
    let cursor = first["next"].as_str().unwrap();
    let other = office.get(&format!("/users?createdAt[gte]=2026-01-02&limit=1&cursor={cursor}")).await.assert(400);
    assert_eq!(other.problems(), ["cursor: invalid"]);
    for query in ["alerts?receivedAt[lt]=2026-01-01", "audit-log?at[gte]=2026-01-01", "trades?closedAt[gte]=2026-01-01"]
    {
        office.get(&format!("/{query}")).await.assert(200);
    }
}

#[tokio::test]
async fn users_are_searched_by_what_they_are_called() {
    let office = Office::new().await;
    for n in 1..=12 {
        office.made("/users", user(n)).await;
    }
    for (query, expected) in [
        ("search=user 12&limit=5", &["u12"][..]),
        ("search=U1@example", &["u1"]),
        ("search=1011", &["u11"]),
        ("search=User 1&sort=email&limit=2", &["u10", "u11", "u12", "u1"]),
        ("search=nobody", &[]),
    ] {
        let found = pages(&office, &format!("/users?{}", query.replace(' ', "%20")), async || {}).await;
        let expected: Vec<String> = expected.iter().map(|name| format!("{name}@example.com")).collect();
        assert_eq!(names(&found), expected, "{query}");
    }
    let long = "a".repeat(201);
    for query in ["search=", "search=%20", "search=@", &format!("search={long}")] {
        assert_eq!(office.get(&format!("/users?{query}")).await.assert(400).problems(), ["search: invalid"], "{query}");
    }
    assert_eq!(office.get("/trades?search=x").await.assert(400).problems(), ["search: unknown_field"]);
    let first = office.get("/users?search=user&limit=1").await.assert(200).body;
    let cursor = first["next"].as_str().unwrap();
    let other = office.get(&format!("/users?search=use&limit=1&cursor={cursor}")).await.assert(400);
    assert_eq!(other.problems(), ["cursor: invalid"]);
}
