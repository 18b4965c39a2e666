//! `roadstead admin set-plan`: what a workspace may have.

use anyhow::{Context as _, anyhow};
use clap::Args;
use protocol::WorkspaceId;

use super::flags::SettingFlags;
use super::{Failure, say, small_runtime};
use crate::config::Config;
use crate::plans::{self, Limits, Plan};
use crate::{audit, data_dir, start};

/// Which workspace gets which plan.
#[derive(Debug, Args)]
pub(super) struct SetPlan {
    /// Id of the workspace
    #[arg(value_name = "WORKSPACE")]
    workspace: String,
    /// What the plan is called
    #[arg(long, value_name = "NAME")]
    plan: String,
    /// Servers at most [default: unlimited]
    #[arg(long, value_name = "NUMBER")]
    servers: Option<u32>,
    /// Members and invitations at most [default: unlimited]
    #[arg(long, value_name = "NUMBER")]
    members: Option<u32>,
    /// A feature beyond the ordinary; repeat it for several
    #[arg(long = "feature", value_name = "WORD")]
    features: Vec<String>,
    #[command(flatten)]
    settings: SettingFlags,
}

pub(super) fn set_plan(command: SetPlan) -> Result<(), Failure> {
    let SetPlan { workspace, plan, servers, members, features, settings } = command;
    let config = settings.load()?.config;
    let workspace: WorkspaceId = workspace.parse().map_err(|problem| anyhow!("the workspace's id: {problem}"))?;
    let plan = Plan {
        name: plan.try_into().map_err(|problem| anyhow!("--plan {problem}"))?,
        limits: Limits { servers, members },
        features: features.try_into().map_err(|problem| anyhow!("--feature {problem}"))?,
        version: 0,
    };
    small_runtime()?.block_on(set(config, workspace, plan))
}

async fn set(config: Config, workspace: WorkspaceId, plan: Plan) -> Result<(), Failure> {
    data_dir::require_own(&config.data_dir)?;
    let hub = start::open(config).await?;
    let name = plan.name.as_str().to_owned();
    let set = plans::set_by_hand(&hub, workspace, plan).await;
    // A running hub does not hear of records that another process wrote.
    let chained = audit::chain(&hub).await;
    hub.close().await;
    chained?;
    set.with_context(|| format!("the workspace {workspace} is not on another plan"))?;
    say(format_args!("the workspace {workspace} is on the plan {name}"))
}
