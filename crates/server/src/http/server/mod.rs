//! The listening side: a bounded number of connections, none of which may dawdle over its request or its answer, and a
//! stop that finishes what is under way. A stranger gets one answer and is then done; when places run short, strangers
//! leave for whoever comes (`places`).

mod connection_places;
mod stream;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::http::{HeaderValue, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;
use tower::util::MapResponse;
use tracing::{debug, warn};

pub(super) use self::connection_places::ConnectionGuest;
use self::connection_places::{ConnectionPlace, ConnectionPlaces};
use self::stream::TimedStream;

/// Connections at once, at most: a burst of alerts has each one of its own.
const CONNECTIONS_MAX: u64 = 8_192;
/// Open files that are not for connections: the store's, the bots', the mail server's.
const OTHER_FILES: u64 = 512;
/// The system holds so many that wait to be accepted.
const BACKLOG: u32 = 4_096;
/// How long the head of a request may take; also how long a connection may lie idle.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// The most bytes of a request's head.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// How long requests under way are waited for when stopping.
const STOP_PATIENCE: Duration = Duration::from_secs(10);
/// After a failure to accept, which mostly means too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// Listens on an address.
///
/// # Errors
/// The address is taken, or is not this machine's.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Lets this process open as many files as it needs and may: each connection is one.
pub fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.unwrap_or(u64::MAX).min(CONNECTIONS_MAX + OTHER_FILES);
    if limit.current.is_some_and(|current| current < wanted) {
        let raised = Rlimit { current: Some(wanted), maximum: limit.maximum };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            debug!(%error, "the limit of open files could not be raised");
        }
    }
}

/// How many connections there is room for.
fn connections_max() -> usize {
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let most = (files - OTHER_FILES.min(files / 2)).min(CONNECTIONS_MAX);
    usize::try_from(most).unwrap_or(usize::MAX)
}

/// Serves until `stop`, then lets requests under way finish.
pub async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) {
    serve_at_once(connections_max(), listener, router, stop).await;
}

/// The same, with so many connections at once.
pub async fn serve_at_once(most: usize, listener: TcpListener, router: Router, stop: CancellationToken) {
    let places = ConnectionPlaces::new(most);
    let under_way = GracefulShutdown::new();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(HEAD_BYTES_MAX);
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let place = tokio::select! {
                    () = stop.cancelled() => break,
                    place = places.enter() => place,
                };
                let connection = under_way.watch(connection(&http, stream, peer, &router, &place));
                tokio::spawn(async move {
                    tokio::select! {
                        ended = connection => if let Err(error) = ended {
                            debug!(%error, "a connection ended early");
                        },
                        () = place.has_to_leave() => debug!("a stranger leaves for others"),
                    }
                });
            }
            Err(error) if is_of_the_connection(&error) => {}
            Err(error) => {
                warn!(%error, "no connection can be accepted");
                places.make_room();
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    if tokio::time::timeout(STOP_PATIENCE, under_way.shutdown()).await.is_err() {
        warn!("some requests did not end in time, and are broken off");
    }
}

type HttpConnection = http1::Connection<TokioIo<TimedStream>, TowerToHyperService<BoxedRouter>>;
type BoxedRouter =
    tower::util::BoxCloneService<hyper::Request<Incoming>, axum::response::Response, std::convert::Infallible>;

fn connection(
    http: &http1::Builder,
    stream: TcpStream,
    peer: SocketAddr,
    router: &Router,
    place: &ConnectionPlace,
) -> HttpConnection {
    // Answers are small and wanted at once.
    let _ = stream.set_nodelay(true);
    let (guest, answered) = (place.guest().clone(), place.guest().clone());
    let with_peer = router.clone().map_request(move |mut request: hyper::Request<Incoming>| {
        guest.made_progress();
        request.extensions_mut().insert(ConnectInfo(peer));
        request.extensions_mut().insert(guest.clone());
        request
    });
    let noted = MapResponse::new(with_peer, move |mut answer: axum::response::Response| {
        // A stranger gets one answer: whatever else it has sent, it can ask again.
        if answered.is_answered() {
            answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        answer
    });
    http.serve_connection(
        TokioIo::new(TimedStream::new(stream, place.turn())),
        TowerToHyperService::new(BoxedRouter::new(noted)),
    )
}

/// Says of whoever sends a request that they have shown a right secret or token.
pub(super) fn has_shown_secret(extensions: &axum::http::Extensions) {
    if let Some(guest) = extensions.get::<ConnectionGuest>() {
        guest.becomes_known();
    }
}

/// Whether only the one connection failed, before it was accepted.
fn is_of_the_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}
