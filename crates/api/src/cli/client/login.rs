//! `roadstead login` and `logout`: an API key of one's own for this machine, made and revoked.

use std::path::Path;

use anyhow::{Context as _, anyhow};
use clap::Args;
use reqwest::header::{COOKIE, SET_COOKIE};
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;

use super::hub::{self, HubClient, Unreachable};
use super::pin::KeyPin;
use super::prompt;
use super::saved::{Saved, SavedHub};
use crate::access::Scope;
use crate::cli::{Failure, complain, say, small_runtime};
use crate::data_dir;
use crate::secret::Secret;

const SECONDS_OF_A_DAY: u32 = 86_400;

/// Which hub, and who.
#[derive(Debug, Args)]
pub(in crate::cli) struct Login {
    /// The hub's address, such as https://hub.example.com
    #[arg(value_name = "URL")]
    hub: String,
    /// Your e-mail address [default: asks]
    #[arg(long, value_name = "ADDRESS", conflicts_with = "with_key")]
    email: Option<String>,
    /// Read the password from the first line of standard input
    #[arg(long, requires = "email")]
    password_stdin: bool,
    /// The one-time code, where the account has them [default: asks]
    #[arg(long, value_name = "CODE", conflicts_with = "with_key")]
    totp: Option<String>,
    /// Read an API key from the first line of standard input instead of signing in
    #[arg(long)]
    with_key: bool,
    /// The workspace to act in, by name or id [default: the one that your next session would act in]
    #[arg(long, value_name = "WORKSPACE", conflicts_with = "with_key")]
    workspace: Option<String>,
    /// Days until the key that is made expires
    #[arg(long, value_name = "DAYS", default_value_t = 90, value_parser = clap::value_parser!(u32).range(1..=366), conflicts_with = "with_key")]
    expires_in: u32,
    /// The hub's TLS key as `sha256//…`, where it made its certificate itself [default: shows it and asks]
    #[arg(long, value_name = "PIN")]
    pinned_key: Option<KeyPin>,
}

/// Which hub.
#[derive(Debug, Args)]
pub(in crate::cli) struct Logout {
    /// The hub's address [default: the one that you signed in to last]
    #[arg(value_name = "URL")]
    hub: Option<String>,
}

pub(in crate::cli) fn login(command: Login) -> Result<(), Failure> {
    small_runtime()?.block_on(sign_in(command))
}

pub(in crate::cli) fn logout(command: &Logout) -> Result<(), Failure> {
    small_runtime()?.block_on(sign_out(command))
}

async fn sign_in(command: Login) -> Result<(), Failure> {
    let address = hub::address(&command.hub)?;
    let mut saved = Saved::load()?;
    let known = saved.hubs.get(&address).and_then(|hub| hub.pinned_key);
    let pin = trusted(&address, command.pinned_key.or(known)).await?;
    let (made, who) = if command.with_key {
        let key = prompt::first_line()?;
        check(&address, pin, &key).await?;
        ((key, None), "with the key".to_owned())
    } else {
        make_key(&address, pin, &command).await?
    };
    let (api_key, api_key_id) = made;
    let hub = SavedHub { api_key: api_key.reveal().to_owned(), api_key_id, pinned_key: pin };
    let previous = saved.hubs.insert(address.clone(), hub);
    saved.default = Some(address.clone());
    saved.store()?;
    if let Some(previous) = previous {
        revoke(&address, &previous).await;
    }
    say(format_args!("Signed in to {address} {who}. Try: roadstead api GET /v1/servers"))
}

/// Makes sure that the hub is one, and asks about its certificate where no authority vouches for it.
async fn trusted(address: &str, pin: Option<KeyPin>) -> anyhow::Result<Option<KeyPin>> {
    match demand_owned_hub(address, pin).await {
        Ok(()) => Ok(pin),
        Err(Unreachable::Failed(error)) => Err(error),
        Err(Unreachable::Untrusted(key)) if pin.is_some() => {
            Err(anyhow!("the hub's key is not the pinned one, but {key}; if that is right, say so: --pinned-key {key}"))
        }
        Err(Unreachable::Untrusted(key)) if !prompt::is_terminal() => Err(anyhow!(
            "no public authority vouches for the hub's certificate; if {key} is its key, say so: --pinned-key {key}"
        )),
        Err(Unreachable::Untrusted(key)) => {
            complain(format_args!(
                "No public authority vouches for the certificate of {address}. Its key is\n\n    {key}\n\n\
                 The line that the dashboard shows to add a server names the hub's key too, after --pinnedpubkey."
            ));
            if !prompt::agreed("Is it this one?")? {
                return Err(anyhow!("not signed in: the key is not trusted"));
            }
            demand_owned_hub(address, Some(key)).await?;
            Ok(Some(key))
        }
    }
}

/// Asks what is there whether it is a hub, and has an owner.
async fn demand_owned_hub(address: &str, pin: Option<KeyPin>) -> Result<(), Unreachable> {
    let hub = HubClient::new(address, pin, None).map_err(Unreachable::Failed)?;
    let request = hub.request(Method::GET, "/v1/setup").map_err(Unreachable::Failed)?;
    let response = hub.send(request).await?;
    let is_ok = response.status().is_success();
    let body = hub::bounded(response).await.map_err(Unreachable::Failed)?;
    match serde_json::from_slice(&body) {
        Ok(SetupState { needs_setup: false }) if is_ok => Ok(()),
        Ok(SetupState { needs_setup: true }) if is_ok => {
            Err(Unreachable::Failed(anyhow!("nobody owns this hub yet: open {address} in a browser first")))
        }
        _ => Err(Unreachable::Failed(anyhow!("{address} answers, but is no hub"))),
    }
}

#[derive(Deserialize)]
struct SetupState {
    needs_setup: bool,
}

/// A key that was pasted must open something.
async fn check(address: &str, pin: Option<KeyPin>, key: &Secret) -> anyhow::Result<()> {
    let hub = HubClient::new(address, pin, Some(key.reveal()))?;
    // Whether the key may see servers does not matter: a refusal is one by name.
    let response = hub.send(hub.request(Method::GET, "/v1/servers?limit=1")?).await?;
    match response.status() {
        status if status.is_success() || status == StatusCode::FORBIDDEN => Ok(()),
        StatusCode::UNAUTHORIZED => Err(anyhow!("the hub does not know this key, or it has expired")),
        StatusCode::TOO_MANY_REQUESTS => Err(anyhow!("the hub was asked too often; wait a minute")),
        status => Err(anyhow!("the hub answered {status}, so the key could not be tried; try again later")),
    }
}

type Made = (Secret, Option<String>);

/// Signs in, makes a key, and signs out again.
async fn make_key(address: &str, pin: Option<KeyPin>, command: &Login) -> anyhow::Result<(Made, String)> {
    let hub = HubClient::new(address, pin, None)?;
    let (email, password) = match &command.email {
        Some(email) if command.password_stdin => (email.clone(), prompt::first_line()?),
        Some(email) => (email.clone(), prompt::secret("Password: ")?),
        None => (prompt::line("E-mail: ")?, prompt::secret("Password: ")?),
    };
    let session = open_session(&hub, &email, &password, command.totp.as_deref()).await?;
    let made = new_key(&hub, &session, command).await;
    let out = hub.request(Method::POST, "/v1/auth/logout")?.header(COOKIE, &session.cookie);
    if let Err(error) = hub.ask::<IgnoredAny>(out).await {
        complain(format_args!("roadstead: the session could not be ended: {error:#}"));
    }
    Ok((made?, format!("as {}; the key expires in {} days", session.signed_in.user.name, command.expires_in)))
}

struct Session {
    cookie: String,
    signed_in: SignedIn,
}

#[derive(Deserialize)]
struct SignedIn {
    user: User,
    workspaces: Vec<Workspace>,
    grants: Vec<Held>,
}

#[derive(Deserialize)]
struct User {
    name: String,
}

#[derive(Deserialize)]
struct Workspace {
    id: String,
    name: String,
}

#[derive(Deserialize)]
struct Held {
    nodes: Vec<String>,
    scope: Scope,
}

async fn open_session(hub: &HubClient, email: &str, password: &Secret, totp: Option<&str>) -> anyhow::Result<Session> {
    let login = async |totp: Option<&str>| {
        let form = json!({ "email": email, "password": password.reveal(), "totp": totp });
        hub.reply(hub.request(Method::POST, "/v1/auth/login")?.json(&form)).await
    };
    let mut reply = login(totp).await?;
    if let Err(refusal) = &reply
        && refusal.code == "totp_required"
    {
        reply = login(Some(prompt::secret("One-time code: ")?.reveal())).await?;
    }
    let reply = reply?;
    let cookie = reply.headers.get(SET_COOKIE).and_then(|cookie| cookie.to_str().ok()?.split(';').next());
    Ok(Session { cookie: cookie.context("the hub made no session")?.to_owned(), signed_in: reply.body()? })
}

async fn new_key(hub: &HubClient, session: &Session, command: &Login) -> anyhow::Result<Made> {
    let request = |method, path| anyhow::Ok(hub.request(method, path)?.header(COOKIE, &session.cookie));
    let entered: SignedIn;
    let mut signed_in = &session.signed_in;
    if let Some(wanted) = &command.workspace {
        let is_it = |workspace: &&Workspace| workspace.id == *wanted || workspace.name == *wanted;
        let workspace = signed_in.workspaces.iter().find(is_it);
        let workspace = workspace.ok_or_else(|| anyhow!("you are in no workspace {wanted}"))?;
        let patch = json!({ "workspace_id": workspace.id });
        let IgnoredAny = hub.ask(request(Method::PATCH, "/v1/auth/session")?.json(&patch)).await?;
        entered = hub.ask(request(Method::GET, "/v1/auth/session")?).await?;
        signed_in = &entered;
    }
    // A key has one scope: that of the whole workspace where somebody holds anything there.
    let everywhere = signed_in.grants.iter().find(|held| held.scope == Scope::Workspace);
    let held = everywhere.or_else(|| signed_in.grants.first()).context("you may do nothing in this workspace")?;
    let host = data_dir::read_text(Path::new("/etc/hostname"), 256).ok().flatten().unwrap_or_default();
    let host = host.split_whitespace().next().unwrap_or("a machine");
    let new = json!({
        "name": format!("roadstead login on {host}"),
        "permissions": held.nodes,
        "scope": held.scope,
        "ttl_s": command.expires_in * SECONDS_OF_A_DAY,
    });
    let made: KeyMade = hub.ask(request(Method::POST, "/v1/api-keys")?.json(&new)).await?;
    Ok((made.token, Some(made.id)))
}

#[derive(Deserialize)]
struct KeyMade {
    id: String,
    token: Secret,
}

async fn sign_out(command: &Logout) -> Result<(), Failure> {
    let mut saved = Saved::load()?;
    let named = command.hub.as_deref().map(hub::address).transpose()?;
    let address = saved.hub(named.as_deref())?.0.to_owned();
    let Some(hub) = saved.hubs.remove(&address) else { return Ok(()) };
    saved.default = saved.default.filter(|default| *default != address).or_else(|| saved.hubs.keys().next().cloned());
    saved.store()?;
    revoke(&address, &hub).await;
    say(format_args!("Signed out of {address}."))
}

/// A key that this program made dies with its use. A hub that cannot be asked keeps it until it expires.
async fn revoke(address: &str, known: &SavedHub) {
    if known.api_key_id.is_none() {
        return;
    }
    let revoked = async {
        let hub = HubClient::new(address, known.pinned_key, Some(&known.api_key))?;
        hub.ask::<IgnoredAny>(hub.request(Method::DELETE, "/v1/api-keys/current")?).await
    };
    if let Err(error) = revoked.await {
        complain(format_args!(
            "roadstead: the key that this machine had could not be revoked ({error:#}); it is in your account, under API keys"
        ));
    }
}
