//! What `/metrics` tells, and whom.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use alertcast::settings::Settings;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::json;
use telegram_sim::{FaultAction, FreezeScope, InjectedFault};
use tower::ServiceExt as _;

use crate::harness::app::START;
use crate::harness::post::{alert, with};
use crate::harness::{App, TestPeople, chat};
use crate::support::{House, Post, buy};

const TOKEN: &str = "token-of-the-watcher";
const SENT: &str = "alertcast_delivery_attempts_total{channel=\"telegram\",outcome=\"sent\"}";
const HERE: [u8; 4] = [127, 0, 0, 1];
const ELSEWHERE: [u8; 4] = [198, 51, 100, 7];

/// A page of metrics: the type of each family, and each sample by its name and labels.
#[derive(Debug)]
struct Page {
    types: BTreeMap<String, String>,
    samples: BTreeMap<String, f64>,
}

impl Page {
    /// Reads Prometheus' text format 0.0.4, and holds it against its rules.
    #[track_caller]
    fn read(text: &str) -> Self {
        let mut page = Self { types: BTreeMap::new(), samples: BTreeMap::new() };
        let mut helped = BTreeSet::new();
        assert!(text.ends_with('\n') && !text.contains("\n\n"));
        for line in text.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, words) = help.split_once(' ').unwrap();
                assert!(!words.is_empty() && helped.insert(name.to_owned()), "{line}");
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').unwrap();
                assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
                assert!(page.types.insert(name.to_owned(), kind.to_owned()).is_none(), "{line}");
            } else {
                let (sample, value) = line.rsplit_once(' ').unwrap();
                page.check_name(sample);
                assert!(page.samples.insert(sample.to_owned(), value.parse().unwrap()).is_none(), "{line}");
            }
        }
        assert!(page.types.keys().all(|name| helped.contains(name)));
        page.check_histograms();
        page
    }

    /// The name is one of a family that was announced before.
    #[track_caller]
    fn check_name(&self, sample: &str) {
        let name = sample.split('{').next().unwrap();
        assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'), "{sample}");
        let of_histogram = ["_bucket", "_sum", "_count"].iter().any(|suffix| {
            let base = name.strip_suffix(suffix);
            base.is_some_and(|base| self.types.get(base).is_some_and(|kind| kind == "histogram"))
        });
        let kind = self.types.get(name).map(String::as_str);
        assert!(of_histogram || matches!(kind, Some("counter" | "gauge")), "{sample} belongs to nothing");
        assert_eq!(kind == Some("counter"), name.ends_with("_total"), "{sample}");
    }

    /// Buckets rise, and the last one holds them all.
    #[track_caller]
    fn check_histograms(&self) {
        for (sample, count) in &self.samples {
            let Some((base, labels)) = sample.split_once("_bucket{") else { continue };
            let others: Vec<&str> = labels.trim_end_matches('}').split(',').filter(|l| !l.starts_with("le=")).collect();
            let rest = if others.is_empty() { String::new() } else { format!("{{{}}}", others.join(",")) };
            let all = self.samples[&format!("{base}_count{rest}")];
            assert!(*count <= all, "{sample}");
            if labels.contains("le=\"+Inf\"") {
                assert_eq!(*count, all, "{sample}");
            }
        }
    }

    #[track_caller]
    fn value(&self, sample: &str) -> f64 {
        *self.samples.get(sample).unwrap_or_else(|| panic!("{sample} is not among {:#?}", self.samples.keys()))
    }
}

async fn page(app: &App) -> Page {
    Page::read(&app.sender().get("/metrics").await)
}

/// The page once everything that was sent is counted: that is after the store has said that it keeps it, and not where the
/// clock jumps meanwhile, so that others may take the process for dead.
async fn page_of_all(app: &App) -> Page {
    let mut sent = 0.0;
    for _ in 0..500 {
        let (page, stats) = (page(app).await, app.sim.stats());
        sent = page.value(SENT);
        if sent == f64::from(u32::try_from(stats.messages + stats.edits).unwrap()) {
            return page;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{sent} are counted, of {:?}", app.sim.stats());
}

/// Asks a house for its metrics: the status, the content type and the text.
async fn ask(house: &House, peer: [u8; 4], headers: &[(&str, &str)]) -> (StatusCode, String, String) {
    let mut request = Request::builder().uri("/metrics");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut request = request.body(Body::empty()).unwrap();
    request.extensions_mut().insert(ConnectInfo(SocketAddr::from((peer, 40_000))));
    let (head, body) = house.router.clone().oneshot(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let kind = head.headers["content-type"].to_str().unwrap().to_owned();
    (head.status, kind, String::from_utf8(body.to_vec()).unwrap())
}

fn with_token(settings: &mut Settings) {
    settings.metrics.token = Some(TOKEN.into());
}

#[tokio::test]
async fn every_metric_is_documented_and_no_other() {
    let pages = [include_str!("../../../../docs/operations.md"), include_str!("../../../../README.md")];
    let named: BTreeSet<&str> = pages
        .iter()
        .flat_map(|page| page.split(|c: char| !c.is_ascii_lowercase() && c != '_'))
        // The bucket of the files on MongoDB is none.
        .filter(|name| name.starts_with("alertcast_") && *name != "alertcast_files")
        .collect();
    // Of what has happened; what has not is not there.
    let world = TestPeople::at(START).config(1, |_| {}).plan(1, &[1], |_| {}).users(1..=1, 1);
    let mut app = App::start(world).await;
    app.done(alert(1, "BUY", 100.0)).await;
    let page = page_of_all(&app).await;
    let counted = page.types.keys().map(String::as_str).filter(|name| name.starts_with("alertcast_"));
    assert_eq!(named, counted.collect());
    app.finish().await;
}

#[tokio::test]
async fn counts_rise_with_what_happens() {
    let world = TestPeople::at(START)
        .config(1, |config| config.trade_management.max_open_trades = alertcast_core::money::Count(1))
        .plan(1, &[1], |_| {})
        .users(1..=3, 1);
    let mut app = App::start(world).await;
    let before = page(&app).await;
    for at_zero in [
        "alertcast_alerts_total{result=\"processed\"}",
        "alertcast_trades_total{action=\"opened\"}",
        SENT,
        "alertcast_store_failures_total{part=\"webhook\"}",
    ] {
        assert_eq!(before.value(at_zero), 0.0, "{at_zero}");
    }
    let freeze = FaultAction::TooManyRequests { retry_after: 2, scope: FreezeScope::Chat };
    app.sim.inject_fault(InjectedFault::new(freeze).chat(chat(2)).times(1));
    let entry = with(alert(1, "BUY", 100.0), json!({"alert_id": "one"}));
    let id = app.accept(entry.clone()).await;
    app.quiet().await;
    assert_eq!(app.post(&entry).await.alert(), Some(id));
    assert_eq!(app.post(&json!({"price": 1})).await.status, 422);
    app.quiet().await;
    page_of_all(&app).await;
    app.advance(Duration::from_secs(60));
    app.done(alert(1, "BUY", 101.0)).await;
    page_of_all(&app).await;
    app.advance(Duration::from_secs(60));
    app.done(alert(1, "TP_HIT", 110.0)).await;
    // Nine to the subscribers, what the operators hear of the refusal, and the entries' edits.
    assert_eq!(app.sim.stats().messages, 10);
    let page = page_of_all(&app).await;
    // Its freezes are over by the machine's clock, which this test does not move.
    let stats = app.sim.stats();
    let throttled = f64::from(u32::try_from(stats.limited_injected).unwrap());
    assert!(throttled >= 1.0);
    let table = [
        ("alertcast_webhook_requests_total{outcome=\"accepted\",status=\"2xx\"}", 3.0),
        ("alertcast_webhook_requests_total{outcome=\"duplicate\",status=\"2xx\"}", 1.0),
        ("alertcast_webhook_requests_total{outcome=\"refused\",status=\"4xx\"}", 1.0),
        ("alertcast_webhook_answer_seconds_count{status=\"2xx\"}", 4.0),
        ("alertcast_alerts_total{result=\"processed\"}", 3.0),
        ("alertcast_alert_processing_seconds_count", 3.0),
        ("alertcast_chunks_total{result=\"committed\"}", 3.0),
        ("alertcast_trades_total{action=\"opened\"}", 6.0),
        ("alertcast_trades_total{action=\"replaced\"}", 3.0),
        ("alertcast_trades_total{action=\"closed\"}", 3.0),
        ("alertcast_telegram_throttled_total{scope=\"chat\"}", throttled),
        ("alertcast_delivery_attempts_total{channel=\"telegram\",outcome=\"retried\"}", throttled),
        ("alertcast_delivery_seconds_count{kind=\"entry\"}", 3.0),
        ("alertcast_delivery_seconds_count{kind=\"replacement\"}", 3.0),
        ("alertcast_delivery_seconds_count{kind=\"exit\"}", 3.0),
        ("alertcast_audience{of=\"users\"}", 3.0),
        ("alertcast_audience{of=\"configurations\"}", 1.0),
        ("alertcast_alerts_waiting", 0.0),
        ("alertcast_lane_deliveries{lane=\"tg:101\",place=\"waiting\"}", 0.0),
        ("process_start_time_seconds", 1_750_000_200.0),
    ];
    for (sample, value) in table {
        assert_eq!(page.value(sample), value, "{sample}");
    }
    assert!(page.samples.keys().any(|sample| sample.starts_with("alertcast_build_info{version=\"")));
    app.finish().await;
}

#[tokio::test]
async fn programs_in_one_process_count_apart() {
    let (one, other) = (House::new().await, House::new().await);
    Post::buy(json!({})).send(&one).await.assert(202);
    let accepted = "alertcast_webhook_requests_total{outcome=\"accepted\",status=\"2xx\"}";
    assert_eq!(Page::read(&ask(&one, HERE, &[]).await.2).value(accepted), 1.0);
    assert_eq!(Page::read(&ask(&other, HERE, &[]).await.2).samples.get(accepted), None);
}

#[tokio::test]
async fn a_store_that_does_not_answer_in_time_is_counted() {
    let house = House::new().await;
    let stall = house.store.stall_for_tests();
    let posted = tokio::spawn(Post::body(buy(json!({}))).through(house.router.clone()));
    while house.clock.next_wake() != Some(alertcast_core::store::INTAKE_DEADLINE) {
        tokio::task::yield_now().await;
    }
    house.clock.advance(alertcast_core::store::INTAKE_DEADLINE);
    posted.await.unwrap().assert(503);
    drop(stall);
    let page = Page::read(&ask(&house, HERE, &[]).await.2);
    assert_eq!(page.value("alertcast_store_failures_total{part=\"webhook\"}"), 1.0);
    assert_eq!(page.value("alertcast_webhook_requests_total{outcome=\"not_durable\",status=\"5xx\"}"), 1.0);
    assert_eq!(page.value("alertcast_webhook_answer_seconds_bucket{le=\"1.0\",status=\"5xx\"}"), 0.0);
    assert_eq!(page.value("alertcast_webhook_answer_seconds_bucket{le=\"2.0\",status=\"5xx\"}"), 1.0);
}

#[tokio::test]
async fn without_a_token_only_the_machine_itself_reads_them() {
    let house = House::new().await;
    assert_eq!(ask(&house, HERE, &[]).await.0, StatusCode::OK);
    for proxied in ["x-forwarded-for", "forwarded", "x-real-ip", "via"] {
        assert_eq!(ask(&house, HERE, &[(proxied, "198.51.100.7")]).await.0, StatusCode::UNAUTHORIZED, "{proxied}");
    }
    assert_eq!(ask(&house, ELSEWHERE, &[]).await.0, StatusCode::UNAUTHORIZED);
    let (status, _, body) = ask(&house, ELSEWHERE, &[("authorization", "Bearer ")]).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert!(body.contains("metrics.token"), "{body}");
}

#[tokio::test]
async fn with_a_token_whoever_shows_it_reads_them_too() {
    let house = House::with(with_token).await;
    let right = format!("Bearer {TOKEN}");
    for scheme in [right.as_str(), "bearer token-of-the-watcher"] {
        assert_eq!(ask(&house, ELSEWHERE, &[("authorization", scheme)]).await.0, StatusCode::OK, "{scheme}");
    }
    assert_eq!(ask(&house, HERE, &[("x-forwarded-for", "1.2.3.4"), ("authorization", &right)]).await.0, StatusCode::OK);
    assert_eq!(ask(&house, HERE, &[]).await.0, StatusCode::OK);
    let longer = format!("{right}x");
    for wrong in ["", "Bearer", "Bearer token-of-the-watche", &longer, "Basic token-of-the-watcher", TOKEN] {
        let (status, _, body) = ask(&house, ELSEWHERE, &[("authorization", wrong)]).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{wrong}");
        assert!(!body.contains(TOKEN), "{body}");
    }
}

#[tokio::test]
async fn the_format_is_the_one_that_is_asked_for() {
    let house = House::new().await;
    let (_, kind, text) = ask(&house, HERE, &[("accept", "text/plain;q=0.5")]).await;
    assert_eq!(kind, "text/plain; version=0.0.4; charset=utf-8");
    Page::read(&text);
    let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2";
    let (_, kind, text) = ask(&house, HERE, &[("accept", prometheus)]).await;
    assert_eq!(kind, "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert!(text.ends_with("\n# EOF\n") && text.contains("# TYPE alertcast_alerts counter\n"), "{text}");
}
