//! The listening side over real connections.

use std::net::SocketAddr;
use std::time::Duration;

use alertcast::http;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::{House, SECRET, buy};

struct Server {
    house: House,
    address: SocketAddr,
    stop: CancellationToken,
    serving: JoinHandle<()>,
}

impl Server {
    async fn start() -> Self {
        let house = House::new().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
        let serving = tokio::spawn(http::serve(listener, house.router.clone(), stop.clone()));
        Self { house, address, stop, serving }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }
}

fn post(body: &str) -> String {
    format!("POST /webhook/{SECRET} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// Reads one answer: its head, and its body by its length.
async fn answer(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    loop {
        let read = stream.read_buf(&mut text).await.unwrap_or(0);
        let so_far = String::from_utf8_lossy(&text).into_owned();
        let length = so_far
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .and_then(|length| length.parse::<usize>().ok());
        let whole = so_far.split_once("\r\n\r\n").is_some_and(|(_, body)| length.is_some_and(|n| body.len() >= n));
        if whole || read == 0 {
            return so_far;
        }
    }
}

#[tokio::test]
async fn one_connection_takes_several_alerts() {
    let server = Server::start().await;
    let mut stream = server.connect().await;
    for n in 0..3 {
        stream.write_all(post(&buy(json!({"n": n}))).as_bytes()).await.unwrap();
        assert!(answer(&mut stream).await.starts_with("HTTP/1.1 202 "), "{n}");
    }
    assert_eq!(server.house.kept().await, (3, 0));
    let kept = server.house.all(alertcast_core::store::Collection::Alerts).await;
    assert_eq!(kept[0].get_document("webhook").unwrap().get_str("ipAddress").unwrap(), "127.0.0.1");
}

#[tokio::test]
async fn ten_megabytes_are_read_to_their_end_and_refused() {
    let server = Server::start().await;
    let mut stream = server.connect().await;
    let head = format!("POST /webhook/{SECRET} HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    for _ in 0..100 {
        stream.write_all(&[b'x'; 100_000]).await.unwrap();
    }
    assert!(answer(&mut stream).await.starts_with("HTTP/1.1 413 "));
}

#[tokio::test]
async fn a_body_in_chunks_is_bounded_too() {
    let server = Server::start().await;
    let mut stream = server.connect().await;
    let head = format!("POST /webhook/{SECRET} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    for _ in 0..5 {
        stream.write_all(format!("{:x}\r\n{}\r\n", 20_000, "x".repeat(20_000)).as_bytes()).await.unwrap();
    }
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    assert!(answer(&mut stream).await.starts_with("HTTP/1.1 413 "));
}

#[tokio::test(start_paused = true)]
async fn who_dawdles_over_the_head_is_cut_off() {
    let server = Server::start().await;
    let mut slow = server.connect().await;
    slow.write_all(b"POST /webhook/x HTTP/1.1\r\nHost:").await.unwrap();
    let mut silent = server.connect().await;
    for stream in [&mut slow, &mut silent] {
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(30), stream.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "the connection is still open");
    }
}

#[tokio::test]
async fn a_head_without_end_is_refused() {
    let server = Server::start().await;
    let mut stream = server.connect().await;
    let _ = stream.write_all(format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(100_000)).as_bytes()).await;
    let text = answer(&mut stream).await;
    assert!(text.is_empty() || text.starts_with("HTTP/1.1 431 "), "{text}");
}

#[tokio::test]
async fn stopping_finishes_the_request_under_way_and_takes_no_other() {
    let server = Server::start().await;
    let stall = server.house.store.stall_for_tests();
    let mut stream = server.connect().await;
    stream.write_all(post(&buy(json!({}))).as_bytes()).await.unwrap();
    while server.house.clock.next_wake().is_none() {
        tokio::task::yield_now().await;
    }
    let mut idle = server.connect().await;
    server.stop.cancel();
    assert_eq!(idle.read(&mut [0]).await.unwrap_or(0), 0, "an idle connection is closed");
    assert!(!server.serving.is_finished());
    drop(stall);
    assert!(answer(&mut stream).await.starts_with("HTTP/1.1 202 "));
    server.serving.await.unwrap();
    assert!(TcpStream::connect(server.address).await.is_err());
}
