//! The listening side: a bounded number of connections, none of which may dawdle over its request, and a stop that
//! finishes what is under way.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;
use tracing::{debug, warn};

/// Connections at once; well below the usual limit of 1024 open files. Further ones wait to be accepted.
const CONNECTIONS_MAX: usize = 512;
/// How long the head of a request may take; also how long a connection may lie idle.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// The most bytes of a request's head.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// How long requests under way are waited for when stopping.
const STOP_PATIENCE: Duration = Duration::from_secs(10);
/// After a failure to accept, which mostly means too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `stop`, then lets requests under way finish.
pub async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let under_way = GracefulShutdown::new();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(HEAD_BYTES_MAX);
    loop {
        // The place is taken first: with none left, further connections wait in the system's queue.
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accepted => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let connection = connection(&http, stream, peer, &router);
                let connection = under_way.watch(connection);
                tokio::spawn(async move {
                    if let Err(error) = connection.await {
                        debug!(%error, "a connection ended early");
                    }
                    drop(place);
                });
            }
            Err(error) if is_of_the_connection(&error) => {}
            Err(error) => {
                warn!(%error, "no connection can be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    if tokio::time::timeout(STOP_PATIENCE, under_way.shutdown()).await.is_err() {
        warn!("some requests did not end in time, and are broken off");
    }
}

type Connection = http1::Connection<TokioIo<TcpStream>, TowerToHyperService<BoxedRouter>>;
type BoxedRouter =
    tower::util::BoxCloneService<hyper::Request<Incoming>, axum::response::Response, std::convert::Infallible>;

fn connection(http: &http1::Builder, stream: TcpStream, peer: SocketAddr, router: &Router) -> Connection {
    // Answers are small and wanted at once.
    let _ = stream.set_nodelay(true);
    let with_peer = router.clone().map_request(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        request
    });
    http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(BoxedRouter::new(with_peer)))
}

/// Whether only the one connection failed, before it was accepted.
fn is_of_the_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}
