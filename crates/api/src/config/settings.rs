//! Every setting, once: its key in the file, from which flag and environment variable follow.

/// A setting.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting {
    /// Key in the file; `tls.mode` is `mode` in the section `[tls]`.
    pub(crate) key: &'static str,
    /// What stands for the value in help texts.
    pub(crate) value: &'static str,
    /// One sentence.
    pub(crate) help: &'static str,
    /// Whether the value must not be shown. Command lines are visible to everybody, so there is no flag for it.
    pub(crate) secret: bool,
}

impl Setting {
    /// `tls-mode`.
    pub(crate) fn flag(&self) -> String {
        self.key.replace(['.', '_'], "-")
    }

    /// `ROADSTEAD_TLS_MODE`.
    pub(crate) fn env(&self) -> String {
        format!("{ENV_PREFIX}{}", self.key.replace('.', "_").to_uppercase())
    }
}

/// What environment variables of the hub begin with.
pub(crate) const ENV_PREFIX: &str = "ROADSTEAD_";

macro_rules! settings {
    ($($key:literal $value:literal $(($secret:ident))? $help:literal,)*) => {
        /// Every setting.
        pub(crate) const SETTINGS: &[Setting] = &[
            $(Setting { key: $key, value: $value, help: $help, secret: settings!(@secret $($secret)?) },)*
        ];
    };
    (@secret secret) => { true };
    (@secret) => { false };
}

settings! {
    "data_dir" "DIR" "Where data lives [default: /var/lib/roadstead]",
    "keys_dir" "DIR" "Where keys live [default: keys in the data directory]",
    "agents_dir" "DIR" "Where agent builds lie [default: agents beside this program, else in the data directory]",
    "database" "URL" "sqlite:PATH or postgres://… [default: SQLite in the data directory]",
    "database_file" "FILE" "A file that holds the database URL",
    "listen" "ADDRESS" "Where to listen [default: 127.0.0.1:8080; all addresses, on its port, when public_url is not loopback]",
    "public_url" "URL" "How browsers and agents reach the hub, https://host[:port] [default: derived from listen]",
    "tls.mode" "MODE" "auto, self_signed, files or off [default: auto: off on loopback and behind proxies, else self_signed]",
    "tls.cert" "FILE" "Certificate chain in PEM, for tls.mode files",
    "tls.key" "FILE" "Private key in PEM, for tls.mode files",
    "trusted_proxies" "RANGES" "Addresses of the proxies in front, such as 10.0.0.0/8, separated by commas",
    "heartbeat_interval_s" "SECONDS" "Between two heartbeats of an agent [default: 30]",
    "offline_after_s" "SECONDS" "Without a sign of life until a server counts as offline [default: 30]",
    "requests_per_minute" "NUMBER" "Of one session or key; an address may make five times as many [default: 600]",
    "log.format" "FORMAT" "text or json [default: text]",
    "log.level" "LEVEL" "error, warn, info, debug or directives such as info,api::gateway=debug [default: info]",
    "metrics_token" "TOKEN" (secret) "What GET /metrics asks for [default: none, and /metrics answers to loopback only]",
    "metrics_token_file" "FILE" "A file that holds the metrics token",
    "trusted_ca_file" "FILE" "Certificates in PEM that mail servers, webhooks and providers are trusted by, besides the public ones",
    "retention.jobs_days" "DAYS" "How long ended jobs and their logs are kept [default: 90]",
    "retention.job_logs_gib" "GIB" "How much room logs of jobs may take; beyond it the oldest go first [default: no limit]",
    "retention.audit_days" "DAYS" "How long records of the audit log are kept, 0 for ever [default: 0]",
    "retention.minute_samples_days" "DAYS" "How long metrics are kept by the minute [default: 7]",
    "retention.five_minute_samples_days" "DAYS" "How long metrics are kept by five minutes [default: 31]",
    "retention.hour_samples_days" "DAYS" "How long metrics are kept by the hour [default: 400]",
}

/// The setting with this key.
pub(crate) fn find(key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.key == key)
}

/// The one of `known` that somebody who wrote `written` may have meant.
pub(crate) fn similar(written: &str, known: impl Iterator<Item = String>) -> Option<String> {
    let near = known.map(|name| (distance(written, &name), name)).min()?;
    (near.0 <= 2 && near.0 < written.len()).then_some(near.1)
}

/// How many letters must be added, removed or replaced to make one word of the other.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (index, letter) in a.chars().enumerate() {
        let mut diagonal = index;
        let mut left = index + 1;
        for (other, cell) in b.chars().zip(row.iter_mut().skip(1)) {
            let replaced = diagonal + usize::from(letter != other);
            diagonal = *cell;
            *cell = replaced.min(*cell + 1).min(left + 1);
            left = *cell;
        }
        if let Some(first) = row.first_mut() {
            *first = index + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_key_is_one_flag_and_one_variable() {
        let mode = find("tls.mode").unwrap();
        assert_eq!((mode.flag().as_str(), mode.env().as_str()), ("tls-mode", "ROADSTEAD_TLS_MODE"));
        let mut flags: Vec<_> = SETTINGS.iter().map(Setting::flag).collect();
        flags.sort();
        flags.dedup();
        assert_eq!(flags.len(), SETTINGS.len());
    }

    #[test]
    fn misspelt_keys_find_what_was_meant() {
        let keys = || SETTINGS.iter().map(|setting| setting.key.to_owned());
        for (written, meant) in [
            ("lisen", Some("listen")),
            ("public-url", Some("public_url")),
            ("data_dri", Some("data_dir")),
            ("databases", Some("database")),
            ("port", None),
            ("", None),
        ] {
            assert_eq!(similar(written, keys()).as_deref(), meant, "{written}");
        }
        assert_eq!((distance("kitten", "sitting"), distance("", "abc"), distance("abc", "")), (3, 3, 3));
    }
}
