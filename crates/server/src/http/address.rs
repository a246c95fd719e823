//! Whose request it is, and whether that address may post.

use std::net::{IpAddr, SocketAddr};

use axum::http::HeaderMap;
use ipnet::IpNet;

/// The configured lists.
#[derive(Debug)]
pub(in crate::http) struct AddressRules {
    allowed: Vec<IpNet>,
    proxies: Vec<IpNet>,
}

impl AddressRules {
    pub(in crate::http) fn new(allowed: &[IpNet], proxies: &[IpNet]) -> Self {
        Self { allowed: allowed.to_vec(), proxies: proxies.to_vec() }
    }

    /// Whether the address may post; with no list, any may.
    pub(in crate::http) fn allows(&self, address: IpAddr) -> bool {
        self.allowed.is_empty() || contains(&self.allowed, address)
    }

    /// The sender's address: the peer's, unless the peer is a trusted proxy. Then `X-Forwarded-For` is read from its
    /// end, and the first address that is no trusted proxy's is the sender's. What stands before it, anybody could have
    /// written.
    pub(in crate::http) fn sender(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut sender = peer.to_canonical();
        let lines: Vec<&str> =
            headers.get_all("x-forwarded-for").iter().filter_map(|line| line.to_str().ok()).collect();
        let mut hops = lines.iter().rev().flat_map(|line| line.rsplit(','));
        while contains(&self.proxies, sender) {
            // A hop that is no address: the proxy after it is all that is known.
            let Some(before) = hops.next().and_then(parse) else { break };
            sender = before;
        }
        sender
    }
}

fn contains(networks: &[IpNet], address: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(&address))
}

/// An address as proxies write it: alone, in brackets, or with a port.
fn parse(hop: &str) -> Option<IpAddr> {
    let hop = hop.trim().trim_matches('"');
    let bare = hop.strip_prefix('[').and_then(|hop| hop.strip_suffix(']')).unwrap_or(hop);
    let address = bare.parse().ok().or_else(|| hop.parse::<SocketAddr>().ok().map(|address| address.ip()));
    address.map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sender(proxies: &[&str], peer: &str, forwarded: &[&str]) -> String {
        let proxies: Vec<IpNet> = proxies.iter().map(|net| net.parse().unwrap()).collect();
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append("x-forwarded-for", line.parse().unwrap());
        }
        AddressRules::new(&[], &proxies).sender(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn a_stranger_cannot_claim_another_address() {
        assert_eq!(sender(&[], "203.0.113.9", &["52.89.214.238"]), "203.0.113.9");
        assert_eq!(sender(&["10.0.0.0/8"], "203.0.113.9", &["52.89.214.238"]), "203.0.113.9");
    }

    #[test]
    fn behind_trusted_proxies_the_last_address_that_is_none_of_theirs_counts() {
        let proxies = ["10.0.0.0/8", "127.0.0.1/32"];
        let table: &[(&[&str], &str)] = &[
            (&["52.89.214.238"], "52.89.214.238"),
            (&["1.1.1.1, 52.89.214.238, 10.2.3.4"], "52.89.214.238"),
            (&["1.1.1.1", "52.89.214.238"], "52.89.214.238"),
            (&["52.89.214.238:4711"], "52.89.214.238"),
            (&["[2001:db8::1]:80"], "2001:db8::1"),
            (&["\"[2001:db8::1]\""], "2001:db8::1"),
            (&["::ffff:52.89.214.238"], "52.89.214.238"),
            (&["52.89.214.238, unknown"], "127.0.0.1"),
            (&["52.89.214.238, "], "127.0.0.1"),
            (&["10.1.1.1"], "10.1.1.1"),
            (&[], "127.0.0.1"),
        ];
        for (forwarded, expected) in table {
            assert_eq!(sender(&proxies, "127.0.0.1", forwarded), *expected, "{forwarded:?}");
        }
        assert_eq!(sender(&proxies, "::ffff:127.0.0.1", &["52.89.214.238"]), "52.89.214.238");
    }
}
