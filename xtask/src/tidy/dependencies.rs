//! Which crates must never come in, and what the wire may depend on.

use anyhow::{Context as _, Result};
use toml::{Table, Value};

use super::Findings;
use crate::paths;

/// TLS is rustls with ring, in one version: a second stack is a second set of bugs.
const BANNED: [&str; 5] = ["openssl", "openssl-sys", "native-tls", "aws-lc-rs", "aws-lc-sys"];
const PROTOCOL_MAY_USE: [&str; 3] = ["serde", "serde_json", "uuid"];

pub(super) fn check(findings: &mut Findings) -> Result<()> {
    for package in read("Cargo.lock")?.get("package").and_then(Value::as_array).into_iter().flatten() {
        let name = package.get("name").and_then(Value::as_str).unwrap_or_default();
        if BANNED.contains(&name) {
            let dependants = format!("`cargo tree --invert {name}` shows who wants it");
            findings.broken("Cargo.lock", &format!("{name} must not come in; {dependants}"));
        }
    }
    let manifest = "crates/protocol/Cargo.toml";
    for name in read(manifest)?.get("dependencies").and_then(Value::as_table).into_iter().flat_map(Table::keys) {
        if !PROTOCOL_MAY_USE.contains(&name.as_str()) {
            findings.broken(
                manifest,
                &format!("the wire depends on {} and nothing else, not on {name}", PROTOCOL_MAY_USE.join(", ")),
            );
        }
    }
    Ok(())
}

fn read(path: &str) -> Result<Table> {
    let text = std::fs::read_to_string(paths::root().join(path)).with_context(|| format!("cannot read {path}"))?;
    text.parse().with_context(|| format!("cannot understand {path}"))
}
