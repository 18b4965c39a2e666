//! How browsers and agents reach the hub.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use http::uri::{Authority, Scheme, Uri};

/// `https://host[:port]`, or `http://` towards loopback: no path, no user, no trailing slash, lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl {
    text: String,
    secure: bool,
    host: String,
    port: u16,
}

impl PublicUrl {
    /// Takes a URL that people wrote.
    ///
    /// # Errors
    /// The rest of a sentence that begins with the setting's name.
    pub fn parse(text: &str) -> Result<Self, String> {
        let uri: Uri =
            text.parse().map_err(|_| format!("is {text:?}, which is not a URL such as https://hub.example.com"))?;
        let secure = if uri.scheme() == Some(&Scheme::HTTPS) {
            true
        } else if uri.scheme() == Some(&Scheme::HTTP) {
            false
        } else {
            return Err("must begin with https://, or with http:// towards loopback".to_owned());
        };
        let authority = uri.authority().ok_or("must name a host")?;
        if authority.as_str().contains('@') {
            return Err("must not hold a user name".to_owned());
        }
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() || text.contains('#') {
            return Err(
                "must be a bare origin such as https://hub.example.com: the hub serves from the root".to_owned()
            );
        }
        let host = authority.host().to_ascii_lowercase();
        if host.is_empty() {
            return Err("must name a host".to_owned());
        }
        let port = port_of(authority, secure)?;
        let url = Self::new(secure, host, port);
        if !url.secure && !url.is_loopback() {
            return Err(
                "must be https:// unless it names loopback: passwords would cross the network in the clear".to_owned()
            );
        }
        Ok(url)
    }

    /// The URL of a listener that was given none of its own.
    #[must_use]
    pub fn of_listener(secure: bool, address: SocketAddr) -> Self {
        let host = match address.ip() {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        };
        Self::new(secure, host, address.port())
    }

    fn new(secure: bool, host: String, port: u16) -> Self {
        let scheme = if secure { "https" } else { "http" };
        let text = if port == default_port(secure) {
            format!("{scheme}://{host}")
        } else {
            format!("{scheme}://{host}:{port}")
        };
        Self { text, secure, host, port }
    }

    /// The URL, without a trailing slash.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it is `https://`.
    #[must_use]
    pub const fn is_secure(&self) -> bool {
        self.secure
    }

    /// The host; an IPv6 address in brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, also where the URL leaves it out.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// `host[:port]` as clients send it in the Host header: the scheme's own port is left out.
    #[must_use]
    pub fn authority(&self) -> &str {
        self.text.split_once("://").map_or("", |(_, authority)| authority)
    }

    /// The host as an address, where it is one.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        self.host.trim_start_matches('[').trim_end_matches(']').parse().ok()
    }

    /// Whether only this machine can reach it.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.host.ends_with(".localhost") || self.ip().is_some_and(|ip| ip.is_loopback())
    }

    /// Where agents connect: `wss://…` or, towards loopback, `ws://…`.
    #[must_use]
    pub fn websocket(&self, path: &str) -> String {
        format!("{}://{}{path}", if self.secure { "wss" } else { "ws" }, self.authority())
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

const fn default_port(secure: bool) -> u16 {
    if secure { 443 } else { 80 }
}

fn port_of(authority: &Authority, secure: bool) -> Result<u16, String> {
    let after_host = authority.as_str().get(authority.host().len()..).unwrap_or_default();
    match (after_host, authority.port_u16()) {
        ("", _) => Ok(default_port(secure)),
        (_, Some(port)) if port > 0 => Ok(port),
        _ => Err("must have a port from 1 to 65535, or none".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_normalised() {
        for (text, url, authority) in [
            ("https://Hub.Example.com/", "https://hub.example.com", "hub.example.com"),
            ("https://hub.example.com:443", "https://hub.example.com", "hub.example.com"),
            ("https://192.0.2.7:8443", "https://192.0.2.7:8443", "192.0.2.7:8443"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080", "127.0.0.1:8080"),
            ("http://[::1]:8080", "http://[::1]:8080", "[::1]:8080"),
            ("http://localhost", "http://localhost", "localhost"),
        ] {
            let parsed = PublicUrl::parse(text).unwrap();
            assert_eq!((parsed.as_str(), parsed.authority()), (url, authority));
        }
        let hub = PublicUrl::parse("https://hub.example.com").unwrap();
        assert_eq!(hub.websocket("/v1/agent"), "wss://hub.example.com/v1/agent");
    }

    #[test]
    fn what_is_no_origin_is_refused() {
        for bad in [
            "",
            "hub.example.com",
            "http://hub.example.com",
            "http://192.0.2.7",
            "ftp://hub.example.com",
            "https://hub.example.com/base",
            "https://hub.example.com/?x=1",
            "https://hub.example.com/#x",
            "https://user:pw@hub.example.com",
            "https://hub.example.com:0",
            "https://hub.example.com:99999",
            "https://hub example.com",
            "https://",
        ] {
            assert!(PublicUrl::parse(bad).is_err(), "{bad}");
        }
    }
}
