//! Whether a spec can be carried out, as far as that can be said without asking anybody.

use protocol::address::class;
use protocol::exec::InvalidField;
use protocol::probe::{Probe, ProbeSpec};

use crate::dns;
use crate::host::Host;
use crate::http::Target;
use crate::json_path::JsonPath;

/// Checks a spec: its limits ([`ProbeSpec::check`]), that its URL, hosts and JSON paths can be read, and that a target
/// that is an address lies within its reach. A name may still lead elsewhere: that is checked at each look.
///
/// # Errors
/// All fields that are not acceptable.
pub fn check(spec: &ProbeSpec) -> Result<(), Vec<InvalidField>> {
    let mut invalid = spec.check().err().unwrap_or_default();
    let mut reject = |field: &'static str, problem: String| {
        if !invalid.iter().any(|known| known.field == field) {
            invalid.push(InvalidField { field, problem });
        }
    };
    let host = |text: &str| Host::parse(text).ok_or_else(|| "must be a name or an address".to_owned());
    let (field, target) = match &spec.probe {
        Probe::Http(probe) => {
            for check in &probe.expect.json {
                if let Err(error) = JsonPath::parse(&check.path) {
                    reject("expect.json", format!("must have paths such as $.a.b[0][\"c\"]: {error}"));
                }
            }
            ("url", Target::parse(&probe.url).map(|target| target.host().clone()))
        }
        Probe::Tcp(probe) => ("host", host(&probe.host)),
        Probe::Tls(probe) => {
            if probe.server_name.as_ref().is_some_and(|name| Host::parse(name).is_none()) {
                reject("server_name", "must be a name or an address".to_owned());
            }
            ("host", host(&probe.host))
        }
        Probe::Icmp(probe) => ("host", host(&probe.host)),
        Probe::Dns(probe) => {
            if dns::question_name(&probe.name).is_none() {
                reject("name", "must be a name such as www.example.com".to_owned());
            }
            match &probe.server {
                Some(server) => ("server", dns::server(server).map(|(host, _)| host)),
                None => return if invalid.is_empty() { Ok(()) } else { Err(invalid) },
            }
        }
    };
    match target {
        Err(problem) => reject(field, problem),
        Ok(Host::Address(address)) if !spec.reach.covers(class(address)) => {
            reject(field, "must not lead to a private, link-local, metadata or reserved address".to_owned());
        }
        Ok(_) => {}
    }
    if invalid.is_empty() { Ok(()) } else { Err(invalid) }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn fields(probe: &Value, reach: &str) -> Vec<&'static str> {
        let spec = json!({ "probe": probe, "timeout_ms": 1000, "reach": reach });
        let spec: ProbeSpec = serde_json::from_value(spec).unwrap();
        check(&spec).err().into_iter().flatten().map(|invalid| invalid.field).collect()
    }

    #[test]
    fn what_cannot_be_read_or_lies_beyond_is_named() {
        for (expected, reach, probe) in [
            (None, "public", json!({ "http": { "url": "http://example.com/" } })),
            (None, "public", json!({ "http": { "url": "https://1.1.1.1/" } })),
            (None, "private", json!({ "http": { "url": "http://127.0.0.1:9000/" } })),
            (Some("url"), "public", json!({ "http": { "url": "http://127.0.0.1/" } })),
            (Some("url"), "public", json!({ "http": { "url": "http://0x7f.1/" } })),
            (Some("url"), "public", json!({ "http": { "url": "http://[::ffff:10.0.0.1]/" } })),
            (Some("url"), "private", json!({ "http": { "url": "http://169.254.169.254/latest/" } })),
            (Some("url"), "private", json!({ "http": { "url": "http://ann:secret@example.com/" } })),
            (Some("url"), "private", json!({ "http": { "url": "https://" } })),
            (Some("url"), "private", json!({ "http": { "url": "https://example.com:0/" } })),
            (
                Some("expect.json"),
                "public",
                json!({ "http": { "url": "https://x/", "expect": { "json": [{ "path": "a.b", "op": "exists" }] } } }),
            ),
            (Some("host"), "public", json!({ "tcp": { "host": "10.0.0.1", "port": 22 } })),
            (Some("host"), "private", json!({ "icmp": { "host": "fe80::1" } })),
            (Some("server"), "public", json!({ "dns": { "name": "x.example", "type": "A", "server": "10.0.0.1:53" } })),
            (Some("server"), "private", json!({ "dns": { "name": "x.example", "type": "A", "server": "x:y:z" } })),
            (None, "private", json!({ "dns": { "name": "x.example", "type": "A", "server": "[fd00::1]:5353" } })),
            (Some("name"), "private", json!({ "dns": { "name": "x..example", "type": "A" } })),
        ] {
            assert_eq!(fields(&probe, reach), expected.into_iter().collect::<Vec<_>>(), "{probe}");
        }
    }
}
