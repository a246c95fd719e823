//! A server before the stand-in for Telegram that passes requests on, but answers what it is told, byte for byte, to
//! those that put something into one of some chats.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What is answered to a request.
#[derive(Debug, Clone)]
pub(super) enum Lie {
    /// These bytes, and the end of the connection.
    Bytes(Vec<u8>),
    /// These bytes, then the second ones again and again for as long as they are read.
    Endless(Vec<u8>, Vec<u8>),
}

impl Lie {
    /// An HTTP answer with this body.
    pub(super) fn http(status: u16, body: &str) -> Self {
        let head =
            format!("HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\n", body.len());
        Self::Bytes(format!("{head}Connection: close\r\n\r\n{body}").into_bytes())
    }
}

/// The server. Clones are the same one.
#[derive(Debug, Clone)]
pub(super) struct Liar {
    address: SocketAddr,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    truth: String,
    lies: HashMap<i64, VecDeque<Lie>>,
    told: usize,
}

impl Liar {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let liar = Self { address: listener.local_addr().unwrap(), inner: Arc::default() };
        let serving = liar.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serving.clone().serve(stream));
            }
        });
        liar
    }

    /// Passes on to this server. Answers its own address.
    pub(super) fn before(&self, truth: &str) -> String {
        self.inner.lock().unwrap().truth = truth.to_owned();
        format!("http://{}", self.address)
    }

    /// The next request for this chat is answered so.
    pub(super) fn lie(&self, chat: i64, lie: Lie) {
        self.inner.lock().unwrap().lies.entry(chat).or_default().push_back(lie);
    }

    /// How often it has lied.
    pub(super) fn told(&self) -> usize {
        self.inner.lock().unwrap().told
    }

    fn next(&self, body: &[u8]) -> Option<Lie> {
        let body: Value = serde_json::from_slice(body).ok()?;
        let mut inner = self.inner.lock().unwrap();
        let lie = inner.lies.get_mut(&body["chat_id"].as_i64()?)?.pop_front();
        inner.told += usize::from(lie.is_some());
        lie
    }

    async fn serve(self, mut stream: TcpStream) {
        let Some((path, body)) = request(&mut stream).await else { return };
        match self.next(&body) {
            Some(Lie::Bytes(bytes)) => drop(stream.write_all(&bytes).await),
            Some(Lie::Endless(first, again)) => {
                let mut written = stream.write_all(&first).await;
                while written.is_ok() {
                    written = stream.write_all(&again).await;
                }
            }
            None => {
                let url = format!("{}{path}", self.inner.lock().unwrap().truth);
                let client = reqwest::Client::new();
                let answer = client.post(url).header("content-type", "application/json").body(body).send().await;
                let Ok(answer) = answer else { return };
                let status = answer.status().as_u16();
                let Lie::Bytes(bytes) = Lie::http(status, &answer.text().await.unwrap_or_default()) else { return };
                let _ = stream.write_all(&bytes).await;
            }
        }
        let _ = stream.shutdown().await;
    }
}

/// A request's path and body.
async fn request(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    loop {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse().ok());
        if bytes.len() >= end + 4 + length.unwrap_or(0) {
            let path = String::from_utf8_lossy(&bytes[..end]).split(' ').nth(1)?.to_owned();
            return Some((path, bytes[end + 4..].to_vec()));
        }
    }
}
