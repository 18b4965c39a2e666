//! A URL that somebody wishes for, checked as far as it can be without asking anybody.

use std::fmt;
use std::net::IpAddr;

use reqwest::Url;

use super::address::{Reach, class};

/// Longest URL that is taken, in bytes.
pub const MAX_URL_BYTES: usize = 2048;

/// Where a request may go: a URL and the reach that whoever named it has. There is no other way to name a destination,
/// so no request goes further than the right of the one who wished for it.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    url: Url,
    reach: Reach,
}

/// Why a URL is not taken: the rest of a sentence that begins with the name of its field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadUrl(pub &'static str);

impl Target {
    /// A URL of somebody who may reach the Internet: https only.
    ///
    /// # Errors
    /// When it is no such URL, or names an address that lies elsewhere.
    pub fn public(text: &str) -> Result<Self, BadUrl> {
        Self::parse(text, Reach::Public)
    }

    /// A URL of somebody who runs the hub: http, loopback and private networks too.
    ///
    /// # Errors
    /// When it is no such URL, or names an address that nobody may reach.
    pub fn private(text: &str) -> Result<Self, BadUrl> {
        Self::parse(text, Reach::Private)
    }

    /// A URL of somebody with this reach.
    ///
    /// # Errors
    /// When it is no such URL, or names an address beyond it.
    pub fn parse(text: &str, reach: Reach) -> Result<Self, BadUrl> {
        if text.len() > MAX_URL_BYTES {
            return Err(BadUrl("must be at most 2048 bytes long"));
        }
        // The parser of URLs drops line breaks and blanks; what is stored, shown and signed must be what was meant.
        if text.chars().any(|char| char.is_control() || char.is_whitespace()) {
            return Err(BadUrl("must not contain blanks or line breaks"));
        }
        let url = Url::parse(text).map_err(|_| BadUrl("must be a URL such as https://hooks.example.com/roadstead"))?;
        match (url.scheme(), reach) {
            ("https", _) | ("http", Reach::Private) => {}
            ("http", Reach::Public) => {
                return Err(BadUrl(
                    "must begin with https://; plain http needs the permission to reach private networks",
                ));
            }
            _ => return Err(BadUrl("must begin with https://")),
        }
        if !url.username().is_empty() || url.password().is_some() || authority(text).contains('@') {
            return Err(BadUrl("must not hold a user name or a password; verify the signature instead"));
        }
        if url.fragment().is_some() {
            return Err(BadUrl("must not have a part after #: it is never sent"));
        }
        if url.port() == Some(0) {
            return Err(BadUrl("must not name port 0"));
        }
        let target = Self { url, reach };
        if target.host().is_empty() {
            return Err(BadUrl("must name a host"));
        }
        if target.address().is_some_and(|address| !reach.covers(class(address))) {
            return Err(match reach {
                Reach::Public => BadUrl("must name a host on the Internet, not a private or reserved address"),
                Reach::Private => BadUrl("must not name a link-local, multicast, reserved or metadata address"),
            });
        }
        Ok(target)
    }

    /// How far it may go.
    #[must_use]
    pub const fn reach(&self) -> Reach {
        self.reach
    }

    /// The whole URL, normalised.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.url.as_str()
    }

    /// Its host: a name, or an address without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        let host = self.url.host_str().unwrap_or_default();
        host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.url.port_or_known_default().unwrap_or_default()
    }

    /// Its host, when that is an address: no resolver is asked then.
    pub(super) fn address(&self) -> Option<IpAddr> {
        self.host().parse().ok()
    }

    pub(super) fn url(&self) -> Url {
        self.url.clone()
    }
}

/// Paths and queries of webhooks are often secrets of the receiving side.
impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({}:{} {:?})", self.host(), self.port(), self.reach)
    }
}

fn authority(text: &str) -> &str {
    let rest = text.split_once(':').map_or(text, |(_, rest)| rest).trim_start_matches(['/', '\\']);
    rest.split(['/', '\\', '?', '#']).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_members_lead_to_the_internet() {
        for good in [
            "https://hooks.example.com",
            "https://hooks.example.com:8443/a/b?c=d",
            "https://1.1.1.1/x",
            "https://[2606:4700:4700::1111]/x",
            "HTTPS://Example.COM/x@y",
            "https://xn--bcher-kva.example/",
        ] {
            assert!(Target::public(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "x",
            "/relative",
            "http://hooks.example.com/",
            "ftp://hooks.example.com/",
            "file:///etc/passwd",
            "gopher://127.0.0.1:25/_",
            "javascript:alert(1)",
            "https://",
            "https:///",
            "https://ann:secret@hooks.example.com/",
            "https://ann@hooks.example.com/",
            "https://@hooks.example.com/",
            "https:\\\\@hooks.example.com/",
            "https://1.1.1.1@127.0.0.1/",
            "https://hooks.example.com/#part",
            "https://hooks.example.com:0/",
            "https://hooks.example.com:99999/",
            "https://hooks.example.com/a b",
            "https://hooks.example.com/\r\nHost: x",
            "https://hooks.example\t.com/",
            "https://127.0.0.1/",
            "https://127.1/",
            "https://0x7f.1/",
            "https://0177.0.0.1/",
            "https://2130706433/",
            "https://127.0.0.1./",
            "https://0/",
            "https://①②⑦.0.0.1/",
            "https://10.1.2.3/",
            "https://169.254.169.254/latest/meta-data/",
            "https://[::1]/",
            "https://[::ffff:127.0.0.1]/",
            "https://[::ffff:7f00:1]/",
            "https://[64:ff9b::7f00:1]/",
            "https://[2002:7f00:1::]/",
            "https://[fe80::1%25eth0]/",
            "https://[fd00::1]/",
        ] {
            assert!(Target::public(bad).is_err(), "{bad}");
        }
        assert!(Target::public(&format!("https://hooks.example.com/{}", "x".repeat(1 << 20))).is_err());
    }

    #[test]
    fn who_runs_the_hub_reaches_their_own_networks_but_no_metadata() {
        for good in ["http://127.0.0.1:9000/x", "http://10.1.2.3/", "http://[::1]:80/", "http://receiver:8080/x"] {
            assert!(Target::private(good).is_ok(), "{good}");
        }
        for bad in [
            "http://169.254.169.254/",
            "http://[fe80::1]/",
            "http://0.0.0.0/",
            "http://[fd00:ec2::254]/",
            "ftp://10.1.2.3/",
            "http://ann:x@10.1.2.3/",
        ] {
            assert!(Target::private(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn paths_are_not_printed() {
        let target = Target::public("https://hooks.example.com/secret-path?token=secret").unwrap();
        assert_eq!(format!("{target:?}"), "Target(hooks.example.com:443 Public)");
        assert_eq!((target.host(), target.port()), ("hooks.example.com", 443));
        assert_eq!(Target::private("http://[::1]:81/").unwrap().host(), "::1");
    }
}
