//! The HTTP server: listening, cutting single connections, stopping.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::extract::connect_info::Connected;
use axum::routing::get;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream, ToSocketAddrs};
use tokio::task::JoinHandle;

use crate::SimError;
use crate::config::SimConfig;
use crate::sim::SimHandle;
use crate::sync::write;
use crate::{control, request};

/// How long answers under way may take when the server stops.
const STOP_PATIENCE: Duration = Duration::from_secs(2);

/// A running simulator. Dropping it stops it without waiting.
#[derive(Debug)]
pub struct SimServer {
    sim: SimHandle,
    addr: SocketAddr,
    task: JoinHandle<io::Result<()>>,
}

/// Starts a simulator on an address; port 0 takes a free one.
///
/// # Errors
/// A token of another form, an unreadable ledger, or an address that cannot be listened on.
pub async fn start(config: SimConfig, addr: impl ToSocketAddrs) -> Result<SimServer, SimError> {
    let listener = TcpListener::bind(addr).await.map_err(SimError::Listen)?;
    let addr = listener.local_addr().map_err(SimError::Listen)?;
    let sim = SimHandle::new(config)?;
    *write(&sim.0.listening) = Some(addr);
    let app = Router::new()
        .nest("/sim", control::routes())
        .route("/file/{*path}", get(request::download))
        .fallback(request::handle)
        .layer(DefaultBodyLimit::max(request::FORM_BYTES_MAX))
        .with_state(sim.clone());
    let service = app.into_make_service_with_connect_info::<ConnectionInfo>();
    let mut shutdown = sim.0.shutdown.subscribe();
    let stopping = async move {
        let _ = shutdown.wait_for(|stopping| *stopping).await;
    };
    let served = axum::serve(CuttingListener(listener), service).with_graceful_shutdown(stopping);
    let task = tokio::spawn(served.into_future());
    Ok(SimServer { sim, addr, task })
}

impl SimServer {
    /// The base URL for clients, `http://127.0.0.1:PORT`; a method is at `{url}/bot{token}/{method}`.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The handle that drives it.
    pub fn sim(&self) -> SimHandle {
        self.sim.clone()
    }

    /// Stops listening, lets stalls and long polls go, and waits for the answers under way.
    pub async fn stop(mut self) {
        self.sim.0.shutdown.send_replace(true);
        if tokio::time::timeout(STOP_PATIENCE, &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}

impl Drop for SimServer {
    fn drop(&mut self) {
        self.sim.0.shutdown.send_replace(true);
    }
}

/// What a handler knows of its connection.
#[derive(Debug, Clone)]
pub(crate) struct ConnectionInfo {
    cut: Arc<AtomicBool>,
}

impl ConnectionInfo {
    /// From now on nothing is written to it any more; the server gives it up at the next attempt.
    pub(crate) fn cut(&self) {
        self.cut.store(true, Relaxed);
    }
}

impl Connected<IncomingStream<'_, CuttingListener>> for ConnectionInfo {
    fn connect_info(stream: IncomingStream<'_, CuttingListener>) -> Self {
        Self { cut: Arc::clone(&stream.io().cut) }
    }
}

struct CuttingListener(TcpListener);

impl Listener for CuttingListener {
    type Io = CuttableStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        // The one of axum waits and tries again when there are no file descriptors left.
        let (tcp, addr) = Listener::accept(&mut self.0).await;
        // Answers are small and single: waiting to fill a packet would only delay them.
        let _ = tcp.set_nodelay(true);
        (CuttableStream { tcp, cut: Arc::default() }, addr)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.0.local_addr()
    }
}

/// A connection that a handler can cut.
struct CuttableStream {
    tcp: TcpStream,
    cut: Arc<AtomicBool>,
}

impl CuttableStream {
    fn check(&self) -> io::Result<()> {
        if self.cut.load(Relaxed) { Err(io::ErrorKind::ConnectionReset.into()) } else { Ok(()) }
    }
}

impl AsyncRead for CuttableStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_read(cx, buf)
    }
}

impl AsyncWrite for CuttableStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.tcp).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.tcp).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}
