//! SQL of members, grants, roles and invitations.

use protocol::{UserId, WorkspaceId};

use super::model::{CustomRole, Grant, GrantColumns, Granted, Invite, Member};
use crate::access::Scope;
pub(super) use crate::access::hold;
use crate::auth::Email;
use crate::clock::Timestamp;
use crate::db::{Conn, DbError, JsonText};
use crate::ids::{GrantId, InviteId, RoleId};
use crate::secret::TokenDigest;
use crate::sql;

pub(super) async fn insert_member(
    conn: &mut Conn<'_>,
    workspace: WorkspaceId,
    user: UserId,
    at: Timestamp,
) -> Result<(), DbError> {
    conn.query(sql!("insert into members (workspace_id, user_id, created_at) values ($1, $2, $3)"))
        .bind(workspace.to_string())
        .bind(user.to_string())
        .bind(at)
        .execute()
        .await?;
    Ok(())
}

pub(super) async fn member(
    conn: &mut Conn<'_>,
    workspace: WorkspaceId,
    user: UserId,
) -> Result<Option<Member>, DbError> {
    conn.query(sql!(
        "select m.workspace_id, m.user_id, u.email, u.name, m.created_at as joined_at
         from members m join users u on u.id = m.user_id where m.workspace_id = $1 and m.user_id = $2"
    ))
    .bind(workspace.to_string())
    .bind(user.to_string())
    .fetch_optional()
    .await
}

/// By the time they joined, after `(joined_at, user_id)` when given.
pub(super) async fn members(
    conn: &mut Conn<'_>,
    workspace: WorkspaceId,
    after: Option<(i64, String)>,
    limit: i64,
) -> Result<Vec<Member>, DbError> {
    let (joined_at, user) = after.unwrap_or((i64::MIN, String::new()));
    conn.query(sql!(
        "select m.workspace_id, m.user_id, u.email, u.name, m.created_at as joined_at
         from members m join users u on u.id = m.user_id
         where m.workspace_id = $1 and (m.created_at, m.user_id) > ($2, $3)
         order by m.created_at, m.user_id limit $4"
    ))
    .bind(workspace.to_string())
    .bind(joined_at)
    .bind(user)
    .bind(limit)
    .fetch_all()
    .await
}

pub(super) async fn is_member(conn: &mut Conn<'_>, workspace: WorkspaceId, email_key: String) -> Result<bool, DbError> {
    let (count,): (i64,) = conn
        .query(sql!(
            "select count(*) from members m join users u on u.id = m.user_id
             where m.workspace_id = $1 and u.email_key = $2"
        ))
        .bind(workspace.to_string())
        .bind(email_key)
        .fetch_one()
        .await?;
    Ok(count > 0)
}

/// With what hangs on the membership: grants and API keys by reference, invitations and install tokens by their maker.
pub(super) async fn delete_member(conn: &mut Conn<'_>, workspace: WorkspaceId, user: UserId) -> Result<bool, DbError> {
    for text in [
        sql!("delete from invites where workspace_id = $1 and invited_by = $2"),
        sql!("delete from install_tokens where workspace_id = $1 and created_by = $2 and used_at is null"),
    ] {
        conn.query(text).bind(workspace.to_string()).bind(user.to_string()).execute().await?;
    }
    let deleted = conn
        .query(sql!("delete from members where workspace_id = $1 and user_id = $2"))
        .bind(workspace.to_string())
        .bind(user.to_string())
        .execute()
        .await?;
    Ok(deleted == 1)
}

/// Owners over the whole workspace.
pub(super) async fn owners(conn: &mut Conn<'_>, workspace: WorkspaceId) -> Result<i64, DbError> {
    let (count,) = conn
        .query(sql!(
            "select count(*) from grants
             where workspace_id = $1 and role = 'owner' and project_id is null and server_id is null"
        ))
        .bind(workspace.to_string())
        .fetch_one()
        .await?;
    Ok(count)
}

/// A grant with the names of what it names.
#[derive(sqlx::FromRow)]
pub(super) struct GrantRow {
    #[sqlx(try_from = "String")]
    id: GrantId,
    #[sqlx(flatten)]
    columns: GrantColumns,
    pub(super) role_name: Option<String>,
    pub(super) scope_name: Option<String>,
    pub(super) source: Option<String>,
}

impl GrantRow {
    /// `None` when it says something that this version does not know.
    pub(super) fn read(self) -> Option<Grant> {
        let (granted, scope) = self.columns.read()?;
        Some(Grant { id: self.id, granted, scope })
    }
}

pub(super) async fn grants(
    conn: &mut Conn<'_>,
    workspace: WorkspaceId,
    user: UserId,
) -> Result<Vec<GrantRow>, DbError> {
    conn.query(sql!(
        "select g.id, g.role, g.role_id, g.nodes, g.project_id, g.server_id, r.name as role_name,
                coalesce(p.name, s.name) as scope_name, g.source
         from grants g left join roles r on r.id = g.role_id left join projects p on p.id = g.project_id
              left join servers s on s.id = g.server_id
         where g.workspace_id = $1 and g.user_id = $2 order by g.id"
    ))
    .bind(workspace.to_string())
    .bind(user.to_string())
    .fetch_all()
    .await
}

pub(super) async fn insert_grant(
    conn: &mut Conn<'_>,
    workspace: WorkspaceId,
    user: UserId,
    grant: &Grant,
    at: Timestamp,
) -> Result<(), DbError> {
    conn.query(sql!(
        "insert into grants (id, workspace_id, user_id, role, role_id, nodes, project_id, server_id, created_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
    ))
    .bind(grant.id.to_string())
    .bind(workspace.to_string())
    .bind(user.to_string())
    .bind(grant.granted.role())
    .bind(grant.granted.role_id())
    .bind(grant.granted.nodes())
    .bind(grant.scope.project_column())
    .bind(grant.scope.server_column())
    .bind(at)
    .execute()
    .await?;
    Ok(())
}

/// A grant that a source beside people gave.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct MappedRow {
    #[sqlx(try_from = "String")]
    pub(super) id: GrantId,
    #[sqlx(try_from = "String")]
    pub(super) workspace_id: WorkspaceId,
    pub(super) role: String,
}

/// What somebody holds from one source, everywhere.
pub(super) async fn mapped(conn: &mut Conn<'_>, user: UserId, source: String) -> Result<Vec<MappedRow>, DbError> {
    conn.query(sql!(
        "select id, workspace_id, role from grants where user_id = $1 and source = $2 and role is not null order by id"
    ))
    .bind(user.to_string())
    .bind(source)
    .fetch_all()
    .await
}

#[derive(sqlx::FromRow)]
struct SourceRow {
    #[sqlx(try_from = "String")]
    user_id: UserId,
    source: String,
}

/// Everybody who holds something from a source beside people, once for each source.
pub(super) async fn mapped_people(conn: &mut Conn<'_>) -> Result<Vec<(UserId, String)>, DbError> {
    let rows: Vec<SourceRow> = conn
        .query(sql!("select distinct user_id, source from grants where source is not null order by user_id, source"))
        .fetch_all()
        .await?;
    Ok(rows.into_iter().map(|row| (row.user_id, row.source)).collect())
}

pub(super) async fn sources_of(conn: &mut Conn<'_>, user: UserId) -> Result<Vec<String>, DbError> {
    let rows: Vec<SourceRow> = conn
        .query(sql!(
            "select distinct user_id, source from grants where user_id = $1 and source is not null order by source"
        ))
        .bind(user.to_string())
        .fetch_all()
        .await?;
    Ok(rows.into_iter().map(|row| row.source).collect())
}

pub(super) async fn mark_grant(conn: &mut Conn<'_>, id: GrantId, source: String) -> Result<(), DbError> {
    conn.query(sql!("update grants set source = $1 where id = $2")).bind(source).bind(id.to_string()).execute().await?;
    Ok(())
}

pub(super) async fn delete_grant(conn: &mut Conn<'_>, id: GrantId) -> Result<(), DbError> {
    conn.query(sql!("delete from grants where id = $1")).bind(id.to_string()).execute().await?;
    Ok(())
}

pub(super) async fn role(conn: &mut Conn<'_>, id: RoleId) -> Result<Option<CustomRole>, DbError> {
    conn.query(sql!("select id, workspace_id, name, nodes, created_at, version from roles where id = $1"))
        .bind(id.to_string())
        .fetch_optional()
        .await
}

/// By name, after `(name_key, id)` when given.
pub(super) async fn roles(
    conn: &mut Conn<'_>,
    workspace: WorkspaceId,
    after: Option<(String, String)>,
    limit: i64,
) -> Result<Vec<CustomRole>, DbError> {
    let (name_key, id) = after.unwrap_or_default();
    conn.query(sql!(
        "select id, workspace_id, name, nodes, created_at, version from roles
         where workspace_id = $1 and (name_key, id) > ($2, $3) order by name_key, id limit $4"
    ))
    .bind(workspace.to_string())
    .bind(name_key)
    .bind(id)
    .bind(limit)
    .fetch_all()
    .await
}

pub(super) async fn count_roles(conn: &mut Conn<'_>, workspace: WorkspaceId) -> Result<i64, DbError> {
    let (count,) = conn
        .query(sql!("select count(*) from roles where workspace_id = $1"))
        .bind(workspace.to_string())
        .fetch_one()
        .await?;
    Ok(count)
}

pub(super) async fn insert_role(conn: &mut Conn<'_>, role: &CustomRole) -> Result<(), DbError> {
    conn.query(sql!(
        "insert into roles (id, workspace_id, name, name_key, nodes, created_at, version)
         values ($1, $2, $3, $4, $5, $6, 1)"
    ))
    .bind(role.id.to_string())
    .bind(role.workspace_id.to_string())
    .bind(role.name.clone())
    .bind(role.name.key())
    .bind(JsonText(role.nodes()))
    .bind(role.created_at)
    .execute()
    .await?;
    Ok(())
}

/// Whether it was there in the version that was read.
pub(super) async fn update_role(conn: &mut Conn<'_>, role: &CustomRole) -> Result<bool, DbError> {
    let updated = conn
        .query(sql!(
            "update roles set name = $1, name_key = $2, nodes = $3, version = version + 1 where id = $4 and version = $5"
        ))
        .bind(role.name.clone())
        .bind(role.name.key())
        .bind(JsonText(role.nodes()))
        .bind(role.id.to_string())
        .bind(role.version)
        .execute()
        .await?;
    Ok(updated == 1)
}

pub(super) async fn holders(conn: &mut Conn<'_>, id: RoleId) -> Result<i64, DbError> {
    let (count,) =
        conn.query(sql!("select count(*) from grants where role_id = $1")).bind(id.to_string()).fetch_one().await?;
    Ok(count)
}

pub(super) async fn delete_role(conn: &mut Conn<'_>, id: RoleId) -> Result<bool, DbError> {
    let deleted = conn.query(sql!("delete from roles where id = $1")).bind(id.to_string()).execute().await?;
    Ok(deleted == 1)
}

/// What [`insert_invite`] writes.
pub(super) struct NewInvite<'a> {
    pub(super) id: InviteId,
    pub(super) workspace_id: WorkspaceId,
    pub(super) email: &'a Email,
    pub(super) token: TokenDigest,
    pub(super) granted: Granted,
    pub(super) scope: Scope,
    pub(super) invited_by: UserId,
    pub(super) created_at: Timestamp,
    pub(super) expires_at: Timestamp,
}

pub(super) async fn insert_invite(conn: &mut Conn<'_>, invite: NewInvite<'_>) -> Result<(), DbError> {
    conn.query(sql!(
        "insert into invites (id, workspace_id, email, email_key, token_digest, role, role_id, nodes, project_id,
                              server_id, invited_by, created_at, expires_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"
    ))
    .bind(invite.id.to_string())
    .bind(invite.workspace_id.to_string())
    .bind(invite.email.as_str().to_owned())
    .bind(invite.email.key())
    .bind(invite.token)
    .bind(invite.granted.role())
    .bind(invite.granted.role_id())
    .bind(invite.granted.nodes())
    .bind(invite.scope.project_column())
    .bind(invite.scope.server_column())
    .bind(invite.invited_by.to_string())
    .bind(invite.created_at)
    .bind(invite.expires_at)
    .execute()
    .await?;
    Ok(())
}

pub(super) async fn invite(conn: &mut Conn<'_>, id: InviteId) -> Result<Option<Invite>, DbError> {
    conn.query(sql!(
        "select id, workspace_id, email, role, role_id, nodes, project_id, server_id, invited_by, created_at, expires_at
         from invites where id = $1"
    ))
    .bind(id.to_string())
    .fetch_optional()
    .await
}

pub(super) async fn invite_by_token(conn: &mut Conn<'_>, token: TokenDigest) -> Result<Option<Invite>, DbError> {
    conn.query(sql!(
        "select id, workspace_id, email, role, role_id, nodes, project_id, server_id, invited_by, created_at, expires_at
         from invites where token_digest = $1"
    ))
    .bind(token)
    .fetch_optional()
    .await
}

/// Newest first, before `before` when given.
pub(super) async fn invites(
    conn: &mut Conn<'_>,
    workspace: WorkspaceId,
    before: Option<String>,
    limit: i64,
) -> Result<Vec<Invite>, DbError> {
    conn.query(sql!(
        "select id, workspace_id, email, role, role_id, nodes, project_id, server_id, invited_by, created_at, expires_at
         from invites where workspace_id = $1 and (cast($2 as text) is null or id < $2) order by id desc limit $3"
    ))
    .bind(workspace.to_string())
    .bind(before)
    .bind(limit)
    .fetch_all()
    .await
}

pub(super) async fn count_invites(conn: &mut Conn<'_>, workspace: WorkspaceId) -> Result<i64, DbError> {
    let (count,) = conn
        .query(sql!("select count(*) from invites where workspace_id = $1"))
        .bind(workspace.to_string())
        .fetch_one()
        .await?;
    Ok(count)
}

/// Whether it was there.
pub(super) async fn delete_invite(conn: &mut Conn<'_>, id: InviteId) -> Result<bool, DbError> {
    let deleted = conn.query(sql!("delete from invites where id = $1")).bind(id.to_string()).execute().await?;
    Ok(deleted == 1)
}

pub(super) async fn forget_expired_invites(conn: &mut Conn<'_>, now: Timestamp) -> Result<(), DbError> {
    conn.query(sql!("delete from invites where expires_at <= $1")).bind(now).execute().await?;
    Ok(())
}
