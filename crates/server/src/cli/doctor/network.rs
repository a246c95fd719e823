//! Where alertcast listens, and where TradingView finds it.

use std::error::Error as _;
use std::net::IpAddr;

use serde_json::Value;
use url::{Host, Url};

use super::DoctorFinding;
use super::server::{self, PortOwner};
use crate::settings::Settings;

pub(super) async fn look(settings: &Settings, server: &PortOwner) -> Vec<DoctorFinding> {
    let mut findings = vec![check_listening(settings, server)];
    findings.extend(troubles(server));
    match &settings.public_url {
        None => findings.push(DoctorFinding::attention(
            "public_url is not set: nobody can tell whether TradingView reaches this server",
            "set it to the address that TradingView posts to, https://alerts.example.com say. TradingView posts to \
             ports 80 and 443 only, and not to IPv6 addresses",
        )),
        Some(url) => {
            let wrong = unreachable_by_tradingview(url);
            if wrong.is_empty() {
                findings.push(check_reached(url, server).await);
            }
            findings.extend(wrong);
            findings.push(check_encrypted(url));
        }
    }
    findings
}

fn check_listening(settings: &Settings, server: &PortOwner) -> DoctorFinding {
    let listen = settings.listen;
    let another = "stop it, or choose another address with listen (or --listen)";
    match server {
        PortOwner::Free => DoctorFinding::good(format!("{listen} is free to listen on")),
        PortOwner::Ready(_) => DoctorFinding::good(format!("An alertcast is running on {listen}, and is ready")),
        PortOwner::NotReady(detail) => DoctorFinding::bad(
            format!("An alertcast is running on {listen}, but is not ready: {detail}"),
            "look into its log; what follows about the store may say more",
        ),
        PortOwner::Stranger => DoctorFinding::bad(format!("Another program listens on {listen}"), another),
        PortOwner::Refused { denied: true, error } => DoctorFinding::bad(
            format!("{listen} may not be listened on: {error}"),
            "ports below 1024 are for root: listen on 127.0.0.1:8080 and put a proxy with TLS before it",
        ),
        PortOwner::Refused { error, .. } => DoctorFinding::bad(
            format!("{listen} cannot be listened on: {error}"),
            "the address must be one of this machine's; 127.0.0.1:8080, or 0.0.0.0:8080 for every interface",
        ),
    }
}

/// What the running alertcast says of itself.
fn troubles(server: &PortOwner) -> Vec<DoctorFinding> {
    let PortOwner::Ready(troubles) = server else { return Vec::new() };
    let finding = |text: &String| {
        DoctorFinding::attention(format!("The running alertcast says: {text}"), "its log and /readyz say more about it")
    };
    troubles.iter().map(finding).collect()
}

/// What TradingView would not post to, whatever stands behind it.
fn unreachable_by_tradingview(url: &Url) -> Vec<DoctorFinding> {
    let mut findings = Vec::new();
    let port = url.port_or_known_default().unwrap_or_default();
    if !matches!(port, 80 | 443) {
        findings.push(DoctorFinding::bad(
            format!("public_url names port {port}, and TradingView posts to ports 80 and 443 only"),
            "put a proxy on port 443 before alertcast, and take the port out of public_url",
        ));
    }
    let inward = match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost") || name.ends_with(".local"),
        Some(Host::Ipv4(ip)) => ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.is_unspecified(),
        Some(Host::Ipv6(ip)) => IpAddr::from(ip).is_loopback() || ip.is_unspecified(),
        None => false,
    };
    if inward {
        findings.push(DoctorFinding::bad(
            format!(
                "public_url names {}, which only this machine or network knows",
                url.host_str().unwrap_or_default()
            ),
            "name the address by which the Internet reaches this server",
        ));
    } else if matches!(url.host(), Some(Host::Ipv6(_))) {
        findings.push(DoctorFinding::bad(
            "public_url names an IPv6 address, which TradingView does not post to",
            "name an IPv4 address, or a domain that has one",
        ));
    }
    findings
}

fn check_encrypted(url: &Url) -> DoctorFinding {
    if url.scheme() == "https" {
        return DoctorFinding::good("public_url is https: the webhook's secret travels encrypted");
    }
    DoctorFinding::attention(
        "public_url is http: the secret in the webhook's address can be read on the way",
        "let the proxy before alertcast speak TLS (Caddy does so by itself), and write https in public_url",
    )
}

/// Whether the public address leads here; it is asked from here, which is not quite from outside.
async fn check_reached(url: &Url, server: &PortOwner) -> DoctorFinding {
    let shown = url.as_str().trim_end_matches('/');
    let page = format!("{shown}/healthz");
    let asked = match server::client() {
        Ok(client) => client.get(&page).send().await,
        Err(error) => Err(error),
    };
    match asked {
        Ok(answer) => {
            let status = answer.status();
            let page: Value = answer.json().await.unwrap_or(Value::Null);
            if status.is_success() && server::is_alive(&page) {
                DoctorFinding::good(format!("{shown} leads to a running alertcast"))
            } else if server.runs() {
                DoctorFinding::bad(
                    format!("{shown} answers, but it is not alertcast that does ({status})"),
                    "let the proxy there pass /webhook/ and /healthz on to where alertcast listens",
                )
            } else {
                DoctorFinding::attention(
                    format!(
                        "{shown} answers {status}; alertcast does not run, so it cannot be told whether it leads here"
                    ),
                    "start alertcast, then run `alertcast doctor` again",
                )
            }
        }
        Err(error) => {
            let why = error_text(&error.without_url());
            DoctorFinding::attention(
                format!("{shown} cannot be reached from here: {why}"),
                "check the name, the firewall and the certificate; from inside some networks the public address \
                 cannot be reached though it works from outside",
            )
        }
    }
}

fn error_text(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = inner.to_string();
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::FindingMark;
    use super::*;

    #[test]
    fn tradingview_posts_to_public_addresses_on_two_ports() {
        let wrong = |url: &str| unreachable_by_tradingview(&url.parse().unwrap()).len();
        for well in ["https://alerts.example.com", "http://203.0.113.7", "https://alerts.example.com/in/"] {
            assert_eq!(wrong(well), 0, "{well}");
        }
        let table = [
            ("https://alerts.example.com:8443", 1),
            ("http://localhost", 1),
            ("http://192.168.1.4:8080", 2),
            ("https://[2001:db8::1]", 1),
            ("http://[::1]:8080", 2),
        ];
        for (url, count) in table {
            assert_eq!(wrong(url), count, "{url}");
        }
        assert_eq!(check_encrypted(&"http://a.example".parse().unwrap()).mark, FindingMark::Attention);
        assert_eq!(check_encrypted(&"https://a.example".parse().unwrap()).mark, FindingMark::Good);
    }
}
