//! What people do with their own account: look through sessions, end them, change the password and the name.

use protocol::WorkspaceId;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::caller::Person;
use super::confirm::confirm_password;
use super::model::{NewPassword, Password, PersonName, User};
use super::passkeys;
use super::session::{IDLE, Session};
use super::sign_in::subject;
use super::store;
use crate::audit::{Outcome, Subject};
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::http::page::{Page, PageQuery, cut};
use crate::hub::Hub;
use crate::ids::SessionId;
use crate::mail::{self, Notice, Recipient};
use crate::workspaces;

/// An account as its owner sees it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Account)]
pub(super) struct AccountView {
    #[serde(flatten)]
    user: User,
    /// Whether there is a password to sign in with.
    has_password: bool,
    /// Whether there are passkeys.
    has_passkeys: bool,
}

/// The person, and how they sign in.
pub(super) async fn view(hub: &Hub, person: &Person) -> Result<AccountView> {
    let mut database = hub.db.read().await?;
    let has_passkeys = passkeys::has_any(&mut database.conn(), &person.user).await?;
    let account = store::account(&mut database.conn(), person.user.id).await?;
    let has_password = account.is_some_and(|account| account.hash().is_some());
    Ok(AccountView { user: person.user.clone(), has_password, has_passkeys })
}

/// A session as its owner sees it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AccountSession)]
pub(super) struct SessionView {
    #[schema(value_type = uuid::Uuid)]
    id: SessionId,
    created_at: Timestamp,
    /// To the minute.
    last_seen_at: Timestamp,
    /// When it ends unless it is used before.
    expires_at: Timestamp,
    /// Where it was started.
    ip: String,
    user_agent: String,
    /// Whether this request came with it.
    current: bool,
}

/// The person's sessions, newest first.
pub(super) async fn sessions(hub: &Hub, person: &Person, page: PageQuery) -> Result<Page<SessionView>> {
    let before = page.cursor.as_ref().map(|cursor| cursor.key::<(i64, SessionKey)>()).transpose()?;
    let before = before.map(|(created_at, SessionKey(id))| (Timestamp::from_ms(created_at), id));
    let now = hub.now();
    let mut database = hub.db.read().await?;
    let limit = page.limit.with_next();
    let rows = store::sessions(&mut database.conn(), person.user.id, now, now.minus(IDLE), before, limit).await?;
    let (rows, next_cursor) = cut(rows, page.limit, |row| (row.created_at.as_ms(), row.id))?;
    let view = |session: Session| SessionView {
        id: session.id,
        created_at: session.created_at,
        last_seen_at: session.last_seen_at,
        expires_at: session.ends_at(),
        current: session.id == person.session.id,
        ip: session.ip,
        user_agent: session.user_agent,
    };
    Ok(Page { data: rows.into_iter().map(view).collect(), next_cursor })
}

#[derive(serde::Deserialize)]
struct SessionKey(String);

/// Has the session act in another of the person's workspaces.
pub(super) async fn enter_workspace(hub: &Hub, person: &Person, id: WorkspaceId) -> Result<()> {
    let mut unit = hub.begin().await?;
    let workspaces = workspaces::of_user(&mut unit.conn(), person.user.id).await?;
    if !workspaces.iter().any(|workspace| workspace.id == id) {
        return Err(Error::not_found("workspace"));
    }
    store::set_workspace(&mut unit.conn(), person.session.id, id).await?;
    let details = json!({ "workspace_id": id });
    unit.audit(&person.actor, "session.enter", subject(person.session.id), Outcome::Ok, details).await?;
    unit.commit().await?;
    // Streams of the other workspace end; whoever follows comes back to this one.
    hub.http.recheck_streams();
    Ok(())
}

/// Ends one of the person's sessions.
pub(super) async fn revoke(hub: &Hub, person: &Person, id: SessionId) -> Result<()> {
    let mut unit = hub.begin().await?;
    if !store::delete_session(&mut unit.conn(), person.user.id, id).await? {
        return Err(Error::not_found("session"));
    }
    unit.audit(&person.actor, "session.revoke", subject(id), Outcome::Ok, json!({})).await?;
    unit.commit().await?;
    hub.http.recheck_streams();
    Ok(())
}

/// Changes the password and ends all other sessions. The old password is asked for and guesses at it count as sign-ins:
/// a session that somebody left open must not become an account that is theirs.
pub(super) async fn change_password(
    hub: &Hub,
    person: &Person,
    current: Option<&Password>,
    new: &NewPassword,
) -> Result<()> {
    confirm_password(hub, person, current, "current_password").await?;
    let hash = hub.auth.hashing.hash(hub.random.as_ref(), new.password()).await?;
    let mut unit = hub.begin().await?;
    store::set_password(&mut unit.conn(), person.user.id, hash).await?;
    store::delete_links(&mut unit.conn(), person.user.id).await?;
    let ended = store::delete_other_sessions(&mut unit.conn(), person.user.id, person.session.id.to_string()).await?;
    let details = json!({ "sessions_ended": ended });
    unit.audit(&person.actor, "account.password", own(person), Outcome::Ok, details).await?;
    let notice = Notice::PasswordChanged { how: "by somebody who was signed in" };
    mail::notify(hub, &mut unit, &Recipient::of(&person.user), &notice).await?;
    unit.commit().await?;
    hub.http.recheck_streams();
    Ok(())
}

/// Ends all of the person's sessions but this one; how many.
pub(super) async fn revoke_others(hub: &Hub, person: &Person) -> Result<u64> {
    let mut unit = hub.begin().await?;
    let ended = store::delete_other_sessions(&mut unit.conn(), person.user.id, person.session.id.to_string()).await?;
    let details = json!({ "sessions_ended": ended });
    unit.audit(&person.actor, "session.revoke_others", own(person), Outcome::Ok, details).await?;
    unit.commit().await?;
    hub.http.recheck_streams();
    Ok(ended)
}

/// Has the person be called something else.
pub(super) async fn rename(hub: &Hub, person: &Person, name: Option<PersonName>) -> Result<User> {
    let Some(name) = name.filter(|name| name.as_str() != person.user.name) else { return Ok(person.user.clone()) };
    let mut unit = hub.begin().await?;
    store::set_name(&mut unit.conn(), person.user.id, name.as_str().to_owned()).await?;
    let details = json!({ "name": { "from": person.user.name, "to": name.as_str() } });
    unit.audit(&person.actor, "account.update", own(person), Outcome::Ok, details).await?;
    unit.commit().await?;
    Ok(User { name: name.as_str().to_owned(), ..person.user.clone() })
}

/// The person as the subject of a record.
pub(super) fn own(person: &Person) -> Subject {
    Subject::new("user", &person.user.id, person.user.name.as_str())
}
