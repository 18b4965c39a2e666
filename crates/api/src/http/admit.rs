//! Which requests are let in at all: those that mean this hub and that no other site sent.

use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{Method, header};

use crate::config::PublicUrl;
use crate::error::{Error, ErrorCode, Result};

/// Paths that answer whatever name they were asked by: a load balancer knows the hub by its address.
const ANY_HOST: [&str; 2] = ["/healthz", "/readyz"];

/// Checks host and origin.
pub(super) fn check(parts: &Parts, public_url: &PublicUrl) -> Result<()> {
    check_host(parts, public_url)?;
    if changes_something(parts) {
        check_origin(parts, public_url)?;
    }
    Ok(())
}

/// The request's host must be the public one, so that a foreign name that resolves to the hub (DNS rebinding) is no
/// way in. The names of loopback mean the same machine.
fn check_host(parts: &Parts, public_url: &PublicUrl) -> Result<()> {
    if ANY_HOST.contains(&parts.uri.path()) {
        return Ok(());
    }
    let header = || parts.headers.get(header::HOST)?.to_str().ok()?.parse::<Authority>().ok();
    let asked = parts.uri.authority().cloned().or_else(header);
    let asked = asked.ok_or_else(|| Error::bad_request("the request names no host"))?;
    let default_port = if public_url.is_secure() { 443 } else { 80 };
    let host = asked.host().to_ascii_lowercase();
    let same_port = asked.port_u16().unwrap_or(default_port) == public_url.port();
    if same_port && (host == public_url.host() || (is_loopback(&host) && public_url.is_loopback())) {
        return Ok(());
    }
    // Metrics are read by programs on the same machine; their own check decides.
    if parts.uri.path() == "/metrics" && is_loopback(&host) {
        return Ok(());
    }
    let message = format!("this hub is {public_url}; use that address, or change the setting public_url");
    Err(Error::new(ErrorCode::Misdirected, message))
}

/// A browser tells from which site a request comes. Programs such as curl tell nothing and are let in, because no other
/// site can make them send anything.
fn check_origin(parts: &Parts, public_url: &PublicUrl) -> Result<()> {
    let refuse = || {
        let message = format!("the request comes from another site; it must come from {public_url}");
        Err(Error::new(ErrorCode::Forbidden, message))
    };
    if parts.headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site") {
        return refuse();
    }
    for origin in parts.headers.get_all(header::ORIGIN) {
        let ours = origin.to_str().ok().is_some_and(|origin| is_ours(origin, public_url));
        if !ours {
            return refuse();
        }
    }
    Ok(())
}

fn is_ours(origin: &str, public_url: &PublicUrl) -> bool {
    PublicUrl::parse(origin).is_ok_and(|origin| {
        let same_host = origin.host() == public_url.host() || (origin.is_loopback() && public_url.is_loopback());
        same_host && origin.port() == public_url.port() && origin.is_secure() == public_url.is_secure()
    })
}

fn changes_something(parts: &Parts) -> bool {
    let upgrade = parts.headers.get(header::UPGRADE).is_some();
    upgrade || !matches!(parts.method, Method::GET | Method::HEAD)
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use axum::http::{Request, StatusCode};

    use super::*;

    fn check_one(public: &str, method: &str, path: &str, headers: &[(&str, &str)]) -> Option<StatusCode> {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        check(&parts, &PublicUrl::parse(public).unwrap()).err().map(|error| error.code().status())
    }

    #[test]
    fn only_the_public_host_is_answered() {
        let misdirected = Some(StatusCode::MISDIRECTED_REQUEST);
        let hub = "https://hub.example.com";
        let local = "http://127.0.0.1:8080";
        for (public, path, host, expected) in [
            (hub, "/", "hub.example.com", None),
            (hub, "/", "HUB.example.com:443", None),
            (hub, "/", "hub.example.com:8443", misdirected),
            (hub, "/", "evil.example", misdirected),
            (hub, "/", "127.0.0.1", misdirected),
            (hub, "/", "localhost", misdirected),
            (hub, "/healthz", "10.0.0.1", None),
            (hub, "/metrics", "127.0.0.1:8443", None),
            (hub, "/metrics", "evil.example", misdirected),
            (hub, "/", "not a host", Some(StatusCode::BAD_REQUEST)),
            (hub, "https://evil.example/", "hub.example.com", misdirected),
            (local, "/", "127.0.0.1:8080", None),
            (local, "/", "localhost:8080", None),
            (local, "/", "[::1]:8080", None),
            (local, "/", "localhost:9090", misdirected),
            (local, "/", "rebound.example:8080", misdirected),
        ] {
            assert_eq!(check_one(public, "GET", path, &[("host", host)]), expected, "{public} {path} {host}");
        }
        assert_eq!(check_one(hub, "GET", "/", &[]), Some(StatusCode::BAD_REQUEST));
    }

    #[test]
    fn other_sites_change_nothing() {
        let forbidden = Some(StatusCode::FORBIDDEN);
        let ours = ("origin", "https://hub.example.com");
        let theirs = ("origin", "https://evil.example");
        let socket = ("upgrade", "websocket");
        let cases: [(&str, &[(&str, &str)], _); 13] = [
            ("POST", &[], None),
            ("POST", &[ours], None),
            ("POST", &[ours, ("sec-fetch-site", "same-origin")], None),
            ("POST", &[theirs], forbidden),
            ("POST", &[("origin", "null")], forbidden),
            ("POST", &[("origin", "http://hub.example.com")], forbidden),
            ("POST", &[("origin", "https://hub.example.com:8443")], forbidden),
            ("POST", &[("origin", "https://hub.example.com.evil.example")], forbidden),
            ("DELETE", &[("sec-fetch-site", "cross-site")], forbidden),
            ("OPTIONS", &[theirs], forbidden),
            ("GET", &[theirs], None),
            ("GET", &[theirs, socket], forbidden),
            ("GET", &[ours, socket], None),
        ];
        for (method, headers, expected) in cases {
            let headers = [&[("host", "hub.example.com")], headers].concat();
            assert_eq!(check_one("https://hub.example.com", method, "/", &headers), expected, "{method} {headers:?}");
        }
    }
}
