//! Against servers that are told what to do with each request.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ClientConfig, HandshakeKind, RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::*;

const MINUTE: Duration = Duration::from_secs(60);
const GOOD: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";

/// What is done with a request that was read.
#[derive(Clone, Copy)]
enum Conduct {
    /// It is answered.
    Answer,
    /// It is answered, and then the connection ends without having said so.
    AnswerAndLeave,
    /// The connection ends.
    Leave,
    /// Nothing.
    Freeze,
    /// The answer has no end.
    Flood,
}

#[derive(Debug, Default)]
struct Seen {
    connections: AtomicUsize,
    requests: AtomicUsize,
    resumed: AtomicUsize,
}

impl Seen {
    fn counts(&self) -> (usize, usize) {
        (self.connections.load(Ordering::SeqCst), self.requests.load(Ordering::SeqCst))
    }
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// A server that does this with each request.
async fn serve(conduct: Conduct) -> (SocketAddr, Arc<Seen>) {
    let ((listener, address), seen) = (listen().await, Arc::<Seen>::default());
    let seen_there = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            seen_there.connections.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(answer_all(stream, conduct, Arc::clone(&seen_there)));
        }
    });
    (address, seen)
}

async fn answer_all<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, conduct: Conduct, seen: Arc<Seen>) {
    while read_request(&mut stream).await.is_some() {
        seen.requests.fetch_add(1, Ordering::SeqCst);
        match conduct {
            Conduct::Answer => stream.write_all(GOOD.as_bytes()).await.unwrap(),
            Conduct::AnswerAndLeave => return stream.write_all(GOOD.as_bytes()).await.unwrap(),
            Conduct::Leave => return,
            Conduct::Freeze => std::future::pending().await,
            Conduct::Flood => {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
                while stream.write_all(&[b' '; 4096]).await.is_ok() {}
            }
        }
    }
}

/// Head and body of a request. None where the connection ended.
async fn read_request<S: AsyncRead + Unpin>(stream: &mut S) -> Option<String> {
    let mut read = Vec::new();
    loop {
        if stream.read_buf(&mut read).await.ok()? == 0 {
            return None;
        }
        let text = String::from_utf8_lossy(&read).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length =
            head.to_ascii_lowercase().lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        if body.len() >= length.unwrap_or(0) {
            return Some(text);
        }
    }
}

fn client(address: SocketAddr, places: usize, timeout: Duration) -> HttpClient {
    HttpClient::new(&format!("http://{address}").parse().unwrap(), places, timeout).unwrap()
}

async fn post(client: &HttpClient) -> Result<HttpAnswer, HttpFailure> {
    client.post(&Uri::from_static("/bot1:SECRET/getMe"), Bytes::from_static(b"{\"a\":1}")).await
}

#[tokio::test]
async fn a_connection_is_kept_for_the_next_request() {
    let (address, seen) = serve(Conduct::Answer).await;
    let client = client(address, 4, MINUTE);
    for _ in 0..5 {
        let answer = post(&client).await.unwrap();
        assert_eq!((answer.status, &answer.body[..]), (200, &b"{}"[..]));
    }
    assert_eq!(seen.counts(), (1, 5));
}

#[tokio::test]
async fn no_more_connections_are_open_than_there_are_places() {
    let (address, seen) = serve(Conduct::Answer).await;
    let client = client(address, 3, MINUTE);
    let all = futures::future::join_all((0..40).map(|_| post(&client))).await;
    assert!(all.iter().all(Result::is_ok));
    let (connections, requests) = seen.counts();
    assert!(connections <= 3 && requests == 40, "{connections} connections, {requests} requests");
}

#[tokio::test]
async fn a_connection_that_the_server_closed_meanwhile_costs_no_request() {
    let (address, seen) = serve(Conduct::AnswerAndLeave).await;
    let client = client(address, 4, MINUTE);
    for count in 1..=5 {
        post(&client).await.unwrap();
        // Its end has come in before the next request.
        while !client.idle.is_closed_by_server() {
            tokio::task::yield_now().await;
        }
        assert_eq!(seen.counts(), (count, count));
    }
}

#[tokio::test]
async fn what_was_read_and_not_answered_is_in_doubt() {
    for conduct in [Conduct::Leave, Conduct::Freeze, Conduct::Flood] {
        let (address, seen) = serve(conduct).await;
        let failure = post(&client(address, 1, Duration::from_millis(300))).await.unwrap_err();
        assert!(failure.is_in_doubt() && seen.counts() == (1, 1), "{failure:?}");
        assert!(!format!("{failure:?}").contains("SECRET"));
    }
}

#[tokio::test]
async fn what_was_not_written_is_not_in_doubt() {
    let (listener, address) = listen().await;
    drop(listener);
    let refused = post(&client(address, 1, MINUTE)).await.unwrap_err();
    assert!(matches!(refused, HttpFailure::Unreachable(_)) && !refused.is_in_doubt(), "{refused:?}");

    let (address, seen) = serve(Conduct::Freeze).await;
    let client = client(address, 1, Duration::from_millis(300));
    let (first, second) = tokio::join!(post(&client), post(&client));
    assert!(first.unwrap_err().is_in_doubt());
    assert!(matches!(second.unwrap_err(), HttpFailure::TimedOut { in_doubt: false }), "it waited for its place");
    assert_eq!(seen.counts(), (1, 1));
}

#[tokio::test]
async fn an_answer_without_end_is_none() {
    let (address, _seen) = serve(Conduct::Flood).await;
    let failure = post(&client(address, 1, MINUTE)).await.unwrap_err();
    assert!(matches!(failure, HttpFailure::TooLong { status: 200 }), "{failure:?}");
}

#[tokio::test]
async fn a_connection_that_is_not_used_is_closed() {
    let (listener, address) = listen().await;
    let client = client(address, 1, MINUTE);
    let answering = async {
        let mut stream = listener.accept().await.unwrap().0;
        read_request(&mut stream).await.unwrap();
        stream.write_all(GOOD.as_bytes()).await.unwrap();
        stream
    };
    let (answer, mut stream) = tokio::join!(post(&client), answering);
    answer.unwrap();
    assert_eq!([client.idle.look(), client.idle.look(), client.idle.look()], [true, true, false]);
    assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 0, "its end");
}

#[tokio::test]
async fn a_name_and_a_password_in_the_address_are_shown_and_stand_in_no_print() {
    let (listener, address) = listen().await;
    let base = format!("http://name:pass%40word@{address}/api").parse().unwrap();
    let client = HttpClient::new(&base, 1, MINUTE).unwrap();
    let answering = async {
        let mut stream = listener.accept().await.unwrap().0;
        let request = read_request(&mut stream).await.unwrap();
        stream.write_all(GOOD.as_bytes()).await.unwrap();
        request
    };
    let (answer, request) = tokio::join!(post(&client), answering);
    answer.unwrap();
    assert!(request.starts_with("POST /bot1:SECRET/getMe HTTP/1.1\r\n"), "{request}");
    assert!(request.contains(&format!("\r\nhost: {address}\r\n")), "{request}");
    assert!(request.contains("\r\nauthorization: Basic bmFtZTpwYXNzQHdvcmQ=\r\n"), "{request}");
    assert!(!format!("{client:?}").contains("word"));
}

/// A server's side of TLS, and that of whoever believes its certificate.
fn certificates() -> (TlsAcceptor, Arc<ClientConfig>) {
    crate::tls::choose_provider();
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let server = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![cert.der().clone()], key).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(cert.der().clone()).unwrap();
    let client = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    (TlsAcceptor::from(Arc::new(server)), Arc::new(client))
}

/// A server with TLS that answers each connection's first request, and ends it.
async fn serve_encrypted(acceptor: TlsAcceptor) -> (SocketAddr, Arc<Seen>) {
    let ((listener, address), seen) = (listen().await, Arc::<Seen>::default());
    let seen_there = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            seen_there.connections.fetch_add(1, Ordering::SeqCst);
            if stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed) {
                seen_there.resumed.fetch_add(1, Ordering::SeqCst);
            }
            read_request(&mut stream).await.unwrap();
            let answer = GOOD.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
        }
    });
    (address, seen)
}

fn encrypted_client(address: SocketAddr, proxies: &ProxyMatcher, tls: Arc<ClientConfig>) -> HttpClient {
    let base = format!("https://localhost:{}", address.port()).parse().unwrap();
    HttpClient::over(ServerConnector::new(&base, proxies, || Ok(tls)).unwrap(), 4, MINUTE)
}

#[tokio::test]
async fn a_session_of_tls_is_taken_up_again() {
    let (acceptor, tls) = certificates();
    let (address, seen) = serve_encrypted(acceptor).await;
    let client = encrypted_client(address, &ProxyMatcher::builder().build(), tls);
    for _ in 0..3 {
        post(&client).await.unwrap();
    }
    assert_eq!((seen.counts().0, seen.resumed.load(Ordering::SeqCst)), (3, 2));
}

#[tokio::test]
async fn a_server_that_proves_nothing_is_not_asked() {
    let (address, seen) = serve_encrypted(certificates().0).await;
    let client = encrypted_client(address, &ProxyMatcher::builder().build(), certificates().1);
    let failure = post(&client).await.unwrap_err();
    assert!(matches!(failure, HttpFailure::Unreachable(_)), "{failure:?}");
    assert_eq!(seen.counts(), (0, 0));
}

#[tokio::test]
async fn a_proxy_opens_the_way_to_what_is_encrypted_and_to_nothing_else() {
    let (acceptor, tls) = certificates();
    let (address, seen) = serve_encrypted(acceptor).await;
    let (listener, proxy) = listen().await;
    let proxies = || ProxyMatcher::builder().all(format!("http://user:pass@{proxy}")).build();
    let passing_on = async {
        let mut stream = listener.accept().await.unwrap().0;
        let request = read_request(&mut stream).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        let mut there = TcpStream::connect(address).await.unwrap();
        let _ = tokio::io::copy_bidirectional(&mut stream, &mut there).await;
        request
    };
    let client = encrypted_client(address, &proxies(), tls);
    let (answer, asked) = tokio::join!(post(&client), passing_on);
    answer.unwrap();
    assert!(asked.starts_with(&format!("CONNECT localhost:{} HTTP/1.1\r\n", address.port())), "{asked}");
    assert!(asked.contains("dXNlcjpwYXNz") && !asked.contains("SECRET"), "{asked}");
    assert_eq!(seen.counts().0, 1);

    let (address, seen) = serve(Conduct::Answer).await;
    let base = format!("http://{address}").parse().unwrap();
    let near = ServerConnector::new(&base, &proxies(), crate::tls::client_config).unwrap();
    post(&HttpClient::over(near, 1, MINUTE)).await.unwrap();
    assert_eq!(seen.counts(), (1, 1));
}
