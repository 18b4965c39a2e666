//! Where the hub is: `https://…` for registration, `wss://…` for the link, parsed once.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tokio_tungstenite::tungstenite::http::Uri;

/// A hub address that may be dialled: TLS, or plain to this very machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    tls: bool,
    host: Host,
    port: u16,
    path: String,
}

/// The host part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// A DNS name, lower case.
    Name(String),
    /// A literal address.
    Address(IpAddr),
}

/// Which pair of schemes an address is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// `https`, or `http` to loopback.
    Http,
    /// `wss`, or `ws` to loopback.
    WebSocket,
}

/// Why a text is no address that may be dialled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// Not a URL.
    #[error("{0:?} is not a URL such as https://hub.example.com")]
    Malformed(String),
    /// A scheme that this side does not dial.
    #[error("{url:?} starts with neither {expected}")]
    Scheme {
        /// What was given.
        url: String,
        /// What is taken.
        expected: &'static str,
    },
    /// Plain to somewhere else.
    #[error("{0:?} is not encrypted, and plain connections go to loopback addresses only; use https")]
    Plain(String),
    /// More than scheme, host, port and path.
    #[error("{0:?} must hold no user name, query or fragment")]
    Excess(String),
}

impl Endpoint {
    /// Parses an address of `family`.
    ///
    /// # Errors
    /// [`EndpointError`]; plain addresses are refused unless they name this machine.
    pub fn parse(family: Family, url: &str) -> Result<Self, EndpointError> {
        let shown = || url.chars().take(200).collect::<String>();
        // http::Uri drops a fragment silently.
        if url.contains('#') {
            return Err(EndpointError::Excess(shown()));
        }
        let uri: Uri = url.trim().parse().map_err(|_| EndpointError::Malformed(shown()))?;
        let (tls_scheme, plain_scheme, expected) = match family {
            Family::Http => ("https", "http", "https:// nor http://"),
            Family::WebSocket => ("wss", "ws", "wss:// nor ws://"),
        };
        let tls = match uri.scheme_str() {
            Some(scheme) if scheme == tls_scheme => true,
            Some(scheme) if scheme == plain_scheme => false,
            Some(_) => return Err(EndpointError::Scheme { url: shown(), expected }),
            None => return Err(EndpointError::Malformed(shown())),
        };
        let authority = uri.authority().ok_or_else(|| EndpointError::Malformed(shown()))?;
        if authority.as_str().contains('@') || uri.query().is_some() {
            return Err(EndpointError::Excess(shown()));
        }
        let host = Host::parse(authority.host()).ok_or_else(|| EndpointError::Malformed(shown()))?;
        if !tls && host.local_addresses().is_none() {
            return Err(EndpointError::Plain(shown()));
        }
        let port = match authority.port() {
            Some(port) => port.as_u16(),
            // A port that http::Uri could not read is no port, and must not become the default one.
            None if authority.as_str().ends_with(authority.host()) => default_port(tls),
            None => return Err(EndpointError::Malformed(shown())),
        };
        Ok(Self { tls, host, port, path: uri.path().trim_end_matches('/').to_owned() })
    }

    /// The same place with `path` appended.
    #[must_use]
    pub fn join(&self, path: &str) -> Self {
        Self { path: format!("{}{path}", self.path), ..self.clone() }
    }

    /// Whether the connection is encrypted.
    #[must_use]
    pub const fn is_tls(&self) -> bool {
        self.tls
    }

    /// The host part.
    #[must_use]
    pub const fn host(&self) -> &Host {
        &self.host
    }

    /// The port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The path of a request, at least `/`.
    #[must_use]
    pub fn path(&self) -> &str {
        if self.path.is_empty() { "/" } else { &self.path }
    }

    /// The `Host` header.
    #[must_use]
    pub fn host_header(&self) -> String {
        if self.port == default_port(self.tls) { self.host.to_string() } else { format!("{}:{}", self.host, self.port) }
    }

    /// The address as a URL of `family`, the form that [`Endpoint::parse`] reads.
    #[must_use]
    pub fn to_url(&self, family: Family) -> String {
        let scheme = match (family, self.tls) {
            (Family::Http, true) => "https",
            (Family::Http, false) => "http",
            (Family::WebSocket, true) => "wss",
            (Family::WebSocket, false) => "ws",
        };
        format!("{scheme}://{}{}", self.host_header(), self.path)
    }
}

impl Host {
    fn parse(text: &str) -> Option<Self> {
        if let Some(literal) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            return literal.parse().ok().map(|address| Self::Address(IpAddr::V6(address)));
        }
        if let Ok(address) = text.parse::<Ipv4Addr>() {
            return Some(Self::Address(IpAddr::V4(address)));
        }
        let name = text.to_ascii_lowercase();
        let plausible = !name.is_empty()
            && name.len() <= 253
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'));
        plausible.then_some(Self::Name(name))
    }

    /// The addresses of a host that is this machine, without asking anybody.
    #[must_use]
    pub fn local_addresses(&self) -> Option<Vec<IpAddr>> {
        match self {
            Self::Address(address) if address.is_loopback() => Some(vec![*address]),
            Self::Name(name) if name == "localhost" => {
                Some(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()])
            }
            _ => None,
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(address)) => write!(f, "{address}"),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

const fn default_port(tls: bool) -> u16 {
    if tls { 443 } else { 80 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(url: &str) -> Result<Endpoint, EndpointError> {
        Endpoint::parse(Family::Http, url)
    }

    #[test]
    fn addresses_are_taken_apart() {
        let hub = parse("https://Hub.example.com/").unwrap();
        assert_eq!((hub.is_tls(), hub.port(), hub.path()), (true, 443, "/"));
        assert_eq!(hub.host(), &Host::Name("hub.example.com".into()));
        assert_eq!(hub.join("/v1/agent").to_url(Family::WebSocket), "wss://hub.example.com/v1/agent");
        let literal = parse("https://[2001:db8::1]:8443/base/").unwrap();
        assert_eq!(literal.host_header(), "[2001:db8::1]:8443");
        assert_eq!(literal.join("/v1").path(), "/base/v1");
    }

    #[test]
    fn plain_goes_to_this_machine_only() {
        for local in ["http://127.0.0.1:8080", "http://[::1]:8080", "http://localhost"] {
            assert!(parse(local).is_ok(), "{local}");
        }
        for elsewhere in ["http://hub.example.com", "http://10.0.0.1", "http://localhost.example.com", "http://0.0.0.0"]
        {
            assert!(matches!(parse(elsewhere), Err(EndpointError::Plain(_))), "{elsewhere}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for bad in [
            "",
            "hub.example.com",
            "https://",
            "https://user@hub/",
            "https://hub/?a=b",
            "https://hub/#x",
            "wss://hub/",
            "ftp://hub/",
            "https://hub:99999/",
            "https://hub:/",
            "https://[::1",
            "https://h\u{fc}b/",
        ] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_round_trips(url in ".{0,80}") {
            if let Ok(endpoint) = parse(&url) {
                prop_assert_eq!(parse(&endpoint.to_url(Family::Http)), Ok(endpoint));
            }
        }
    }
}
