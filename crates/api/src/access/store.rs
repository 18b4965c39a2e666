//! SQL of what people hold.

use protocol::{UserId, WorkspaceId};

use super::node::NodeSet;
use super::rights::Held;
use super::role::Role;
use super::scope::Scope;
use super::standing::Standing;
use crate::db::{Conn, DbError, JsonText};
use crate::ids::ProjectId;
use crate::sql;

/// Makes changes to who may do what in a workspace wait for each other.
pub(super) async fn hold(conn: &mut Conn<'_>, workspace: WorkspaceId) -> Result<(), DbError> {
    conn.query(sql!("update workspaces set name = name where id = $1")).bind(workspace.to_string()).execute().await?;
    Ok(())
}

#[derive(sqlx::FromRow)]
struct Row {
    role: Option<String>,
    /// Of a role of the workspace's own, or of the grant itself.
    nodes: Option<JsonText<Vec<String>>>,
    project_id: Option<String>,
    server_id: Option<String>,
}

/// What somebody was granted in a workspace; nothing while it requires a second factor that they do not have.
pub(super) async fn held(conn: &mut Conn<'_>, workspace: WorkspaceId, user: UserId) -> Result<Vec<Held>, DbError> {
    let rows: Vec<Row> = conn
        .query(sql!(
            "select g.role, coalesce(r.nodes, g.nodes) as nodes, g.project_id, g.server_id
             from grants g join workspaces w on w.id = g.workspace_id left join roles r on r.id = g.role_id
             where g.workspace_id = $1 and g.user_id = $2
                   and (not w.require_totp
                        or exists (select 1 from totp t where t.user_id = g.user_id and t.enabled_at is not null)
                        or exists (select 1 from passkeys p where p.user_id = g.user_id)
                        or (exists (select 1 from identities i join users u on u.id = i.user_id
                                    where i.user_id = g.user_id and i.both_factors and u.password_hash = '')
                            and not exists (select 1 from identities o where o.user_id = g.user_id and not o.both_factors)))
             order by g.id"
        ))
        .bind(workspace.to_string())
        .bind(user.to_string())
        .fetch_all()
        .await?;
    Ok(rows.into_iter().filter_map(Row::held).collect())
}

impl Row {
    /// `None` when the row says something that this version does not know: nothing is granted then.
    fn held(self) -> Option<Held> {
        let nodes = nodes_of(self.role.as_deref(), self.nodes)?;
        Some(Held { nodes, scope: Scope::stored(self.project_id.as_deref(), self.server_id.as_deref())? })
    }
}

#[derive(sqlx::FromRow)]
struct StandingRow {
    kind: String,
    id: String,
    whose: String,
    role: Option<String>,
    nodes: Option<JsonText<Vec<String>>>,
}

/// What is granted over a project, invited to it, and lies in keys for it.
pub(super) async fn standing_over(
    conn: &mut Conn<'_>,
    workspace: WorkspaceId,
    project: ProjectId,
) -> Result<Vec<Standing>, DbError> {
    let rows: Vec<StandingRow> = conn
        .query(sql!(
            "select 'grant' as kind, g.id, g.user_id as whose, g.role, coalesce(r.nodes, g.nodes) as nodes
             from grants g left join roles r on r.id = g.role_id where g.workspace_id = $1 and g.project_id = $2
             union all
             select 'invite', i.id, i.email, i.role, coalesce(r.nodes, i.nodes)
             from invites i left join roles r on r.id = i.role_id where i.workspace_id = $1 and i.project_id = $2
             union all
             select 'api_key', k.id, k.name, null, k.nodes
             from api_keys k where k.workspace_id = $1 and k.project_id = $2
             order by 1, 2"
        ))
        .bind(workspace.to_string())
        .bind(project.to_string())
        .fetch_all()
        .await?;
    let standing = |StandingRow { kind, id, whose, role, nodes }| Standing {
        kind,
        id,
        whose,
        // What this version does not know gives nothing.
        nodes: nodes_of(role.as_deref(), nodes).unwrap_or_default(),
    };
    Ok(rows.into_iter().map(standing).collect())
}

/// `None` when it is something that this version does not know.
fn nodes_of(role: Option<&str>, nodes: Option<JsonText<Vec<String>>>) -> Option<NodeSet> {
    match role {
        Some(role) => Some(Role::named(role)?.nodes()),
        None => Some(NodeSet::known(&nodes?.0)),
    }
}
