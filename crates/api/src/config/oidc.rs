//! `[oidc.<id>]`: identity providers that people sign in through.
//!
//! How many there are and what they are called is up to whoever runs the hub, so they are no [`super::settings`]. In the
//! environment they are `ROADSTEAD_OIDC_<ID>_<KEY>`; what groups map to stands in the file only.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result, anyhow, bail};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::layers::{Given, Place};
use super::settings::{ENV_PREFIX, similar};
use crate::access::Role;
use crate::data_dir;
use crate::line::one_line;
use crate::secret::Secret;

const SECTION: &str = "oidc";
const MAX_PROVIDERS: usize = 20;
const MAX_MAPPINGS: usize = 200;
const MAX_ID: usize = 32;
const MAX_TEXT: usize = 1024;
const MAX_SECRET_BYTES: u64 = 16 << 10;
/// Longest first: `client_secret_file` ends with no other key.
const KEYS: [&str; 8] =
    ["client_secret_file", "client_secret", "second_factor", "groups_claim", "client_id", "issuer", "scopes", "name"];

/// An identity provider.
#[derive(Debug, Clone)]
pub struct OidcProvider {
    /// What it is called in URLs.
    pub id: String,
    /// What its button says.
    pub name: String,
    /// Where it says of itself what it is; exactly as it writes it.
    pub issuer: String,
    /// Who the hub is there.
    pub client_id: String,
    /// What the hub proves that with; public clients have none.
    pub client_secret: Option<Secret>,
    /// What is asked for.
    pub scopes: Vec<String>,
    /// Which claim lists the groups of a person.
    pub groups_claim: String,
    /// Whether its sign-in is both factors, so that the hub asks for none of its own.
    pub both_factors: bool,
    /// What its groups are worth here.
    pub mappings: Vec<GroupMapping>,
}

/// What a group of a provider gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMapping {
    /// As the provider calls it.
    pub group: String,
    /// Id or name of the workspace.
    pub workspace: String,
    /// The role over all of it.
    pub role: Role,
}

/// What people wrote, by provider.
#[derive(Default)]
pub(super) struct Written(BTreeMap<String, WrittenProvider>);

#[derive(Default)]
struct WrittenProvider {
    values: BTreeMap<&'static str, Given>,
    mappings: Vec<GroupMapping>,
    place: Option<Place>,
}

impl Written {
    /// Takes a variable that names a provider; false for any other.
    pub(super) fn take_env(&mut self, name: &str, value: &str) -> Result<bool> {
        let Some(rest) = name.strip_prefix(ENV_PREFIX).and_then(|rest| rest.strip_prefix("OIDC_")) else {
            return Ok(false);
        };
        let key = KEYS.iter().find(|key| rest.ends_with(&format!("_{}", key.to_uppercase())));
        let Some((key, id)) = key.and_then(|key| Some((*key, rest.get(..rest.len() - key.len() - 1)?))) else {
            bail!("unknown environment variable {name}; providers have {}", shown_keys());
        };
        if !value.is_empty() {
            let place = Place::Env(name.to_owned());
            let provider = self.provider(&id.to_lowercase(), &place)?;
            provider.values.insert(key, Given { text: value.to_owned(), place });
        }
        Ok(true)
    }

    /// Takes the section `[oidc]` of the file; variables beat it.
    pub(super) fn take_file(
        &mut self,
        path: &Path,
        section: &DeTable<'_>,
        line: impl Fn(usize) -> usize,
    ) -> Result<()> {
        for (id, table) in section {
            let place = |at: usize| Place::File { path: path.to_owned(), line: line(at) };
            let here = place(id.span().start);
            let DeValue::Table(table) = table.get_ref() else {
                bail!("{here}: write a section [oidc.{}] for the provider", id.get_ref());
            };
            self.provider(id.get_ref(), &here)?;
            for (key, value) in table {
                let here = place(key.span().start);
                if key.get_ref() == "mappings" {
                    let mappings = mappings(value, &here)?;
                    self.provider(id.get_ref(), &here)?.mappings = mappings;
                    continue;
                }
                let Some(known) = KEYS.into_iter().find(|known| known == key.get_ref()) else {
                    let meant = similar(key.get_ref(), KEYS.iter().map(|key| (*key).to_owned()));
                    let hint = meant.map_or_else(String::new, |meant| format!("; did you mean {meant}?"));
                    bail!("{here}: unknown key oidc.{}.{}{hint}", id.get_ref(), key.get_ref());
                };
                let Some(text) = super::layers::flat(value.get_ref()) else {
                    bail!("{here}: oidc.{}.{known} must be a text or a list of texts", id.get_ref());
                };
                let values = &mut self.provider(id.get_ref(), &here)?.values;
                values.entry(known).or_insert(Given { text, place: here });
            }
        }
        Ok(())
    }

    fn provider(&mut self, id: &str, place: &Place) -> Result<&mut WrittenProvider> {
        let letters = id.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'));
        if id.is_empty() || id.len() > MAX_ID || !letters {
            bail!(
                "{place}: a provider's name is made of at most {MAX_ID} of the characters a-z, 0-9 and _, not {id:?}"
            );
        }
        if self.0.len() >= MAX_PROVIDERS && !self.0.contains_key(id) {
            bail!("{place}: there can be at most {MAX_PROVIDERS} providers");
        }
        let provider = self.0.entry(id.to_owned()).or_default();
        provider.place.get_or_insert_with(|| place.clone());
        Ok(provider)
    }

    /// The providers, checked, each with the place that first speaks of it.
    pub(super) fn providers(
        &self,
        absolute: fn(&str, &Place) -> Result<std::path::PathBuf>,
    ) -> Result<Vec<(OidcProvider, Place)>> {
        let provider = |(id, written): (&String, &WrittenProvider)| {
            let place = written.place.clone().unwrap_or(Place::Default);
            written.check(id, absolute).with_context(|| format!("{place}: [{SECTION}.{id}]")).map(|one| (one, place))
        };
        let all = self.0.iter().map(provider).collect::<Result<Vec<_>>>()?;
        // Somebody is known by issuer and subject: with two providers of one issuer, one would speak for the other's people,
        // under the other's rules.
        let mut known = BTreeMap::new();
        for (provider, place) in &all {
            if let Some(other) = known.insert(provider.issuer.trim_end_matches('/'), &provider.id) {
                bail!("{place}: [{SECTION}.{}] has the issuer of [{SECTION}.{other}]; name it once", provider.id);
            }
        }
        Ok(all)
    }
}

impl WrittenProvider {
    fn check(&self, id: &str, absolute: fn(&str, &Place) -> Result<std::path::PathBuf>) -> Result<OidcProvider> {
        let text = |key: &'static str| -> Result<Option<String>> {
            let Some(given) = self.values.get(key) else { return Ok(None) };
            one_line(&given.text, MAX_TEXT).map(Some).map_err(|problem| anyhow!("{}: {key} {problem}", given.place))
        };
        let needed = |key| text(key)?.with_context(|| format!("{key} is missing"));
        let issuer = needed("issuer")?;
        check_issuer(&issuer)?;
        let list = |text: String| text.split([',', ' ']).filter(|one| !one.is_empty()).map(str::to_owned).collect();
        let mut scopes: Vec<String> =
            text("scopes")?.map_or_else(|| ["openid", "email", "profile"].map(str::to_owned).to_vec(), list);
        if !scopes.iter().any(|scope| scope == "openid") {
            scopes.insert(0, "openid".to_owned());
        }
        let both_factors = match text("second_factor")?.as_deref() {
            None | Some("ours") => false,
            Some("provider") => true,
            Some(_) => bail!("second_factor must be ours or provider"),
        };
        Ok(OidcProvider {
            id: id.to_owned(),
            name: text("name")?.unwrap_or_else(|| id.to_owned()),
            issuer,
            client_id: needed("client_id")?,
            client_secret: self.secret(absolute)?,
            scopes,
            groups_claim: text("groups_claim")?.unwrap_or_else(|| "groups".to_owned()),
            both_factors,
            mappings: self.mappings.clone(),
        })
    }

    fn secret(&self, absolute: fn(&str, &Place) -> Result<std::path::PathBuf>) -> Result<Option<Secret>> {
        let (direct, file) = (self.values.get("client_secret"), self.values.get("client_secret_file"));
        let (direct, file) = match (direct, file) {
            (Some(direct), Some(file)) if direct.place.is_beside(&file.place) => {
                bail!("give either client_secret or client_secret_file");
            }
            (Some(direct), Some(file)) if file.place > direct.place => (None, Some(file)),
            (Some(direct), Some(_)) => (Some(direct), None),
            other => other,
        };
        match (direct, file) {
            (Some(given), _) => Ok(Some(Secret::new(given.text.clone()))),
            (None, Some(file)) => {
                let path = absolute(&file.text, &file.place)?;
                let text = data_dir::read_text(&path, MAX_SECRET_BYTES)?;
                let text = text.with_context(|| format!("client_secret_file: there is no file {}", path.display()))?;
                let text = text.trim();
                if text.is_empty() {
                    bail!("client_secret_file: {} is empty", path.display());
                }
                Ok(Some(Secret::new(text.to_owned())))
            }
            (None, None) => Ok(None),
        }
    }
}

/// What the provider says decides who gets in: it must come from the provider.
fn check_issuer(issuer: &str) -> Result<()> {
    let url = url::Url::parse(issuer).map_err(|_| anyhow!("issuer must be a URL such as https://id.example.com"))?;
    if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() || url.password().is_some() {
        bail!("issuer must have no user, no ? and no #");
    }
    if is_protected(&url) { Ok(()) } else { bail!("issuer must begin with https://, or with http:// towards loopback") }
}

/// Whether nobody on the way can change what comes from there.
pub(crate) fn is_protected(url: &url::Url) -> bool {
    let is_loopback = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    };
    url.scheme() == "https" || (url.scheme() == "http" && is_loopback)
}

fn mappings(value: &Spanned<DeValue<'_>>, place: &Place) -> Result<Vec<GroupMapping>> {
    let DeValue::Array(items) = value.get_ref() else { bail!("{place}: mappings must be a list of tables") };
    if items.len() > MAX_MAPPINGS {
        bail!("{place}: there can be at most {MAX_MAPPINGS} mappings");
    }
    items.iter().map(|item| mapping(item.get_ref()).with_context(|| format!("{place}: mappings"))).collect()
}

fn mapping(value: &DeValue<'_>) -> Result<GroupMapping> {
    let shape = "write each as { group = \"ops\", workspace = \"Home\", role = \"operator\" }";
    let DeValue::Table(table) = value else { bail!("{shape}") };
    let text = |name: &str| match table.get(name).map(Spanned::get_ref) {
        Some(DeValue::String(text)) if !text.is_empty() => Ok(text.clone().into_owned()),
        _ => Err(anyhow!("{name} is missing or no text; {shape}")),
    };
    if let Some((unknown, _)) =
        table.iter().find(|(key, _)| !["group", "workspace", "role"].contains(&&**key.get_ref()))
    {
        bail!("unknown key {}; {shape}", unknown.get_ref());
    }
    let role = text("role")?;
    let role = match Role::named(&role) {
        Some(Role::Owner) => bail!("nobody becomes an owner by a group; the widest role is admin"),
        Some(role) => role,
        None => bail!("there is no role {role:?}"),
    };
    Ok(GroupMapping { group: text("group")?, workspace: text("workspace")?, role })
}

fn shown_keys() -> String {
    KEYS.map(|key| format!("{ENV_PREFIX}OIDC_<ID>_{}", key.to_uppercase())).join(", ")
}
