//! How fast, and at what cost. In real time, and only when asked for:
//!
//!     cargo test --release -p alertcast --test it -- --ignored --nocapture --test-threads 1 courier::measure
//!
//! `TELEGRAM_SIM` names the simulator's program, so that its work is not counted as ours; without it, it runs within.

use std::sync::Arc;
use std::time::{Duration, Instant};

use alertcast::clock::SystemClock;
use alertcast_core::delivery::Delivery;
use alertcast_core::fixtures;
use alertcast_core::time::Time;
use telegram_sim::{SimConfig, SimLimits};
use tokio::task::JoinSet;

use super::post::{Post, Setup, TOKEN, entry};

/// A simulator in a process of its own.
struct Outside {
    url: String,
    client: reqwest::Client,
    _process: Option<tokio::process::Child>,
    _server: Option<telegram_sim::SimServer>,
}

async fn outside(limits: Option<SimLimits>) -> Outside {
    alertcast::tls::choose_provider();
    let Some(program) = std::env::var_os("TELEGRAM_SIM") else {
        let mut config = SimConfig::default().bot(TOKEN).keep_last(1_000);
        config.limits = limits;
        let server = telegram_sim::start(config, "127.0.0.1:0").await.unwrap();
        return Outside { url: server.url(), client: reqwest::Client::new(), _process: None, _server: Some(server) };
    };
    let mut command = tokio::process::Command::new(program);
    let folder = tempfile::tempdir().unwrap();
    let port_file = folder.path().join("port");
    command.args(["--token", TOKEN, "--keep-last", "1000", "--port-file"]).arg(&port_file).kill_on_drop(true);
    match limits {
        None => command.arg("--no-limits"),
        Some(limits) => command.args(["--bot-rate", &limits.bot_per_second.to_string()]),
    };
    let process = command.spawn().unwrap();
    let port = loop {
        match std::fs::read_to_string(&port_file) {
            Ok(port) => break port,
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    };
    let url = format!("http://127.0.0.1:{}", port.trim());
    Outside { url, client: reqwest::Client::new(), _process: Some(process), _server: None }
}

/// How many have arrived.
async fn messages(telegram: &Outside) -> u64 {
    let answer = telegram.client.get(format!("{}/sim/stats", telegram.url)).send().await.unwrap();
    let stats: serde_json::Value = answer.json().await.unwrap();
    stats["messages"].as_u64().unwrap()
}

/// Processor time of this process so far.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

#[expect(clippy::disallowed_methods, reason = "what is measured is real time")]
fn now() -> Instant {
    Instant::now()
}

#[expect(clippy::print_stdout, reason = "a measurement tells what it found")]
fn tell(text: &str) {
    println!("{text}");
}

/// A lane with one entry for each of so many users; answers what it took until all were recorded as sent.
async fn deliver(telegram: &Outside, users: u32, per_second: u32) -> (Duration, Duration) {
    let setup = Setup { users: 0, per_second, concurrency: 64, ..Setup::default() };
    let mut post = Post::with(setup).await;
    let mut settings = (*post.app.settings).clone();
    settings.telegram.api_url = telegram.url.parse().unwrap();
    (post.app.settings, post.app.clock) = (Arc::new(settings), SystemClock::new());
    let wall = post.app.clock.now();
    let soon = wall + Duration::from_secs(3_600);
    let due = |user| Delivery {
        queued_at: wall,
        due_at: Time::from_millis(0),
        deadline_at: soon,
        // Nobody is looked up: the audience is measured elsewhere.
        user_id: None,
        ..entry(1, user)
    };
    let mut alert = fixtures::alert(1, 1);
    (alert.webhook.received_at, alert.alert_data.timestamp) = (wall, wall);
    post.put(&[alert], &[]).await;
    for chunk in (1..=users).collect::<Vec<_>>().chunks(1_000) {
        post.put(&[], &chunk.iter().map(|user| due(*user)).collect::<Vec<_>>()).await;
    }
    let before = messages(telegram).await;
    let courier = post.start();
    // The first second belongs to whoever owned the bot before.
    while messages(telegram).await == before {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let (begun, cpu_before) = (now(), cpu());
    while messages(telegram).await < before + u64::from(users) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let took = (begun.elapsed(), cpu() - cpu_before);
    courier.crash().await;
    tell(&post.store.summary());
    took
}

/// The same messages from a loop that does nothing else.
async fn bare(telegram: &Outside, messages: u32) -> (Duration, Duration) {
    let client = reqwest::Client::new();
    let url = format!("{}/bot{TOKEN}/sendMessage", telegram.url);
    let text =
        "🟢 <b>BUY</b>  <b>BTCUSDT · 1h</b>\nEMA · trade #1\n\n📍 Entry  <code>100</code>\n🎯 Target  <code>110</code>";
    let (begun, cpu_before) = (now(), cpu());
    let next = Arc::new(std::sync::atomic::AtomicU32::new(0));
    let mut workers = JoinSet::new();
    for _ in 0..64 {
        let (client, url, next) = (client.clone(), url.clone(), Arc::clone(&next));
        workers.spawn(async move {
            loop {
                let n = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                if n >= messages {
                    return;
                }
                let body = serde_json::json!({ "chat_id": 9_000_000 + n, "text": text, "parse_mode": "HTML" });
                let answer = client.post(&url).json(&body).send().await.unwrap();
                assert!(answer.status().is_success());
                answer.bytes().await.unwrap();
            }
        });
    }
    workers.join_all().await;
    (begun.elapsed(), cpu() - cpu_before)
}

fn report(what: &str, messages: u32, (took, cpu): (Duration, Duration)) -> f64 {
    let rate = f64::from(messages) / took.as_secs_f64();
    let each = cpu.as_secs_f64() * 1_000.0 / f64::from(messages);
    tell(&format!("{what}: {messages} messages in {took:.2?}, {rate:.1}/s, {each:.3} s of processor time per 1,000"));
    rate
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn without_limits() {
    let telegram = outside(None).await;
    for _ in 0..3 {
        let bare = report("bare loop", 20_000, bare(&telegram, 20_000).await);
        let ours = report("courier", 20_000, deliver(&telegram, 20_000, 1_000_000).await);
        tell(&format!("share of the bare loop's throughput: {:.2}", ours / bare));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn at_a_thousand_a_second() {
    let telegram = outside(Some(SimLimits::default().with_bot_rate(1_000))).await;
    report("1,000/s", 20_000, deliver(&telegram, 20_000, 1_000).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn at_thirty_a_second() {
    let telegram = outside(Some(SimLimits::default())).await;
    report("30/s", 1_200, deliver(&telegram, 1_200, 30).await);
}
