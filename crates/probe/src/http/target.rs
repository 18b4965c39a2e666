//! A URL to ask.

use protocol::probe::MAX_URL;
use url::Url;

use crate::host::Host;

/// A URL without user, password and fragment, whose host is known to be a name or an address.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    url: Url,
    host: Host,
}

impl Target {
    /// Reads one; what is wrong is the rest of a sentence.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        Self::of(Url::parse(text).map_err(|_| "must be a URL such as https://www.example.com/health".to_owned())?)
    }

    /// Where a `Location` leads from here.
    pub(crate) fn join(&self, location: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(location).ok().filter(|text| text.len() <= MAX_URL);
        let joined = text.and_then(|text| self.url.join(text).ok());
        Self::of(joined.ok_or_else(|| "must be a URL of at most 2048 bytes".to_owned())?)
    }

    fn of(mut url: Url) -> Result<Self, String> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err("must begin with http:// or https://".to_owned());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("must not hold a user name or a password; send them in a header".to_owned());
        }
        if url.port() == Some(0) {
            return Err("must not name port 0".to_owned());
        }
        url.set_fragment(None);
        let host = url.host().as_ref().and_then(Host::of).ok_or_else(|| "must name a host".to_owned())?;
        Ok(Self { url, host })
    }

    pub(crate) fn host(&self) -> &Host {
        &self.host
    }

    pub(crate) fn port(&self) -> u16 {
        self.url.port_or_known_default().unwrap_or_default()
    }

    pub(crate) fn is_tls(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// Scheme, host and port.
    pub(crate) fn has_origin_of(&self, other: &Self) -> bool {
        self.url.origin() == other.url.origin()
    }

    /// Host and port as the `Host` header has them.
    pub(crate) fn authority(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        self.url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// Path and query as the request line has them.
    pub(crate) fn request_target(&self) -> String {
        match self.url.query() {
            Some(query) => format!("{}?{query}", self.url.path()),
            None => self.url.path().to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_url_breaks_a_request() {
        let target = Target::parse("http://Example.com:8080/a b\u{e9}?c=d e#part").unwrap();
        assert_eq!(
            (target.authority().as_str(), target.request_target().as_str()),
            ("example.com:8080", "/a%20b%C3%A9?c=d%20e")
        );
        assert_eq!(Target::parse("https://[::1]:444").unwrap().authority(), "[::1]:444");
        let target = target.join(b"/x\r\nEvil: 1").unwrap();
        assert_eq!(target.request_target(), "/xEvil:%201");
    }
}
