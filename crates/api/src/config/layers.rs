//! Where values come from: a flag beats the environment, which beats the file.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::oidc::Written;
use super::settings::{ENV_PREFIX, SETTINGS, find, similar};
use crate::data_dir;

/// Variables with these prefixes belong to the project's other programs.
const FOREIGN: [&str; 3] = ["ROADSTEAD_AGENT_", "ROADSTEAD_RELEASE_", "ROADSTEAD_TEST_"];
const CONFIG: &str = "config";
const MAX_FILE_BYTES: u64 = 1 << 20;

/// What was given on the command line and in the environment.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// Values of flags by the key of their setting; `config` is the path of the file.
    pub flags: BTreeMap<String, String>,
    /// The environment.
    pub env: BTreeMap<String, String>,
}

/// Where a value comes from. Later ones win.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// Nobody said anything.
    Default,
    /// A line of the file.
    File { path: PathBuf, line: usize },
    /// An environment variable.
    Env(String),
    /// A flag.
    Flag(String),
}

impl Place {
    /// Whether both are the same source.
    pub(super) const fn is_beside(&self, other: &Self) -> bool {
        matches!(
            (self, other),
            (Self::File { .. }, Self::File { .. }) | (Self::Env(_), Self::Env(_)) | (Self::Flag(_), Self::Flag(_))
        )
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Env(name) => f.write_str(name),
            Self::Flag(name) => write!(f, "--{name}"),
        }
    }
}

/// A value as somebody wrote it. Lists are joined by commas.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Given {
    pub(super) text: String,
    pub(super) place: Place,
}

/// All layers, their keys checked.
#[derive(Default)]
pub(super) struct Layers {
    flags: BTreeMap<String, String>,
    env: BTreeMap<String, String>,
    file: BTreeMap<&'static str, Given>,
    pub(super) oidc: Written,
    /// The file that was read.
    pub(super) path: Option<PathBuf>,
    /// What is odd but does not matter enough to refuse.
    pub(super) warnings: Vec<String>,
}

impl Layers {
    /// Checks names and reads the file: the one that was asked for, or the first of `candidates` that exists.
    pub(super) fn read(sources: &Sources, candidates: impl FnOnce(&Self) -> Vec<PathBuf>) -> Result<Self> {
        let mut layers = Self { flags: sources.flags.clone(), ..Self::default() };
        layers.take_env(&sources.env)?;
        let asked = layers.flags.get(CONFIG).or_else(|| layers.env.get(CONFIG)).map(PathBuf::from);
        if let Some(path) = asked {
            let text = data_dir::read_text(&path, MAX_FILE_BYTES)?;
            let text = text.with_context(|| format!("there is no configuration file {}", path.display()))?;
            layers.take_file(path, &text)?;
            return Ok(layers);
        }
        for path in candidates(&layers) {
            if let Some(text) = data_dir::read_text(&path, MAX_FILE_BYTES)? {
                layers.take_file(path, &text)?;
                break;
            }
        }
        Ok(layers)
    }

    /// The value of a setting that wins.
    pub(super) fn get(&self, key: &'static str) -> Option<Given> {
        if let Some(text) = self.flags.get(key) {
            let name = find(key).map(super::settings::Setting::flag).unwrap_or_default();
            return Some(Given { text: text.clone(), place: Place::Flag(name) });
        }
        if let Some(text) = self.env.get(key) {
            let name = find(key).map(super::settings::Setting::env).unwrap_or_default();
            return Some(Given { text: text.clone(), place: Place::Env(name) });
        }
        self.file.get(key).cloned()
    }

    fn take_env(&mut self, env: &BTreeMap<String, String>) -> Result<()> {
        for (name, value) in env.iter().filter(|(name, _)| name.starts_with(ENV_PREFIX)) {
            let setting = SETTINGS.iter().find(|setting| setting.env() == *name);
            let key = setting.map(|setting| setting.key).or((*name == format!("{ENV_PREFIX}CONFIG")).then_some(CONFIG));
            match key {
                // Compose files and unit files pass empty variables for what nobody set.
                Some(_) if value.is_empty() => {}
                Some(key) => {
                    self.env.insert(key.to_owned(), value.clone());
                }
                None if self.oidc.take_env(name, value)? => {}
                None if FOREIGN.iter().any(|prefix| name.starts_with(prefix)) => {}
                None => {
                    if let Some(meant) = similar(name, SETTINGS.iter().map(super::settings::Setting::env)) {
                        bail!("unknown environment variable {name}; did you mean {meant}?");
                    }
                    // Kubernetes makes variables of its own from the name of a service.
                    self.warnings.push(format!("the environment variable {name} is no setting of the hub"));
                }
            }
        }
        Ok(())
    }

    fn take_file(&mut self, path: PathBuf, text: &str) -> Result<()> {
        let table = DeTable::parse(text).map_err(|error| {
            // The library's own text shows the line, which may hold a secret.
            let line = line_of(text, error.span().unwrap_or_default().start);
            anyhow::anyhow!("{}:{line}: {}", path.display(), error.message())
        })?;
        let file = FileText { path: &path, text };
        for (key, value) in table.into_inner() {
            match value.get_ref() {
                DeValue::Table(section) if is_section(key.get_ref()) => {
                    for (inner, value) in section {
                        let name = format!("{}.{}", key.get_ref(), inner.get_ref());
                        self.take_value(&file, &name, inner.span().start, value)?;
                    }
                }
                DeValue::Table(section) if key.get_ref() == "oidc" => {
                    self.oidc.take_file(file.path, section, |at| line_of(file.text, at))?;
                }
                _ => self.take_value(&file, key.get_ref(), key.span().start, &value)?,
            }
        }
        self.path = Some(path);
        Ok(())
    }

    fn take_value(&mut self, file: &FileText<'_>, name: &str, at: usize, value: &Spanned<DeValue<'_>>) -> Result<()> {
        let line = line_of(file.text, at);
        let path = file.path.display();
        let Some(setting) = find(name) else {
            let meant = similar(name, SETTINGS.iter().map(|setting| setting.key.to_owned()));
            let hint = meant.map_or_else(String::new, |meant| format!("; did you mean {meant}?"));
            bail!("{path}:{line}: unknown key {name}{hint}");
        };
        let Some(text) = flat(value.get_ref()) else {
            bail!("{path}:{line}: {name} must be a text, a number or a list of texts");
        };
        let place = Place::File { path: file.path.to_owned(), line };
        self.file.insert(setting.key, Given { text, place });
        Ok(())
    }
}

struct FileText<'a> {
    path: &'a Path,
    text: &'a str,
}

fn is_section(name: &str) -> bool {
    SETTINGS.iter().any(|setting| setting.key.split_once('.').is_some_and(|(section, _)| section == name))
}

fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}

pub(super) fn flat(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.clone().into_owned()),
        DeValue::Integer(number) => Some(number.to_string()),
        DeValue::Array(items) => {
            let items: Option<Vec<_>> = items.iter().map(|item| flat(item.get_ref())).collect();
            items.map(|items| items.join(","))
        }
        DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) | DeValue::Table(_) => None,
    }
}
