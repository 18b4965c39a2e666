//! `roadstead admin`: what its user could do with the database file anyway, done right.

use std::io::{BufRead as _, Read as _};

use anyhow::{Context as _, anyhow, bail};
use clap::Args;

use super::flags::SettingFlags;
use super::{Failure, say, small_runtime};
use crate::audit;
use crate::auth::{self, NewOwner};
use crate::config::Config;
use crate::data_dir;
use crate::error::ErrorCode;
use crate::start;

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
