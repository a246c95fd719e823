//! How a server is reached: straight away, or by the proxy that the machine's environment names; over TLS where the
//! address says so.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http_body_util::Full;
use hyper::Uri;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::HeaderValue;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::proxy::matcher::Intercept;
pub(crate) use hyper_util::client::proxy::matcher::Matcher as ProxyMatcher;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tower::ServiceExt as _;
use url::{Host, Url};

use super::HttpFailure;

/// How long to wait for a connection: the name, the way there and TLS.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Whether the other side is still there is asked so often.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
const KEEP_ALIVE_TRIES: u32 = 3;
/// What is not acknowledged for so long ends the connection.
#[cfg(target_os = "linux")]
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);

/// Where requests are handed over.
pub(super) type RequestSender = http1::SendRequest<Full<Bytes>>;
type ConnectFailure = Box<dyn Error + Send + Sync>;

/// Why a server cannot be asked at all.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectorError {
    #[error("it is not an http or https address")]
    Address,
    #[error("the proxy that the environment names is not an http:// address")]
    Proxy,
    #[error("the machine's certificates cannot be read: {0}")]
    Certificates(#[from] rustls::Error),
}

/// The way to a server.
pub(super) struct ServerConnector {
    tcp: HttpConnector,
    /// The one that opens the way, where there is one.
    proxy: Option<Intercept>,
    /// What TLS is to prove; none without TLS.
    tls: Option<(TlsConnector, ServerName<'static>)>,
    server: Uri,
    host: HeaderValue,
    login: Option<HeaderValue>,
}

impl ServerConnector {
    /// The way to the server of this address. `tls` is asked where it is needed.
    pub(super) fn new(
        base: &Url,
        proxies: &ProxyMatcher,
        tls: impl FnOnce() -> Result<Arc<ClientConfig>, rustls::Error>,
    ) -> Result<Self, ConnectorError> {
        let server = server_of(base).ok_or(ConnectorError::Address)?;
        let tls = match base.scheme() {
            "https" => Some((TlsConnector::from(tls()?), server_name(base).ok_or(ConnectorError::Address)?)),
            _ => None,
        };
        // What is not encrypted is asked on machines near by.
        let proxy = tls.as_ref().and_then(|_| proxies.intercept(&server));
        if proxy.as_ref().is_some_and(|proxy| proxy.uri().scheme_str() != Some("http")) {
            return Err(ConnectorError::Proxy);
        }
        let host = server.authority().and_then(|host| HeaderValue::from_str(host.as_str()).ok());
        let host = host.ok_or(ConnectorError::Address)?;
        Ok(Self { tcp: tcp_connector(), proxy, tls, server, host, login: login(base) })
    }

    /// `Host`, as every request names it.
    pub(super) fn host(&self) -> HeaderValue {
        self.host.clone()
    }

    /// Who asks, where the address says so.
    pub(super) fn login(&self) -> Option<HeaderValue> {
        self.login.clone()
    }

    /// A new connection.
    pub(super) async fn connect(&self) -> Result<RequestSender, HttpFailure> {
        match timeout(CONNECT_TIMEOUT, self.open()).await {
            Ok(opened) => opened.map_err(HttpFailure::Unreachable),
            Err(_) => Err(HttpFailure::TimedOut { in_doubt: false }),
        }
    }

    async fn open(&self) -> Result<RequestSender, ConnectFailure> {
        let stream = self.reach().await?;
        match &self.tls {
            None => speak(stream).await,
            Some((tls, name)) => speak(tls.connect(name.clone(), stream).await?).await,
        }
    }

    async fn reach(&self) -> Result<TcpStream, ConnectFailure> {
        let (tcp, server) = (self.tcp.clone(), self.server.clone());
        let stream = match &self.proxy {
            None => tcp.oneshot(server).await?,
            Some(proxy) => {
                let tunnel = Tunnel::new(proxy.uri().clone(), tcp);
                let tunnel = match proxy.basic_auth() {
                    Some(login) => tunnel.with_auth(login.clone()),
                    None => tunnel,
                };
                tunnel.oneshot(server).await?
            }
        };
        Ok(stream.into_inner())
    }
}

/// Begins HTTP on a connection. What goes wrong on it is told to whoever waits for an answer.
async fn speak<S>(stream: S) -> Result<RequestSender, ConnectFailure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(async move { drop(connection.await) });
    Ok(sender)
}

fn tcp_connector() -> HttpConnector {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
    tcp.set_keepalive(Some(KEEP_ALIVE));
    tcp.set_keepalive_interval(Some(KEEP_ALIVE));
    tcp.set_keepalive_retries(Some(KEEP_ALIVE_TRIES));
    #[cfg(target_os = "linux")]
    tcp.set_tcp_user_timeout(Some(UNACKNOWLEDGED));
    tcp
}

/// Scheme, name and port, without who asks.
fn server_of(base: &Url) -> Option<Uri> {
    let scheme = Some(base.scheme()).filter(|scheme| matches!(*scheme, "http" | "https"))?;
    let port = base.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{scheme}://{}{port}/", base.host_str()?).parse().ok()
}

fn server_name(base: &Url) -> Option<ServerName<'static>> {
    match base.host()? {
        Host::Domain(name) => ServerName::try_from(name.to_owned()).ok(),
        Host::Ipv4(address) => Some(ServerName::IpAddress(std::net::IpAddr::V4(address).into())),
        Host::Ipv6(address) => Some(ServerName::IpAddress(std::net::IpAddr::V6(address).into())),
    }
}

/// Name and password that stand in the address.
fn login(base: &Url) -> Option<HeaderValue> {
    let password = base.password().unwrap_or_default();
    if base.username().is_empty() && password.is_empty() {
        return None;
    }
    let read = |part: &str| percent_encoding::percent_decode_str(part).decode_utf8_lossy().into_owned();
    let pair = BASE64_STANDARD.encode(format!("{}:{}", read(base.username()), read(password)));
    let mut login = HeaderValue::from_str(&format!("Basic {pair}")).ok()?;
    login.set_sensitive(true);
    Some(login)
}
