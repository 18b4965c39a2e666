//! Makes checked settings of what people wrote.

use std::fmt::Display;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context as _, Result, anyhow, bail};
use tracing_subscriber::EnvFilter;

use super::layers::{Given, Layers, Place, Sources};
use super::settings::SETTINGS;
use super::{Cidr, Config, Log, LogFormat, OidcProvider, PublicUrl, Retention, Tls, mail};
use crate::data_dir;
use crate::db::DbOptions;
use crate::secret::Secret;

const DATA_DIR: &str = "/var/lib/roadstead";
const SYSTEM_FILE: &str = "/etc/roadstead/roadstead.toml";
const FILE_NAME: &str = "roadstead.toml";
const DEFAULT_PORT: u16 = 8080;
const MAX_SECRET_BYTES: u64 = 16 << 10;

/// Checked settings, and what was found on the way.
#[derive(Debug)]
pub struct Loaded {
    /// The settings.
    pub config: Config,
    /// The file they came from.
    pub file: Option<PathBuf>,
    /// What is odd but does not matter enough to refuse.
    pub warnings: Vec<String>,
    /// Every setting with its value, secrets hidden, and where it comes from.
    pub effective: Vec<Effective>,
}

/// A setting as `roadstead config check` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effective {
    /// Key in the file.
    pub key: &'static str,
    /// The value in force.
    pub value: String,
    /// Where it comes from: a line of the file, a variable, a flag or `default`.
    pub place: String,
}

impl Config {
    /// Reads all sources and checks every value.
    ///
    /// # Errors
    /// At the first thing that is wrong, with the place where it was written.
    pub fn load(sources: &Sources) -> Result<Loaded> {
        let layers = Layers::read(sources, |layers| {
            let data_dir = layers.get("data_dir").map_or_else(|| DATA_DIR.to_owned(), |given| given.text);
            vec![Path::new(&data_dir).join(FILE_NAME), SYSTEM_FILE.into()]
        })?;
        let mut reader = Reader { layers, effective: Vec::new() };
        let config = reader.config()?;
        let Reader { layers, mut effective } = reader;
        effective
            .sort_by_key(|shown| SETTINGS.iter().position(|setting| setting.key == shown.key).unwrap_or(usize::MAX));
        Ok(Loaded { config, file: layers.path, warnings: layers.warnings, effective })
    }
}

/// What was given, and what was made of it so far.
pub(super) struct Reader {
    pub(super) layers: Layers,
    effective: Vec<Effective>,
}

impl Reader {
    fn config(&mut self) -> Result<Config> {
        let data_dir = self.path("data_dir", || DATA_DIR.into())?;
        let keys_dir = self.path("keys_dir", || data_dir.join("keys"))?;
        let agents_dir = self.path("agents_dir", || default_agents_dir(&data_dir))?;
        let (database, history) = self.databases(&data_dir)?;
        let trusted_proxies = self.trusted_proxies()?;
        let (listen, public_url, tls) = self.network(&trusted_proxies)?;
        let heartbeat_interval_s = self.number("heartbeat_interval_s", 30, 1, 3600)?;
        let offline_after_s = self.number("offline_after_s", 30, 2, 86_400)?;
        let requests_per_minute = self.number("requests_per_minute", 600, 60, 10_000_000)?;
        let log = self.log()?;
        let metrics_token = self.secret("metrics_token", "metrics_token_file")?.map(|given| Secret::new(given.text));
        let shown = if metrics_token.is_some() { "(hidden)" } else { "" };
        self.show("metrics_token", shown);
        let mail = mail::read(self)?;
        let trusted_ca_file = self.optional_path("trusted_ca_file")?;
        let retention = self.retention()?;
        let oidc = self.oidc()?;
        Ok(Config {
            data_dir,
            keys_dir,
            agents_dir,
            database,
            history,
            listen,
            public_url,
            tls,
            trusted_proxies,
            heartbeat_interval_s,
            offline_after_s,
            requests_per_minute,
            log,
            metrics_token,
            mail,
            trusted_ca_file,
            retention,
            oidc,
        })
    }

    fn oidc(&mut self) -> Result<Vec<OidcProvider>> {
        let providers = self.layers.oidc.providers(absolute)?;
        let shown = providers.iter().map(|(provider, place)| Effective {
            key: "oidc",
            value: format!("{}: {} ({} mappings)", provider.id, provider.issuer, provider.mappings.len()),
            place: place.to_string(),
        });
        self.effective.extend(shown);
        Ok(providers.into_iter().map(|(provider, _)| provider).collect())
    }

    fn databases(&mut self, data_dir: &Path) -> Result<(DbOptions, DbOptions)> {
        let given = self.secret("database", "database_file")?;
        let Some(given) = given else {
            self.show("database", format!("sqlite:{}", data_dir.join("roadstead.db").display()));
            let file = |name| DbOptions::Sqlite(data_dir.join(name));
            return Ok((file("roadstead.db"), file("history.db")));
        };
        let place = given.place.to_string();
        if let Some(path) = given.text.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.is_empty() {
                bail!("{place}: database names no file; write sqlite:/path/to/roadstead.db");
            }
            let path = absolute(path, &given.place)?;
            self.show("database", format!("sqlite:{}", path.display()));
            let history = path.with_file_name("history.db");
            if history == path {
                bail!(
                    "{place}: database must not be called history.db: the hub keeps samples and logs under that name"
                );
            }
            return Ok((DbOptions::Sqlite(path), DbOptions::Sqlite(history)));
        }
        if given.text.starts_with("postgres://") || given.text.starts_with("postgresql://") {
            self.show("database", without_credentials(&given.text));
            let options = DbOptions::Postgres(Secret::new(given.text));
            return Ok((options.clone(), options));
        }
        // The value is not repeated: it may hold a password.
        bail!("{place}: database must begin with sqlite: or postgres://")
    }

    fn trusted_proxies(&mut self) -> Result<Vec<Cidr>> {
        let key = "trusted_proxies";
        let ranges = match self.layers.get(key) {
            Some(given) => {
                let ranges = given.text.split(',').map(str::trim).filter(|range| !range.is_empty());
                let ranges: Result<Vec<Cidr>, String> = ranges.map(str::parse).collect();
                ranges.map_err(|problem| anyhow!("{}: {key}: {problem}", given.place))?
            }
            None => Vec::new(),
        };
        self.show(key, ranges.iter().map(Cidr::to_string).collect::<Vec<_>>().join(", "));
        Ok(ranges)
    }

    fn network(&mut self, trusted_proxies: &[Cidr]) -> Result<(SocketAddr, PublicUrl, Tls)> {
        let given = self.layers.get("public_url");
        let public_url = given.as_ref().map(|given| {
            PublicUrl::parse(&given.text).map_err(|problem| anyhow!("{}: public_url {problem}", given.place))
        });
        let public_url = public_url.transpose()?;
        let wanted = self.parsed("listen", "must be an address such as 127.0.0.1:8080 or [::]:443")?;
        let listen = wanted.unwrap_or_else(|| default_listen(public_url.as_ref(), trusted_proxies));
        if listen.port() == 0 {
            let place = self.layers.get("listen").map_or(Place::Default, |given| given.place);
            bail!("{place}: listen must name a port: agents and browsers come back to the same one");
        }
        self.show("listen", listen);
        let tls = self.tls(listen, trusted_proxies)?;
        let public_url = match public_url {
            Some(url) => url,
            None if listen.ip().is_unspecified() => bail!(
                "the hub listens on every address ({listen}), so it cannot know its own name; set public_url, for example \
                 --public-url https://hub.example.com"
            ),
            None if !trusted_proxies.is_empty() => bail!(
                "the hub stands behind a proxy, so it cannot know its own name; set public_url, for example \
                 --public-url https://hub.example.com"
            ),
            None => PublicUrl::of_listener(tls != Tls::Off, listen),
        };
        if tls != Tls::Off && !public_url.is_secure() {
            bail!("public_url is {public_url}, but the hub speaks TLS there; write https://");
        }
        self.show("public_url", &public_url);
        Ok((listen, public_url, tls))
    }

    fn tls(&mut self, listen: SocketAddr, trusted_proxies: &[Cidr]) -> Result<Tls> {
        let mode = self.layers.get("tls.mode");
        let cert = self.optional_path("tls.cert")?;
        let key = self.optional_path("tls.key")?;
        let plain_is_safe = listen.ip().is_loopback() || !trusted_proxies.is_empty();
        let (text, place) =
            mode.map_or_else(|| ("auto".to_owned(), String::new()), |mode| (mode.text, format!("{}: ", mode.place)));
        let tls = match (text.as_str(), cert, key) {
            ("files" | "auto", Some(cert), Some(key)) => Tls::Files { cert, key },
            ("files", _, _) => bail!("{place}tls.mode files needs both tls.cert and tls.key"),
            ("auto", None, None) if plain_is_safe => Tls::Off,
            ("auto" | "self_signed", None, None) => Tls::SelfSigned,
            ("off", None, None) if plain_is_safe => Tls::Off,
            ("off", None, None) => bail!(
                "{place}tls.mode off would send passwords in the clear: {listen} is not loopback and no trusted_proxies are listed"
            ),
            ("auto", _, _) => bail!("tls.cert and tls.key belong together; set both or none"),
            ("self_signed" | "off", _, _) => {
                bail!("{place}tls.mode {text} uses no tls.cert and no tls.key; remove them")
            }
            _ => bail!("{place}tls.mode must be auto, self_signed, files or off"),
        };
        let shown = match tls {
            Tls::Off => "off",
            Tls::SelfSigned => "self_signed",
            Tls::Files { .. } => "files",
        };
        self.show("tls.mode", shown);
        Ok(tls)
    }

    fn log(&mut self) -> Result<Log> {
        let format = self.layers.get("log.format");
        let format = match format.as_ref().map(|given| (given.text.as_str(), &given.place)) {
            None | Some(("text", _)) => LogFormat::Text,
            Some(("json", _)) => LogFormat::Json,
            Some((_, place)) => bail!("{place}: log.format must be text or json"),
        };
        self.show("log.format", if format == LogFormat::Json { "json" } else { "text" });
        let level = match self.layers.get("log.level") {
            None => "info".to_owned(),
            Some(Given { text, place }) => {
                let filter = EnvFilter::try_new(&text);
                filter.map_err(|error| anyhow!("{place}: log.level cannot be understood: {error}"))?;
                text
            }
        };
        self.show("log.level", &level);
        Ok(Log { format, level })
    }

    fn retention(&mut self) -> Result<Retention> {
        let default = Retention::default();
        let job_logs_gib = self.optional_number("retention.job_logs_gib", 1, 1 << 20)?;
        let audit_days = self.number("retention.audit_days", default.audit_days, 0, 36_500)?;
        let mut days = |key, default| self.number(key, default, 1, 3650);
        Ok(Retention {
            jobs_days: days("retention.jobs_days", default.jobs_days)?,
            job_logs_bytes: job_logs_gib.map(|gib| u64::from(gib) << 30),
            minute_samples_days: days("retention.minute_samples_days", default.minute_samples_days)?,
            five_minute_samples_days: days("retention.five_minute_samples_days", default.five_minute_samples_days)?,
            hour_samples_days: days("retention.hour_samples_days", default.hour_samples_days)?,
            audit_days,
        })
    }

    pub(super) fn number(&mut self, key: &'static str, default: u32, min: u32, max: u32) -> Result<u32> {
        let given = self.given_number(key, min, max)?.unwrap_or(default);
        self.show(key, given);
        Ok(given)
    }

    fn optional_number(&mut self, key: &'static str, min: u32, max: u32) -> Result<Option<u32>> {
        let given = self.given_number(key, min, max)?;
        self.show(key, given.map_or_else(String::new, |given| given.to_string()));
        Ok(given)
    }

    fn given_number(&self, key: &'static str, min: u32, max: u32) -> Result<Option<u32>> {
        let problem = format!("must be a number from {min} to {max}");
        let given: Option<u32> = self.parsed(key, &problem)?;
        if given.is_some_and(|given| !(min..=max).contains(&given)) {
            let place = self.layers.get(key).map_or(Place::Default, |given| given.place);
            bail!("{place}: {key} {problem}");
        }
        Ok(given)
    }

    fn parsed<T: FromStr>(&self, key: &'static str, problem: &str) -> Result<Option<T>> {
        let Some(given) = self.layers.get(key) else { return Ok(None) };
        let value = given.text.parse();
        value.map(Some).map_err(|_| anyhow!("{}: {key} is {:?}, but {problem}", given.place, given.text))
    }

    fn path(&mut self, key: &'static str, default: impl FnOnce() -> PathBuf) -> Result<PathBuf> {
        let path = match self.layers.get(key) {
            Some(given) => absolute(&given.text, &given.place)?,
            None => default(),
        };
        self.show(key, path.display());
        Ok(path)
    }

    fn optional_path(&mut self, key: &'static str) -> Result<Option<PathBuf>> {
        let Some(given) = self.layers.get(key) else { return Ok(None) };
        let path = absolute(&given.text, &given.place)?;
        self.show(key, path.display());
        Ok(Some(path))
    }

    /// A value that is given as it is or in a file of its own.
    pub(super) fn secret(&mut self, key: &'static str, file_key: &'static str) -> Result<Option<Given>> {
        let (direct, file) = (self.layers.get(key), self.layers.get(file_key));
        if let (Some(direct), Some(file)) = (&direct, &file)
            && direct.place.is_beside(&file.place)
        {
            bail!("{} and {}: give either {key} or {file_key}", direct.place, file.place);
        }
        let Some(file) = file.filter(|file| direct.as_ref().is_none_or(|direct| file.place > direct.place)) else {
            return Ok(direct);
        };
        let path = absolute(&file.text, &file.place)?;
        self.show(file_key, path.display());
        let text =
            data_dir::read_text(&path, MAX_SECRET_BYTES).with_context(|| format!("{}: {file_key}", file.place))?;
        let text = text.with_context(|| format!("{}: {file_key}: there is no file {}", file.place, path.display()))?;
        let text = text.trim().to_owned();
        if text.is_empty() {
            bail!("{}: {file_key}: {} is empty", file.place, path.display());
        }
        Ok(Some(Given { text, place: file.place }))
    }

    pub(super) fn show(&mut self, key: &'static str, value: impl Display) {
        let place = self.layers.get(key).map_or(Place::Default, |given| given.place).to_string();
        self.effective.push(Effective { key, value: value.to_string(), place });
    }
}

/// Relative paths of the file start at the file, those of flags and variables where the hub was started.
fn absolute(text: &str, place: &Place) -> Result<PathBuf> {
    let base = match place {
        Place::File { path, .. } => path.parent(),
        Place::Default | Place::Env(_) | Place::Flag(_) => None,
    };
    if text.is_empty() {
        bail!("{place}: the path must not be empty");
    }
    let path = base.map_or_else(|| PathBuf::from(text), |base| base.join(text));
    std::path::absolute(&path).with_context(|| format!("{place}: {}", path.display()))
}

fn default_agents_dir(data_dir: &Path) -> PathBuf {
    let beside = std::env::current_exe().ok().and_then(|program| Some(program.parent()?.join("agents")));
    beside.filter(|dir| dir.is_dir()).unwrap_or_else(|| data_dir.join("agents"))
}

/// Loopback, unless the public URL says that others come here directly.
fn default_listen(public_url: Option<&PublicUrl>, trusted_proxies: &[Cidr]) -> SocketAddr {
    match public_url {
        Some(url) if url.is_loopback() => (url.ip().unwrap_or(Ipv4Addr::LOCALHOST.into()), url.port()).into(),
        Some(url) if trusted_proxies.is_empty() => {
            let every = if url.ip().is_some_and(|ip| ip.is_ipv6()) {
                IpAddr::V6(Ipv6Addr::UNSPECIFIED)
            } else {
                IpAddr::V4(Ipv4Addr::UNSPECIFIED)
            };
            (every, url.port()).into()
        }
        _ => (Ipv4Addr::LOCALHOST, DEFAULT_PORT).into(),
    }
}

/// A database URL without user, password and parameters.
fn without_credentials(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("postgres", ""));
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
    format!("{scheme}://{place} (user and parameters hidden)")
}
