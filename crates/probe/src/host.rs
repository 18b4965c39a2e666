//! What a target is called: a name or an address, never both.

use std::fmt;
use std::net::IpAddr;

use rustls_pki_types::ServerName;
use url::Host as UrlHost;

/// A name in its ASCII form, or an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Host {
    Name(String),
    Address(IpAddr),
}

impl Host {
    /// Reads one as URLs do, so that `127.1`, `0x7f.1` and `①②⑦.0.0.1` are the address that a resolver would make of them.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        if let Ok(address) = bare.parse() {
            return Some(Self::Address(address));
        }
        UrlHost::parse(text).ok().and_then(|host| Self::of(&host))
    }

    /// That of a URL.
    pub(crate) fn of<S: AsRef<str>>(host: &UrlHost<S>) -> Option<Self> {
        match host {
            UrlHost::Ipv4(address) => Some(Self::Address((*address).into())),
            UrlHost::Ipv6(address) => Some(Self::Address((*address).into())),
            UrlHost::Domain(name) if name.as_ref().trim_end_matches('.').is_empty() => None,
            UrlHost::Domain(name) => Some(Self::Name(name.as_ref().to_owned())),
        }
    }

    /// As TLS asks for it.
    pub(crate) fn server_name(&self) -> Option<ServerName<'static>> {
        match self {
            Self::Address(address) => Some(ServerName::from(*address)),
            Self::Name(name) => ServerName::try_from(name.trim_end_matches('.').to_owned()).ok(),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(address) => address.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_in_disguise_is_an_address() {
        for text in ["127.0.0.1", "127.1", "0x7f.1", "0177.0.0.1", "2130706433", "①②⑦.0.0.1"] {
            assert_eq!(Host::parse(text), Some(Host::Address("127.0.0.1".parse().unwrap())), "{text}");
        }
        assert_eq!(Host::parse("::1"), Host::parse("[::1]"));
        assert_eq!(Host::parse("Bücher.example"), Some(Host::Name("xn--bcher-kva.example".to_owned())));
        for bad in ["", ".", "a b", "a/b", "[::1", "fe80::1%eth0", "a@b", "1.2.3.4.5.6.7.256"] {
            assert_eq!(Host::parse(bad), None, "{bad}");
        }
    }
}
