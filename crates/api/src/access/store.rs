//! SQL of what people hold.

use protocol::{UserId, WorkspaceId};

use super::node::NodeSet;
use super::rights::Held;
use super::role::Role;
use super::scope::Scope;
use crate::db::{Conn, DbError, JsonText};
use crate::sql;

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
        let nodes = match (self.role, self.nodes) {
            (Some(role), _) => Role::named(&role)?.nodes(),
            (None, nodes) => NodeSet::known(&nodes?.0),
        };
        Some(Held { nodes, scope: Scope::stored(self.project_id.as_deref(), self.server_id.as_deref())? })
    }
}
