//! Which specs are taken. Hub and agent apply the same rules; what takes a parser of URLs or JSON paths to know is
//! checked by `crates/probe`.

use serde_json::Value;

use super::{
    DnsProbe, HttpProbe, IcmpProbe, JsonOp, MAX_EXPECTED_RECORDS, MAX_HEADER_NAME, MAX_HEADER_VALUE, MAX_HEADERS,
    MAX_HOST, MAX_JSON_CHECKS, MAX_JSON_PATH, MAX_JSON_VALUE, MAX_NEEDLE, MAX_RECORD, MAX_REQUEST_BODY, MAX_SPEC,
    MAX_STATUS_RANGES, MAX_TIMEOUT_MS, MAX_URL, MIN_TIMEOUT_MS, Method, Probe, ProbeSpec, TcpProbe, TlsProbe,
};
use crate::exec::InvalidField;

/// Headers that are the probe's own: they say how the message is framed, or where it goes.
const OWN_HEADERS: [&str; 13] = [
    "accept-encoding",
    "connection",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

impl ProbeSpec {
    /// Checks every value.
    ///
    /// # Errors
    /// All fields that are not acceptable.
    pub fn check(&self) -> Result<(), Vec<InvalidField>> {
        let mut invalid = Invalid(Vec::new());
        if !(MIN_TIMEOUT_MS..=MAX_TIMEOUT_MS).contains(&self.timeout_ms) {
            invalid.add("timeout_ms", format!("must be a number from {MIN_TIMEOUT_MS} to {MAX_TIMEOUT_MS}"));
        }
        match &self.probe {
            Probe::Http(probe) => invalid.http(probe),
            Probe::Tcp(TcpProbe { host, port, max_latency_ms }) => {
                invalid.host("host", host);
                invalid.port(*port);
                invalid.latency(*max_latency_ms);
            }
            Probe::Tls(TlsProbe { host, port, server_name, max_latency_ms, .. }) => {
                invalid.host("host", host);
                invalid.port(*port);
                if let Some(name) = server_name {
                    invalid.host("server_name", name);
                }
                invalid.latency(*max_latency_ms);
            }
            Probe::Dns(probe) => invalid.dns(probe),
            Probe::Icmp(IcmpProbe { host, max_latency_ms }) => {
                invalid.host("host", host);
                invalid.latency(*max_latency_ms);
            }
        }
        // Each part may be within its limit and all of it still too much for the wire.
        if invalid.0.is_empty() && serde_json::to_string(self).is_ok_and(|text| text.len() > MAX_SPEC) {
            invalid
                .add("probe", format!("must not be longer than {MAX_SPEC} bytes altogether; shorten body or headers"));
        }
        if invalid.0.is_empty() { Ok(()) } else { Err(invalid.0) }
    }
}

struct Invalid(Vec<InvalidField>);

impl Invalid {
    fn add(&mut self, field: &'static str, problem: impl Into<String>) {
        self.0.push(InvalidField { field, problem: problem.into() });
    }

    fn host(&mut self, field: &'static str, host: &str) {
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let strange = |character: char| {
            character.is_control() || character.is_whitespace() || "/\\?#@[]%<>\"'".contains(character)
        };
        if bare.is_empty() || bare.len() > MAX_HOST || bare.contains(strange) {
            self.add(field, format!("must be a name or an address of at most {MAX_HOST} bytes, without port or path"));
        }
    }

    fn port(&mut self, port: u16) {
        if port == 0 {
            self.add("port", "must be a number from 1 to 65535");
        }
    }

    fn latency(&mut self, latency: Option<u32>) {
        if latency.is_some_and(|latency| !(1..=MAX_TIMEOUT_MS).contains(&latency)) {
            self.add("max_latency_ms", format!("must be a number from 1 to {MAX_TIMEOUT_MS}"));
        }
    }

    fn http(&mut self, probe: &HttpProbe) {
        let HttpProbe { url, method, headers, body, verify_tls, expect, .. } = probe;
        if url.len() > MAX_URL {
            self.add("url", format!("must be at most {MAX_URL} bytes long"));
        }
        // Parsers of URLs drop line breaks and blanks; what is stored and shown must be what is asked.
        if url.chars().any(|character| character.is_control() || character.is_whitespace()) {
            self.add("url", "must not contain blanks or line breaks");
        }
        let scheme = url.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
        if !matches!(scheme.as_deref(), Some("http" | "https")) {
            self.add("url", "must begin with http:// or https://");
        }
        if headers.len() > MAX_HEADERS {
            self.add("headers", format!("must not be more than {MAX_HEADERS}"));
        }
        for header in headers {
            let name = header.name.to_ascii_lowercase();
            if name.is_empty() || name.len() > MAX_HEADER_NAME || !name.bytes().all(is_token) {
                self.add("headers", format!("must have names of letters, digits and hyphens, up to {MAX_HEADER_NAME}"));
            } else if OWN_HEADERS.contains(&name.as_str()) {
                self.add("headers", format!("must not set {name}: the probe sets it itself"));
            }
            let value = &header.value;
            if value.len() > MAX_HEADER_VALUE || value.chars().any(|char| char.is_control() && char != '\t') {
                self.add(
                    "headers",
                    format!("must have values of at most {MAX_HEADER_VALUE} bytes without line breaks"),
                );
            }
        }
        if headers.iter().any(|header| header.secret) {
            if !*verify_tls {
                self.add("verify_tls", "must not be off while a header is secret: anybody could read it");
            }
            if scheme.as_deref() == Some("http") {
                self.add("url", "must begin with https:// while a header is secret: anybody could read it");
            }
        }
        if body.as_ref().is_some_and(|body| body.len() > MAX_REQUEST_BODY) {
            self.add("body", format!("must be at most {MAX_REQUEST_BODY} bytes long"));
        }
        if body.is_some() && matches!(method, Method::Get | Method::Head) {
            self.add("body", format!("must not be given with {}", method.name()));
        }
        if *method == Method::Head && expect.needs_body() {
            self.add("expect", "must not ask for a text or JSON of an answer to HEAD: it has no body");
        }
        if expect.status.len() > MAX_STATUS_RANGES {
            self.add("expect.status", format!("must not be more than {MAX_STATUS_RANGES}"));
        }
        let needles = [("expect.contains", &expect.contains), ("expect.lacks", &expect.lacks)];
        for (field, needle) in needles {
            if needle.as_ref().is_some_and(|needle| needle.is_empty() || needle.len() > MAX_NEEDLE) {
                self.add(field, format!("must be 1 to {MAX_NEEDLE} bytes long"));
            }
        }
        self.json(probe);
        self.latency(expect.max_latency_ms);
    }

    fn json(&mut self, probe: &HttpProbe) {
        let checks = &probe.expect.json;
        if checks.len() > MAX_JSON_CHECKS {
            self.add("expect.json", format!("must not be more than {MAX_JSON_CHECKS}"));
        }
        for check in checks {
            if check.path.is_empty() || check.path.len() > MAX_JSON_PATH {
                self.add("expect.json", format!("must have paths of 1 to {MAX_JSON_PATH} bytes"));
            }
            match (check.op, &check.value) {
                (JsonOp::Lt | JsonOp::Gt, value) if !value.is_number() => {
                    self.add("expect.json", "must compare with a number where op is lt or gt");
                }
                (JsonOp::Exists, value) if !matches!(value, Value::Null | Value::Bool(_)) => {
                    self.add("expect.json", "must have true, false or nothing as value where op is exists");
                }
                (_, value) if value.to_string().len() > MAX_JSON_VALUE => {
                    self.add("expect.json", format!("must compare with values of at most {MAX_JSON_VALUE} bytes"));
                }
                _ => {}
            }
        }
    }

    fn dns(&mut self, probe: &DnsProbe) {
        let DnsProbe { name, server, expect, max_latency_ms, .. } = probe;
        self.host("name", name.strip_suffix('.').unwrap_or(name));
        let too_long = |server: &String| server.is_empty() || server.len() > MAX_HOST + 8;
        if server.as_ref().is_some_and(|server| too_long(server) || server.contains(char::is_whitespace)) {
            self.add("server", "must be a name or an address, with :port where it is not 53");
        }
        if let Some(expect) = expect {
            let records = expect.records();
            if records.is_empty() || records.len() > MAX_EXPECTED_RECORDS {
                self.add("expect", format!("must name 1 to {MAX_EXPECTED_RECORDS} records"));
            }
            if records.iter().any(|record| record.trim().is_empty() || record.len() > MAX_RECORD) {
                self.add("expect", format!("must name records of 1 to {MAX_RECORD} bytes"));
            }
        }
        self.latency(*max_latency_ms);
    }
}

/// Characters of names of headers (RFC 9110, 5.6.2).
const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
        )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(spec: &Value) -> Vec<&'static str> {
        let spec: ProbeSpec = serde_json::from_value(spec.clone()).unwrap();
        spec.check().err().into_iter().flatten().map(|invalid| invalid.field).collect()
    }

    fn http(fields: &Value) -> Value {
        let mut http = json!({ "url": "https://example.com/" });
        for (name, value) in fields.as_object().unwrap() {
            http[name] = value.clone();
        }
        json!({ "probe": { "http": http }, "timeout_ms": 1000, "reach": "public" })
    }

    fn other(probe: &Value) -> Value {
        json!({ "probe": probe, "timeout_ms": 30_000, "reach": "private" })
    }

    #[test]
    fn sensible_specs_are_taken() {
        for spec in [
            http(&json!({})),
            http(&json!({ "url": "HTTP://example.com:8080/x?y", "verify_tls": false, "follow": false })),
            http(
                &json!({ "method": "POST", "body": "{}", "headers": [{ "name": "X-Key", "value": "a b", "secret": true }] }),
            ),
            http(&json!({ "expect": { "status": ["204", "300-399"], "json": [{ "path": "$.a", "op": "exists" }] } })),
            other(&json!({ "tcp": { "host": "::1", "port": 22 } })),
            other(&json!({ "tls": { "host": "[::1]", "port": 443, "server_name": "example.com" } })),
            other(&json!({ "dns": { "name": "_sip._tcp.example.com.", "type": "SRV", "server": "[::1]:5353" } })),
            other(&json!({ "icmp": { "host": "example.com", "max_latency_ms": 50 } })),
        ] {
            assert_eq!(fields(&spec), Vec::<&str>::new(), "{spec}");
        }
    }

    #[test]
    fn every_value_that_is_not_acceptable_is_named() {
        for (field, spec) in [
            ("url", http(&json!({ "url": "ftp://example.com/" }))),
            ("url", http(&json!({ "url": "https://example.com/\r\nHost: x" }))),
            ("url", http(&json!({ "url": format!("https://example.com/{}", "x".repeat(MAX_URL)) }))),
            ("url", http(&json!({ "url": "http://x/", "headers": [{ "name": "x", "value": "y", "secret": true }] }))),
            (
                "verify_tls",
                http(&json!({ "verify_tls": false, "headers": [{ "name": "x", "value": "y", "secret": true }] })),
            ),
            ("headers", http(&json!({ "headers": [{ "name": "Host", "value": "x" }] }))),
            ("headers", http(&json!({ "headers": [{ "name": "x y", "value": "x" }] }))),
            ("headers", http(&json!({ "headers": [{ "name": "x", "value": "a\r\nb: c" }] }))),
            ("headers", http(&json!({ "headers": vec![json!({ "name": "x", "value": "a" }); MAX_HEADERS + 1] }))),
            ("body", http(&json!({ "body": "x" }))),
            ("body", http(&json!({ "method": "PUT", "body": "x".repeat(MAX_REQUEST_BODY + 1) }))),
            ("expect", http(&json!({ "method": "HEAD", "expect": { "contains": "x" } }))),
            ("expect.contains", http(&json!({ "expect": { "contains": "" } }))),
            ("expect.lacks", http(&json!({ "expect": { "lacks": "x".repeat(MAX_NEEDLE + 1) } }))),
            ("expect.json", http(&json!({ "expect": { "json": [{ "path": "$", "op": "lt", "value": "3" }] } }))),
            ("expect.json", http(&json!({ "expect": { "json": [{ "path": "", "op": "exists" }] } }))),
            ("max_latency_ms", http(&json!({ "expect": { "max_latency_ms": 0 } }))),
            ("port", other(&json!({ "tcp": { "host": "x", "port": 0 } }))),
            ("host", other(&json!({ "tcp": { "host": "http://x", "port": 1 } }))),
            ("host", other(&json!({ "icmp": { "host": "" } }))),
            ("server_name", other(&json!({ "tls": { "host": "x", "port": 1, "server_name": "a b" } }))),
            ("name", other(&json!({ "dns": { "name": "a b", "type": "A" } }))),
            ("expect", other(&json!({ "dns": { "name": "a", "type": "A", "expect": { "any": [] } } }))),
        ] {
            assert_eq!(fields(&spec), [field], "{spec}");
        }
        let mut late = http(&json!({}));
        late["timeout_ms"] = json!(999);
        assert_eq!(fields(&late), ["timeout_ms"]);
        let long = vec![json!({ "name": "x", "value": "a".repeat(MAX_HEADER_VALUE) }); 4];
        assert_eq!(fields(&http(&json!({ "headers": long }))), ["probe"]);
    }

    #[test]
    fn an_assertion_of_a_later_version_is_not_passed_over() {
        let spec = http(&json!({ "expect": { "contains_regex": "a+" } }));
        assert!(serde_json::from_value::<ProbeSpec>(spec).is_err());
    }

    #[test]
    fn secrets_are_not_printed() {
        let spec = http(&json!({
            "url": "https://example.com/secret-path", "method": "POST", "body": "secret-body",
            "headers": [{ "name": "X-Key", "value": "secret-value", "secret": true }],
        }));
        let printed = format!("{:?}", serde_json::from_value::<ProbeSpec>(spec).unwrap());
        assert!(printed.contains("X-Key") && !printed.contains("secret-"), "{printed}");
    }
}
