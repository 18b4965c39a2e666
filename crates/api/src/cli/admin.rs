//! `roadstead admin`: what its user could do with the database file anyway, done right.

use std::io::{BufRead as _, Read as _};
use std::path::Path;

use anyhow::{Context as _, anyhow, bail};
use clap::Args;

use super::flags::SettingFlags;
use super::{Failure, say, small_runtime};
use crate::access::Actor;
use crate::audit::{self, Outcome, Subject};
use crate::auth::{self, Email, NewOwner};
use crate::config::Config;
use crate::data_dir;
use crate::error::ErrorCode;
use crate::hub::{App, Hub};
use crate::installation::{self, Fact};
use crate::start;
use crate::workspaces;

const MAX_PASSWORD_LINE: u64 = 4096;
/// Tells scripts that there is nothing left to do.
const EXISTS_ALREADY: u8 = 3;

/// Who becomes an owner.
#[derive(Debug, Args)]
pub(super) struct CreateOwner {
    /// Their e-mail address, which they sign in with
    #[arg(long, value_name = "ADDRESS")]
    email: String,
    /// What they are called [default: the part of the address before the @]
    #[arg(long)]
    name: Option<String>,
    /// Name of the workspace that they own
    #[arg(long, default_value = "Home")]
    workspace: String,
    /// Read the password from the first line of standard input
    #[arg(long, required = true)]
    password_stdin: bool,
    #[command(flatten)]
    settings: SettingFlags,
}

pub(super) fn create_owner(command: CreateOwner) -> Result<(), Failure> {
    let CreateOwner { email, name, workspace, settings, .. } = command;
    let config = settings.load()?.config;
    let name = name.unwrap_or_else(|| email.split('@').next().unwrap_or_default().to_owned());
    let owner = NewOwner {
        email: email.try_into().map_err(|problem| anyhow!("--email {problem}"))?,
        name: name.try_into().map_err(|problem| anyhow!("--name {problem}"))?,
        workspace: workspace.try_into().map_err(|problem| anyhow!("--workspace {problem}"))?,
        password: read_password()?.try_into().map_err(|problem| anyhow!("the password {problem}"))?,
    };
    small_runtime()?.block_on(create(config, owner))
}

async fn create(config: Config, owner: NewOwner) -> Result<(), Failure> {
    data_dir::ensure_private_dir(&config.data_dir).context("choose another data directory with --data-dir")?;
    data_dir::require_own(&config.data_dir)?;
    let hub = start::open(config).await?;
    let created = auth::create_owner(&hub, owner).await;
    // A running hub does not hear of records that another process wrote.
    let chained = audit::chain(&hub).await;
    hub.close().await;
    chained?;
    match created {
        Ok((user, workspace)) => say(format_args!(
            "{} is an owner now, of the workspace {} ({})",
            user.email,
            workspace.name.as_str(),
            workspace.id
        )),
        Err(error) => {
            let code = if error.code() == ErrorCode::Conflict { EXISTS_ALREADY } else { 1 };
            Err(Failure { error: error.into(), code })
        }
    }
}

/// Whose password is to be replaced.
#[derive(Debug, Args)]
pub(super) struct ResetPassword {
    /// The address that they sign in with
    #[arg(value_name = "EMAIL")]
    email: String,
    /// Read the new password from the first line of standard input instead of making and printing one
    #[arg(long)]
    password_stdin: bool,
    #[command(flatten)]
    settings: SettingFlags,
}

pub(super) fn reset_password(command: ResetPassword) -> Result<(), Failure> {
    let ResetPassword { email, password_stdin, settings } = command;
    let config = settings.load()?.config;
    let email = Email::try_from(email).map_err(|problem| anyhow!("EMAIL {problem}"))?;
    let given = if password_stdin { Some(read_password()?) } else { None };
    small_runtime()?.block_on(async {
        let hub = open_beside(config).await?;
        let password = given.clone().unwrap_or_else(|| auth::random_password(hub.random.as_ref()));
        let reset = match password.clone().try_into() {
            Ok(new) => auth::reset_password(&hub, &email, &new).await.map_err(anyhow::Error::from),
            Err(problem) => Err(anyhow!("the password {problem}")),
        };
        close(hub).await?;
        let (user, ended) = reset?;
        let sessions =
            if ended == 1 { "1 session of theirs was".to_owned() } else { format!("{ended} sessions of theirs were") };
        let line = format!("{} has another password now; {sessions} ended", user.email);
        match given {
            Some(_) => say(line),
            None => say(format_args!("{line}\npassword: {password}\nHand it over and have them change it.")),
        }
    })
}

/// Whose one-time codes are to be turned off.
#[derive(Debug, Args)]
pub(super) struct DisableTotp {
    /// The address that they sign in with
    #[arg(value_name = "EMAIL")]
    email: String,
    #[command(flatten)]
    settings: SettingFlags,
}

pub(super) fn disable_totp(command: DisableTotp) -> Result<(), Failure> {
    let DisableTotp { email, settings } = command;
    let config = settings.load()?.config;
    let email = Email::try_from(email).map_err(|problem| anyhow!("EMAIL {problem}"))?;
    small_runtime()?.block_on(async {
        let hub = open_beside(config).await?;
        let disabled = auth::disable_totp(&hub, &email).await;
        close(hub).await?;
        match disabled? {
            (user, true) => say(format_args!("one-time codes are off for {}", user.email)),
            (user, false) => say(format_args!("{} had no one-time codes; nothing was changed", user.email)),
        }
    })
}

/// Whose passkeys are to be removed.
#[derive(Debug, Args)]
pub(super) struct RemovePasskeys {
    /// The address that they sign in with
    #[arg(value_name = "EMAIL")]
    email: String,
    #[command(flatten)]
    settings: SettingFlags,
}

pub(super) fn remove_passkeys(command: RemovePasskeys) -> Result<(), Failure> {
    let RemovePasskeys { email, settings } = command;
    let config = settings.load()?.config;
    let email = Email::try_from(email).map_err(|problem| anyhow!("EMAIL {problem}"))?;
    small_runtime()?.block_on(async {
        let hub = open_beside(config).await?;
        let removed = auth::remove_passkeys(&hub, &email).await;
        close(hub).await?;
        match removed? {
            (user, 0) => say(format_args!("{} had no passkeys; nothing was changed", user.email)),
            (user, 1) => say(format_args!("{} has no passkeys any more; there was 1", user.email)),
            (user, count) => say(format_args!("{} has no passkeys any more; there were {count}", user.email)),
        }
    })
}

/// Opens the installation, perhaps beside a running hub.
async fn open_beside(config: Config) -> Result<App, Failure> {
    data_dir::require_own(&config.data_dir)?;
    Ok(start::open(config).await?)
}

/// Closes it; a running hub does not hear of records that another process wrote, so they are chained first.
async fn close(hub: App) -> Result<(), Failure> {
    let chained = audit::chain(&hub).await;
    hub.close().await;
    Ok(chained?)
}

/// Agents that connect learn of the new key from the old one and trust it from then on.
pub(super) fn rotate_key(settings: SettingFlags) -> Result<(), Failure> {
    let config = settings.load()?.config;
    small_runtime()?.block_on(rotate(config))
}

async fn rotate(config: Config) -> Result<(), Failure> {
    data_dir::require_own(&config.data_dir)?;
    // A running hub would go on signing with the old key, which agents stop to believe.
    let _lock = data_dir::lock(&config.data_dir).context("stop the hub first, then rotate its key")?;
    let keys_dir = config.keys_dir.clone();
    let hub = start::open(config).await?;
    let rotated = replace_key(&hub, &keys_dir).await;
    let chained = audit::chain(&hub).await;
    hub.close().await;
    let (old, new) = rotated?;
    chained?;
    say(format_args!(
        "the hub signs with a new key: {new} (before: {old})\nStart the hub. Agents follow when they connect; lines to \
         install agents that were copied before do not work any more. Make a new backup of {}.",
        keys_dir.display()
    ))
}

async fn replace_key(hub: &Hub, keys_dir: &Path) -> anyhow::Result<(String, String)> {
    let rotated = hub.keys.rotate(keys_dir, hub.random.as_ref(), hub.now())?;
    let (old, new) = (hub.keys.fingerprint().to_string(), rotated.fingerprint().to_string());
    let mut unit = hub.begin().await.map_err(anyhow::Error::from)?;
    installation::put(&mut unit.conn(), Fact::SigningKey, new.clone()).await?;
    if let Some(home) = workspaces::home(&mut unit.conn()).await? {
        let details = serde_json::json!({ "old_fingerprint": old, "new_fingerprint": new });
        let subject = Subject::new("installation", &"hub", "signing key");
        unit.audit(&Actor::system(home), "hub.rotate_key", subject, Outcome::Ok, details).await?;
    }
    unit.commit().await?;
    Ok((old, new))
}

fn read_password() -> anyhow::Result<String> {
    let mut line = String::new();
    let mut input = std::io::stdin().lock().take(MAX_PASSWORD_LINE);
    input.read_line(&mut line).context("the password cannot be read from standard input")?;
    let password = line.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        bail!("no password came on standard input; try: echo 'the password' | roadstead admin create-owner …");
    }
    Ok(password.to_owned())
}
