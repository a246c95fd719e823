//! Who has no secret keeps nobody from posting, however many connections they hold, and from however many addresses; and
//! a right secret meets no limit but the deadline.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use alertcast::http;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::support::{House, SECRET, buy};

/// Fewer than the attackers.
const PLACES: usize = 512;
/// TradingView's, and half a second for a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_millis(3_500);
/// How long an attack stands before anybody posts.
const STANDING: Duration = Duration::from_secs(1);
const HERE: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// A server by the machine's clock.
struct Server {
    house: House,
    address: SocketAddr,
    stop: CancellationToken,
    serving: JoinHandle<()>,
}

impl Server {
    async fn start(places: usize) -> Self {
        http::raise_open_files();
        let house = House::by_the_real_clock().await;
        let listener = http::listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
        let serving = tokio::spawn(http::serve_at_once(places, listener, house.router.clone(), stop.clone()));
        Self { house, address, stop, serving }
    }

    async fn finish(self) -> House {
        self.stop.cancel();
        self.serving.await.unwrap();
        self.house
    }
}

async fn connect(from: Ipv4Addr, to: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((from, 0).into())?;
    socket.connect(to).await
}

/// Posts an alert on a connection of its own. The status; none where no answer came in time.
async fn post(from: Ipv4Addr, to: SocketAddr, n: usize) -> Option<u16> {
    let body = buy(json!({"n": n, "timestamp": null}));
    let head = format!("POST /webhook/{SECRET} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n", body.len());
    let posting = async {
        let mut stream = connect(from, to).await.ok()?;
        stream.write_all(format!("{head}Connection: close\r\n\r\n{body}").as_bytes()).await.ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.ok()?;
        String::from_utf8_lossy(&answer).split(' ').nth(1)?.parse().ok()
    };
    tokio::time::timeout(PATIENCE, posting).await.ok().flatten()
}

/// The n-th of 500 addresses of this machine, or its usual one.
fn address(n: usize, of_many: bool) -> Ipv4Addr {
    let [third, fourth] = [n / 250 % 2, n % 250 + 2].map(|octet| u8::try_from(octet).unwrap());
    if of_many { Ipv4Addr::new(127, 1, third, fourth) } else { HERE }
}

/// Asks for as much as it can, reads nothing, and comes again when it is thrown out.
async fn never_read(from: Ipv4Addr, to: SocketAddr) {
    let asked = "GET /api/openapi.json HTTP/1.1\r\nHost: a\r\n\r\n".repeat(200);
    loop {
        if let Ok(mut stream) = connect(from, to).await {
            while stream.write_all(asked.as_bytes()).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// Sends a head byte by byte, and comes again when it is thrown out.
async fn never_end(from: Ipv4Addr, to: SocketAddr) {
    loop {
        if let Ok(mut stream) = connect(from, to).await {
            let mut written = stream.write_all(b"POST /webhook/guess HTTP/1.1\r\nHost: a\r\nX-Slow: ").await;
            while written.is_ok() {
                tokio::time::sleep(Duration::from_millis(500)).await;
                written = stream.write_all(b"x").await;
            }
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// Twelve posts, one after the other, while the attack stands: each is answered 202.
async fn posts_come_through<F: Future<Output = ()> + Send + 'static>(
    attackers: usize,
    of_many: bool,
    attack: fn(Ipv4Addr, SocketAddr) -> F,
) {
    let server = Server::start(PLACES).await;
    let mut attacks = JoinSet::new();
    for n in 0..attackers {
        attacks.spawn(attack(address(n, of_many), server.address));
    }
    tokio::time::sleep(STANDING).await;
    for n in 0..12 {
        let began = Instant::now();
        let status = post(HERE, server.address, n).await;
        assert_eq!(status, Some(202), "post {n} after {:?}", began.elapsed());
    }
    attacks.shutdown().await;
    let house = server.finish().await;
    assert_eq!(house.kept().await, (12, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_never_reads_an_answer_keeps_nobody_out() {
    posts_come_through(540, false, never_read).await;
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_never_reads_an_answer_keeps_nobody_out_from_many_addresses() {
    posts_come_through(540, true, never_read).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_never_ends_a_head_keeps_nobody_out() {
    posts_come_through(3_000, false, never_end).await;
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_never_ends_a_head_keeps_nobody_out_from_many_addresses() {
    posts_come_through(3_000, true, never_end).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_shown_a_right_secret_is_never_thrown_out_for_strangers() {
    let server = Server::start(8).await;
    let mut known = connect(HERE, server.address).await.unwrap();
    let post = |n: usize| {
        let body = buy(json!({"n": n, "timestamp": null}));
        format!("POST /webhook/{SECRET} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    };
    let mut answer = vec![0; 4096];
    known.write_all(post(0).as_bytes()).await.unwrap();
    let read = known.read(&mut answer).await.unwrap();
    assert!(answer[..read].starts_with(b"HTTP/1.1 202 "));
    let mut attacks = JoinSet::new();
    for n in 0..100 {
        attacks.spawn(never_end(address(n, false), server.address));
    }
    tokio::time::sleep(2 * STANDING).await;
    known.write_all(post(1).as_bytes()).await.unwrap();
    let read = known.read(&mut answer).await.unwrap();
    assert!(answer[..read].starts_with(b"HTTP/1.1 202 "), "it was thrown out");
    attacks.shutdown().await;
    server.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn however_many_alerts_come_at_once_each_is_answered_and_all_are_in_after_resends() {
    const ALERTS: usize = 1_500;
    let server = Server::start(2 * ALERTS).await;
    let mut left: Vec<usize> = (0..ALERTS).collect();
    // On a slow machine it takes more than TradingView's three: what matters is that nobody is told not to come again.
    for _round in 0..30 {
        let mut posts = JoinSet::new();
        for n in std::mem::take(&mut left) {
            let to = server.address;
            posts.spawn(async move { (n, post(HERE, to, n).await) });
        }
        while let Some(answered) = posts.join_next().await {
            match answered.unwrap() {
                (_, Some(200 | 202)) => {}
                // Where the test itself is too slow to read, it is sent again too.
                (n, Some(503) | None) => left.push(n),
                (n, status) => panic!("alert {n}: {status:?}"),
            }
        }
        if left.is_empty() {
            break;
        }
    }
    assert_eq!(left, Vec::<usize>::new());
    let house = server.finish().await;
    assert_eq!(house.kept().await, (ALERTS, 0));
}
