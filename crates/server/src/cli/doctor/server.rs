//! Who listens where alertcast would: nobody, a running alertcast, or a stranger.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use serde_json::Value;
use tokio::net::TcpListener;

use crate::settings::Settings;

/// How long an answer may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// Who has the port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PortOwner {
    /// Nobody: it can be listened on.
    Free,
    /// An alertcast that runs and takes alerts in, with what does not work as it should all the same.
    Ready(Vec<String>),
    /// An alertcast that runs and is not ready, with what it says.
    NotReady(String),
    /// Somebody else.
    Stranger,
    /// It cannot be listened on for another reason.
    Refused { denied: bool, error: String },
}

impl PortOwner {
    /// Whether an alertcast runs there.
    pub(super) const fn runs(&self) -> bool {
        matches!(self, Self::Ready(_) | Self::NotReady(_))
    }
}

/// Tries the port, and asks whoever has it.
pub(super) async fn ask(settings: &Settings) -> PortOwner {
    match TcpListener::bind(settings.listen).await {
        Ok(_) => PortOwner::Free,
        Err(error) if error.kind() == ErrorKind::AddrInUse => who(settings.listen).await,
        Err(error) => {
            PortOwner::Refused { denied: error.kind() == ErrorKind::PermissionDenied, error: error.to_string() }
        }
    }
}

async fn who(listen: SocketAddr) -> PortOwner {
    let address = SocketAddr::new(reached_at(listen.ip()), listen.port());
    let Some((200, alive)) = get(&format!("http://{address}/healthz")).await else { return PortOwner::Stranger };
    if !is_alive(&alive) {
        return PortOwner::Stranger;
    }
    match get(&format!("http://{address}/readyz")).await {
        Some((200, page)) => PortOwner::Ready(troubles(&page)),
        Some((_, page)) => {
            PortOwner::NotReady(page["detail"].as_str().unwrap_or("it does not say what is wrong").to_owned())
        }
        None => PortOwner::NotReady("it does not answer".to_owned()),
    }
}

/// What a page of `/readyz` says that does not work as it should.
fn troubles(page: &Value) -> Vec<String> {
    let all = page["degraded"].as_array().map(Vec::as_slice).unwrap_or_default();
    all.iter().filter_map(|trouble| trouble["text"].as_str()).map(str::to_owned).collect()
}

/// Whether a page is our `/healthz`.
pub(super) fn is_alive(page: &Value) -> bool {
    page["status"] == "alive"
}

/// Every interface is reached at the machine itself.
fn reached_at(listen: IpAddr) -> IpAddr {
    match listen {
        IpAddr::V4(any) if any.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(any) if any.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        one => one,
    }
}

async fn get(url: &str) -> Option<(u16, Value)> {
    let client = client().ok()?;
    let answer = client.get(url).send().await.ok()?;
    let status = answer.status().as_u16();
    Some((status, answer.json().await.unwrap_or(Value::Null)))
}

/// A client that waits for nobody long, and follows nobody elsewhere.
pub(super) fn client() -> reqwest::Result<reqwest::Client> {
    crate::tls::choose_provider();
    reqwest::Client::builder().timeout(PATIENCE).redirect(reqwest::redirect::Policy::none()).build()
}
