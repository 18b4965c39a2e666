//! Signing in and out.

use protocol::enroll::Token;
use protocol::{UserId, WorkspaceId};
use serde_json::{Value, json};

use super::caller::Person;
use super::factors::{Factor, Given};
use super::join::no_workspace;
use super::model::{Email, Password, User};
use super::passkeys::{self, PasskeyAnswer, Purpose};
use super::session::{ABSOLUTE, PER_USER, Session, TOKEN_PREFIX};
use super::store::Account;
use super::throttle::Refusal;
use super::{attempts, factors, store};
use crate::access::{self, Actor, Principal, RequestOrigin, Rights};
use crate::audit::{Outcome, Subject};
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::error::{Error, ErrorCode, Result};
use crate::hub::{Hub, Unit};
use crate::ids::{IdentityId, PasskeyId, SessionId};
use crate::mail::{self, Notice, Recipient};
use crate::secret::{TokenDigest, new_token};
use crate::workspaces::{self, Workspace};

const WRONG_PASSWORD: &str = "wrong password";

/// Somebody who has just signed in.
#[derive(Debug)]
pub struct SignedIn {
    pub(super) token: Token,
    pub(super) user: User,
    pub(super) workspaces: Vec<Workspace>,
    pub(super) workspace_id: WorkspaceId,
    pub(super) rights: Rights,
    /// The workspace requires a second factor, and they have none.
    pub(super) must_enroll: bool,
}

/// Who somebody says they are, and what proves it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Credentials<'a> {
    pub(super) email: &'a Email,
    pub(super) password: &'a Password,
    /// Where the account has a second factor.
    pub(super) given: Given<'a>,
}

/// Signs in with e-mail and password, and a second factor where the account has one.
pub(super) async fn sign_in(hub: &Hub, origin: RequestOrigin, credentials: Credentials<'_>) -> Result<SignedIn> {
    let (account, factor) = check(hub, &origin, credentials).await?;
    let Account { user, password_hash } = account;
    let mut unit = hub.begin().await?;
    let basis = Basis::Password(password_hash);
    let entry = Entry { user, basis, workspace: None, verified_at: hub.now(), details: factor.details() };
    let signed_in = open(hub, &mut unit, origin, entry).await?;
    unit.commit().await?;
    Ok(signed_in)
}

/// The account whose credentials these are. Only whoever knows the password learns whether something is missing besides.
pub(super) async fn check(
    hub: &Hub,
    origin: &RequestOrigin,
    credentials: Credentials<'_>,
) -> Result<(Account, Factor)> {
    let Credentials { email, password, given } = credentials;
    let key = email.key();
    let attempt = attempts::admit(hub, origin, &key).await?;
    let account = {
        let mut database = hub.db.read().await?;
        store::account_by_email(&mut database.conn(), key).await?
    };
    let hash = account.as_ref().and_then(store::Account::hash);
    let right = hub.auth.hashing.matches(hash, password).await?;
    let account = match account {
        Some(account) if right => account,
        account => {
            record_failure(hub, origin.clone(), account.map(|account| account.user), WRONG_PASSWORD).await?;
            let message = "e-mail and password do not match an account";
            return Err(Error::new(ErrorCode::InvalidCredentials, message));
        }
    };
    let id = account.user.id;
    match factors::demand(hub, origin, id, Purpose::SecondFactor(id), given).await? {
        Ok(factor) => {
            attempt.forgive(hub);
            Ok((account, factor))
        }
        Err(wrong) => {
            record_failure(hub, origin.clone(), Some(account.user), wrong.reason).await?;
            Err(wrong.into_refusal())
        }
    }
}

/// Signs in with a passkey alone, which says whose it is: its device verified the person, so both factors are there.
pub(super) async fn by_passkey(hub: &Hub, origin: RequestOrigin, answer: &PasskeyAnswer) -> Result<SignedIn> {
    attempts::admit_address(hub, &origin).await?;
    match passkeys::check(hub, Purpose::SignIn, answer).await? {
        Ok((user, passkey)) => {
            let mut unit = hub.begin().await?;
            let details = Factor::Passkey(passkey).details();
            let basis = Basis::Passkey(passkey);
            let entry = Entry { user, basis, workspace: None, verified_at: hub.now(), details };
            let signed_in = open(hub, &mut unit, origin, entry).await?;
            unit.commit().await?;
            Ok(signed_in)
        }
        Err(refused) => {
            record_failure(hub, origin, refused.user, refused.reason).await?;
            let message = "this passkey opens no account here; sign in in another way";
            Err(Error::new(ErrorCode::InvalidCredentials, message))
        }
    }
}

/// What lets somebody in. It was looked at before their session is written, and must still be there then.
#[derive(Debug)]
pub(super) enum Basis {
    /// The hash that their password matched.
    Password(String),
    Passkey(PasskeyId),
    Identity(IdentityId),
    /// Something that was looked at in the transaction of the session.
    Settled,
}

/// Refuses whoever came in by something that is not there any more. Until the transaction ends, it stays.
///
/// # Errors
/// 401.
pub(super) async fn demand(conn: &mut Conn<'_>, user: UserId, basis: Basis) -> Result<()> {
    store::lock_user(conn, user).await?;
    let is_there = match basis {
        Basis::Password(hash) => {
            store::account(conn, user).await?.is_some_and(|account| account.hash().as_ref() == Some(&hash))
        }
        Basis::Passkey(id) => store::user_of_passkey(conn, id).await?.is_some_and(|owner| owner.id == user),
        Basis::Identity(id) => store::identity_by_id(conn, id).await?.is_some_and(|identity| identity.user_id == user),
        Basis::Settled => true,
    };
    if is_there {
        return Ok(());
    }
    let message = "what you signed in with was changed at this moment; sign in again";
    Err(Error::new(ErrorCode::InvalidCredentials, message))
}

/// Somebody who may come in.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) user: User,
    pub(super) basis: Basis,
    /// Where their session acts; `None`: in their oldest workspace.
    pub(super) workspace: Option<WorkspaceId>,
    /// When they proved who they are, which may be long ago where somebody else vouches for them.
    pub(super) verified_at: Timestamp,
    /// For the record.
    pub(super) details: Value,
}

/// Starts a session.
pub(super) async fn open(hub: &Hub, unit: &mut Unit<'_>, origin: RequestOrigin, entry: Entry) -> Result<SignedIn> {
    let Entry { user, basis, workspace, verified_at, details } = entry;
    demand(&mut unit.conn(), user.id, basis).await?;
    let is_new_place = attempts::is_new_place(&mut unit.conn(), user.id, &origin).await?;
    let (session, token) = open_session(hub, &mut unit.conn(), &user, &origin, verified_at).await?;
    if is_new_place {
        let notice = Notice::NewSignIn { ip: &origin.ip, agent: &origin.user_agent };
        mail::notify(hub, unit, &Recipient::of(&user), &notice).await?;
    }
    let workspaces = workspaces::of_user(&mut unit.conn(), user.id).await?;
    if let Some(workspace) = workspace {
        store::set_workspace(&mut unit.conn(), session.id, workspace).await?;
    }
    let oldest = workspaces.first().map(|workspace| workspace.id);
    let workspace_id = workspace.or(oldest).ok_or_else(no_workspace)?;
    let rights = access::rights_of(&mut unit.conn(), workspace_id, user.id).await?;
    let principal = Principal::User {
        id: user.id,
        name: user.name.clone(),
        session_id: session.id,
        verified_at: session.verified_at,
    };
    let actor = Actor { principal, workspace_id, rights: rights.clone(), origin };
    unit.audit(&actor, "auth.login", subject(session.id), Outcome::Ok, details).await?;
    let must_enroll = factors::must_enroll(&mut unit.conn(), workspace_id, user.id, &rights).await?;
    Ok(SignedIn { token, user, workspaces, workspace_id, rights, must_enroll })
}

/// Starts a session in the caller's transaction.
pub(super) async fn open_session(
    hub: &Hub,
    conn: &mut Conn<'_>,
    user: &User,
    origin: &RequestOrigin,
    verified_at: Timestamp,
) -> Result<(Session, Token)> {
    let token = new_token(TOKEN_PREFIX, hub.random.as_ref());
    let now = hub.now();
    let session = Session {
        id: hub.ids.session(),
        user_id: user.id,
        created_at: now,
        last_seen_at: now,
        expires_at: now.plus(ABSOLUTE),
        verified_at,
        ip: origin.ip.clone(),
        user_agent: origin.user_agent.clone(),
    };
    store::insert_session(conn, &session, TokenDigest::of(token.reveal())).await?;
    store::trim_sessions(conn, user.id, PER_USER).await?;
    attempts::note_network(conn, user.id, origin, now).await?;
    Ok((session, token))
}

/// Ends the session that the request came with.
pub(super) async fn sign_out(hub: &Hub, person: &Person) -> Result<()> {
    let mut unit = hub.begin().await?;
    store::delete_session(&mut unit.conn(), person.user.id, person.session.id).await?;
    unit.audit(&person.actor, "auth.logout", subject(person.session.id), Outcome::Ok, json!({})).await?;
    unit.commit().await?;
    hub.http.recheck_streams();
    Ok(())
}

/// What a session is called in records.
pub(super) fn subject(id: SessionId) -> Subject {
    Subject::new("session", &id, "")
}

/// Records that somebody did not get in.
pub(super) async fn record_failure(
    hub: &Hub,
    origin: RequestOrigin,
    user: Option<User>,
    reason: &'static str,
) -> Result<()> {
    tracing::warn!(client = origin.ip, known_account = user.is_some(), "sign-in failed");
    let Some(user) = user else {
        let reason = if reason == WRONG_PASSWORD { "no such account" } else { reason };
        return record_stranger(hub, origin, Outcome::Failed, reason).await;
    };
    let mut unit = hub.begin().await?;
    let workspaces = workspaces::of_user(&mut unit.conn(), user.id).await?;
    for workspace in workspaces {
        let actor = Actor::anonymous(workspace.id, origin.clone());
        let subject = Subject::new("user", &user.id, user.name.as_str());
        unit.audit(&actor, "auth.login", subject, Outcome::Failed, json!({ "reason": reason })).await?;
    }
    unit.commit().await
}

/// The error for the caller; the first refusal in a row is recorded.
pub(super) async fn refuse(hub: &Hub, origin: RequestOrigin, refusal: Refusal) -> Error {
    if refusal.first {
        tracing::warn!(client = origin.ip, wait_s = refusal.wait.as_secs(), "too many sign-in attempts; delaying");
        if let Err(error) = record_stranger(hub, origin, Outcome::Denied, "too many attempts").await {
            return error;
        }
    }
    refusal.into()
}

/// What strangers do is recorded in the installation's first workspace, up to a number a minute: they must not be able
/// to fill the disk.
async fn record_stranger(hub: &Hub, origin: RequestOrigin, outcome: Outcome, reason: &'static str) -> Result<()> {
    let Some(unrecorded) = hub.auth.strangers.spend(hub.now()) else { return Ok(()) };
    let mut unit = hub.begin().await?;
    let Some(home) = workspaces::home(&mut unit.conn()).await? else { return Ok(()) };
    let details = match unrecorded {
        0 => json!({ "reason": reason }),
        more => json!({ "reason": reason, "unrecorded_before": more }),
    };
    let subject = Subject::new("hub", &"", "");
    unit.audit(&Actor::anonymous(home, origin), "auth.login", subject, outcome, details).await?;
    unit.commit().await
}
