//! Who is at the other end of a request.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use axum::http::{HeaderMap, header};

use crate::access::RequestOrigin;
use crate::config::Cidr;

const MAX_USER_AGENT: usize = 200;
const FORWARDED_FOR: &str = "x-forwarded-for";

/// The other end of the connection, put into every request by the listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// The client's address: that of the connection, or what the listed proxies say about who connected to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientAddress(pub IpAddr);

impl ClientAddress {
    /// From the connection and the headers of the request.
    #[must_use]
    pub fn of(peer: Option<Peer>, headers: &HeaderMap, proxies: &[Cidr]) -> Self {
        // A request without a connection comes from a test or from the hub itself.
        let mut client = peer.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |Peer(address)| address.ip().to_canonical());
        let listed = |address: IpAddr| proxies.iter().any(|range| range.contains(address));
        // Every proxy appends whom it heard from, so only what stands right of the first stranger can be believed.
        let lines = headers.get_all(FORWARDED_FOR).iter().rev();
        for hop in lines.filter_map(|line| line.to_str().ok()).flat_map(|line| line.rsplit(',')) {
            if !listed(client) {
                break;
            }
            let Some(address) = address_of(hop.trim()) else { break };
            client = address;
        }
        Self(client)
    }

    /// What limits are counted by: an IPv6 customer owns at least a /64.
    #[must_use]
    pub fn limit_key(self) -> IpAddr {
        match self.0 {
            IpAddr::V4(_) => self.0,
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from(u128::from(address) >> 64 << 64)),
        }
    }
}

/// What records keep about where a request came from.
pub(super) fn origin(client: ClientAddress, headers: &HeaderMap, request_id: &str) -> RequestOrigin {
    let agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    RequestOrigin {
        ip: client.0.to_string(),
        user_agent: agent.chars().take(MAX_USER_AGENT).collect(),
        request_id: request_id.to_owned(),
    }
}

/// `192.0.2.1`, `192.0.2.1:1234`, `2001:db8::1` or `[2001:db8::1]:1234`.
fn address_of(text: &str) -> Option<IpAddr> {
    let address = text.parse::<IpAddr>().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip()));
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    address.or_else(bracketed).map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(peer: &str, forwarded: &[&str], client: &str) {
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append(FORWARDED_FOR, line.parse().unwrap());
        }
        let proxies = ["10.0.0.0/8".parse().unwrap(), "::1".parse().unwrap()];
        let found = ClientAddress::of(Some(Peer(peer.parse().unwrap())), &headers, &proxies);
        assert_eq!(found.0.to_string(), client, "{peer} {forwarded:?}");
    }

    #[test]
    fn only_listed_proxies_are_believed() {
        check("192.0.2.1:5", &[], "192.0.2.1");
        check("192.0.2.1:5", &["203.0.113.9"], "192.0.2.1");
        check("10.0.0.1:5", &["203.0.113.9"], "203.0.113.9");
        check("10.0.0.1:5", &["1.1.1.1, 203.0.113.9"], "203.0.113.9");
        check("10.0.0.1:5", &["1.1.1.1", "203.0.113.9, 10.0.0.2"], "203.0.113.9");
        check("10.0.0.1:5", &["10.0.0.7, 10.0.0.2"], "10.0.0.7");
        check("10.0.0.1:5", &["rubbish, 10.0.0.2"], "10.0.0.2");
        check("[::1]:5", &["[2001:db8::1]:99"], "2001:db8::1");
        check("[::ffff:10.0.0.1]:5", &["203.0.113.9:80"], "203.0.113.9");
        check("[::ffff:192.0.2.1]:5", &["203.0.113.9"], "192.0.2.1");
    }

    #[test]
    fn an_ipv6_customer_is_counted_once() {
        let key = |text: &str| ClientAddress(text.parse().unwrap()).limit_key().to_string();
        assert_eq!(key("2001:db8:1:2:aaaa::1"), key("2001:db8:1:2:bbbb::2"));
        assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
        assert_ne!(key("192.0.2.1"), key("192.0.2.2"));
    }
}
