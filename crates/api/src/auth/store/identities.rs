//! SQL of people as identity providers know them.

use protocol::UserId;

use crate::clock::Timestamp;
use crate::config::OidcProvider;
use crate::db::{Conn, DbError};
use crate::ids::IdentityId;
use crate::sql;

/// Somebody as a provider knows them.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(in crate::auth) struct IdentityRow {
    #[sqlx(try_from = "String")]
    pub(in crate::auth) id: IdentityId,
    #[sqlx(try_from = "String")]
    pub(in crate::auth) user_id: UserId,
    pub(in crate::auth) provider: String,
    pub(in crate::auth) issuer: String,
    pub(in crate::auth) subject: String,
    pub(in crate::auth) hint: String,
    pub(in crate::auth) both_factors: bool,
    pub(in crate::auth) created_at: Timestamp,
    pub(in crate::auth) last_used_at: Timestamp,
}

/// Who a provider says that it is.
pub(in crate::auth) async fn identity(
    conn: &mut Conn<'_>,
    issuer: String,
    subject: String,
) -> Result<Option<IdentityRow>, DbError> {
    conn.query(sql!(
        "select id, user_id, provider, issuer, subject, hint, both_factors, created_at, last_used_at from identities
         where issuer = $1 and subject = $2"
    ))
    .bind(issuer)
    .bind(subject)
    .fetch_optional()
    .await
}

pub(in crate::auth) async fn identity_by_id(
    conn: &mut Conn<'_>,
    id: IdentityId,
) -> Result<Option<IdentityRow>, DbError> {
    conn.query(sql!(
        "select id, user_id, provider, issuer, subject, hint, both_factors, created_at, last_used_at from identities
         where id = $1"
    ))
    .bind(id.to_string())
    .fetch_optional()
    .await
}

/// The person's identities, oldest first; they are few.
pub(in crate::auth) async fn identities(conn: &mut Conn<'_>, user: UserId) -> Result<Vec<IdentityRow>, DbError> {
    conn.query(sql!(
        "select id, user_id, provider, issuer, subject, hint, both_factors, created_at, last_used_at from identities
         where user_id = $1 order by id"
    ))
    .bind(user.to_string())
    .fetch_all()
    .await
}

pub(in crate::auth) async fn insert_identity(conn: &mut Conn<'_>, identity: IdentityRow) -> Result<(), DbError> {
    conn.query(sql!(
        "insert into identities (id, user_id, provider, issuer, subject, hint, both_factors, created_at, last_used_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
    ))
    .bind(identity.id.to_string())
    .bind(identity.user_id.to_string())
    .bind(identity.provider)
    .bind(identity.issuer)
    .bind(identity.subject)
    .bind(identity.hint)
    .bind(identity.both_factors)
    .bind(identity.created_at)
    .bind(identity.last_used_at)
    .execute()
    .await?;
    Ok(())
}

/// The provider said again who it is, as the settings are now.
pub(in crate::auth) async fn use_identity(
    conn: &mut Conn<'_>,
    id: IdentityId,
    provider: &OidcProvider,
    hint: String,
    at: Timestamp,
) -> Result<(), DbError> {
    conn.query(sql!(
        "update identities set provider = $1, hint = $2, both_factors = $3, last_used_at = $4 where id = $5"
    ))
    .bind(provider.id.clone())
    .bind(hint)
    .bind(provider.both_factors)
    .bind(at)
    .bind(id.to_string())
    .execute()
    .await?;
    Ok(())
}

pub(in crate::auth) async fn delete_identity(conn: &mut Conn<'_>, id: IdentityId) -> Result<(), DbError> {
    conn.query(sql!("delete from identities where id = $1")).bind(id.to_string()).execute().await?;
    Ok(())
}

/// In how many ways somebody can sign in: password, passkeys, identities.
pub(in crate::auth) async fn count_ways_in(conn: &mut Conn<'_>, user: UserId) -> Result<i64, DbError> {
    let (count,) = conn
        .query(sql!(
            "select (select count(*) from users u where u.id = $1 and u.password_hash <> '')
                  + (select count(*) from passkeys p where p.user_id = $1)
                  + (select count(*) from identities i where i.user_id = $1)"
        ))
        .bind(user.to_string())
        .fetch_one()
        .await?;
    Ok(count)
}

/// Whether somebody can sign in only where the provider asks for both factors.
pub(in crate::auth) async fn provider_asks_both(conn: &mut Conn<'_>, user: UserId) -> Result<bool, DbError> {
    let (count,): (i64,) = conn
        .query(sql!(
            "select count(*) from identities i join users u on u.id = i.user_id
             where i.user_id = $1 and i.both_factors and u.password_hash = ''
                and not exists (select 1 from identities o where o.user_id = $1 and not o.both_factors)"
        ))
        .bind(user.to_string())
        .fetch_one()
        .await?;
    Ok(count > 0)
}

/// Brings what providers are trusted with up to what the settings say now.
pub(in crate::auth) async fn set_both_factors(
    conn: &mut Conn<'_>,
    issuer: String,
    both_factors: bool,
) -> Result<(), DbError> {
    conn.query(sql!("update identities set both_factors = $1 where issuer = $2 and both_factors <> $1"))
        .bind(both_factors)
        .bind(issuer)
        .execute()
        .await?;
    Ok(())
}
