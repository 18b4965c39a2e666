//! The line to paste and the script that it fetches.

use protocol::enroll::Token;

use super::builds::{Builds, Target};
use crate::http::Trust;
use crate::hub::Hub;

const SCRIPT: &str = include_str!("install.sh");
const UNITS: [(&str, &str); 5] = [
    ("roadstead-agent.service", include_str!("../../../../systemd/roadstead-agent.service")),
    ("roadstead-work.socket", include_str!("../../../../systemd/roadstead-work.socket")),
    ("roadstead-work@.service", include_str!("../../../../systemd/roadstead-work@.service")),
    ("roadstead-revert.service", include_str!("../../../../systemd/roadstead-revert.service")),
    ("roadstead-jobs.slice", include_str!("../../../../systemd/roadstead-jobs.slice")),
];

/// What a person pastes into a root shell. The token travels in the environment, where only root sees it, and never
/// becomes an argument of a process.
pub(super) fn line(hub: &Hub, token: &Token) -> String {
    let curl = match hub.http.trust() {
        Trust::Public => "curl -fsS".to_owned(),
        Trust::Pinned(pin) => format!("curl -fsSk --pinnedpubkey {}", quoted(&format!("sha256//{pin}"))),
    };
    let script = quoted_if_needed(&format!("{}/install.sh", hub.config.public_url));
    let token = quoted_if_needed(token.reveal());
    let key = quoted_if_needed(&hub.keys.fingerprint().to_string());
    format!("{curl} {script} | RS_TOKEN={token} RS_HUB_KEY={key} sh")
}

/// The script with this hub's address, keys and agents filled in.
pub(super) fn script(hub: &Hub, builds: &Builds) -> String {
    let pin = match hub.http.trust() {
        Trust::Public => String::new(),
        Trust::Pinned(pin) => pin,
    };
    let sha256 = |target| builds.get(target).map_or_else(String::new, |build| build.sha256.to_string());
    let version = builds.version().unwrap_or(env!("CARGO_PKG_VERSION"));
    let mut script = SCRIPT.to_owned();
    for (place, value) in [
        ("@HUB_URL@", hub.config.public_url.as_str()),
        ("@HUB_FINGERPRINT@", &hub.keys.fingerprint().to_string()),
        ("@TLS_PIN@", &pin),
        ("@VERSION@", version),
        ("@SHA256_X86_64@", &sha256(Target::X86_64Linux)),
        ("@SHA256_AARCH64@", &sha256(Target::Aarch64Linux)),
    ] {
        // Inside the script every place stands between single quotes or in a comment.
        script = script.replace(place, &value.replace('\'', r"'\''"));
    }
    for (name, unit) in UNITS {
        script = script.replace(&format!("#@UNIT {name}@"), unit.trim_end());
    }
    script
}

/// For a POSIX shell: between single quotes nothing has a meaning but the quote itself.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn quoted_if_needed(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'/' | b'.' | b'-' | b'_');
    if !text.is_empty() && text.bytes().all(plain) { text.to_owned() } else { quoted(text) }
}

#[cfg(test)]
mod unit_tests {
    use super::*;

    #[test]
    fn every_place_of_the_script_is_known() {
        for (name, unit) in UNITS {
            assert!(SCRIPT.contains(&format!("#@UNIT {name}@")), "{name}");
            assert!(!unit.contains("ROADSTEAD_UNIT"), "{name}");
        }
        assert_eq!(SCRIPT.matches("#@UNIT ").count(), UNITS.len());
    }

    #[test]
    fn quoting_leaves_nothing_to_the_shell() {
        for (text, word) in [
            ("https://hub.example.com:8443", "https://hub.example.com:8443"),
            ("https://[::1]:80", "'https://[::1]:80'"),
            ("it's", r"'it'\''s'"),
            ("$(reboot)", "'$(reboot)'"),
            ("", "''"),
        ] {
            assert_eq!(quoted_if_needed(text), word);
        }
    }
}
