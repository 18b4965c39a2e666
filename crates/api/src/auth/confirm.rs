//! Asking somebody who is signed in whether it is still them: a session that was left open must not become an account.

use std::time::Duration;

use serde_json::json;

use super::account::own;
use super::caller::Person;
use super::code::Kind;
use super::factors::{self, Factor, Given};
use super::model::{Email, Password};
use super::passkeys::{self, PasskeyAnswer, Purpose};
use super::{attempts, oidc, store};
use crate::audit::Outcome;
use crate::clock::Timestamp;
use crate::error::{Error, ErrorCode, Result};
use crate::hub::Hub;

/// What proving again whose a session is, is called in the audit log.
const STEP_UP: &str = "auth.step_up";
/// For so long after somebody proved who they are, nothing dangerous asks again.
pub(super) const FRESH: Duration = Duration::from_secs(600);

/// Whether a session whose owner proved then that it is theirs may do what is dangerous.
#[must_use]
pub fn is_fresh(verified_at: Timestamp, now: Timestamp) -> bool {
    now.since(verified_at) < FRESH
}

/// 403 for a session whose owner must prove again that it is theirs.
#[must_use]
pub fn step_up_required() -> Error {
    Error::new(
        ErrorCode::StepUpRequired,
        "this needs your password or a passkey again, since you last proved a while ago who you are; send it to \
         /v1/auth/step-up, then repeat",
    )
}

/// For what people do to their own account that gives power over it.
///
/// # Errors
/// 403 when they must prove first that the session is theirs.
pub(super) fn demand_fresh(hub: &Hub, person: &Person) -> Result<()> {
    if is_fresh(person.session.verified_at, hub.now()) { Ok(()) } else { Err(step_up_required()) }
}

/// What is asked for besides the password.
#[derive(Debug, Clone, Copy)]
pub(super) enum Second<'a> {
    /// Nothing.
    NotAsked,
    /// A second factor, where the account has one.
    IfOn(Given<'a>),
    /// A second factor; a recovery code is one.
    Needed(Given<'a>),
    /// A second factor that is no recovery code.
    Lasting(Given<'a>),
}

impl Second<'_> {
    /// What is recorded when it was not right: only a step-up takes a factor where the account has one.
    const fn action(self) -> &'static str {
        match self {
            Self::IfOn(_) => STEP_UP,
            Self::NotAsked | Self::Needed(_) | Self::Lasting(_) => "account.password",
        }
    }
}

/// Asks for the password of somebody who is signed in; guesses at it count as sign-ins. Whoever has none must have proved
/// a moment ago that the session is theirs.
///
/// # Errors
/// 422 on `field` when it is another, 429 after too many; 403 where there is none and the proof is not fresh.
pub async fn confirm_password(hub: &Hub, person: &Person, password: Option<&Password>, field: &str) -> Result<()> {
    confirm(hub, person, password, field, Second::NotAsked).await.map(drop)
}

/// As [`confirm_password`], with a second factor.
pub(super) async fn confirm(
    hub: &Hub,
    person: &Person,
    password: Option<&Password>,
    field: &str,
    second: Second<'_>,
) -> Result<Factor> {
    let account = {
        let mut database = hub.db.read().await?;
        store::account(&mut database.conn(), person.user.id).await?
    };
    let account = account.ok_or_else(Error::unauthenticated)?;
    let attempt = attempts::admit(hub, &person.actor.origin, &Email::key_of(&account.user.email)).await?;
    let is_theirs = match (account.hash(), password) {
        (Some(hash), Some(password)) => hub.auth.hashing.matches(Some(hash), password).await?,
        (Some(_), None) => return Err(Error::invalid_field(field, "is needed")),
        (None, _) => {
            demand_fresh(hub, person)?;
            true
        }
    };
    if !is_theirs {
        record(hub, person, second.action(), "wrong password").await?;
        return Err(Error::invalid_field(field, "is not your password"));
    }
    let (user, origin) = (&person.user, &person.actor.origin);
    let purpose = Purpose::StepUp(user.id, person.session.id);
    let checked = match second {
        Second::NotAsked => Ok(Factor::None),
        Second::IfOn(given) => factors::demand(hub, origin, user.id, purpose, given).await?,
        Second::Lasting(Given { totp: Some(code), .. }) if matches!(code.read(), Some(Kind::Recovery(_))) => {
            return Err(Error::invalid_field("totp", "must be a code of your app, not a recovery code"));
        }
        Second::Needed(given) | Second::Lasting(given) => factors::insist(hub, origin, user.id, purpose, given).await?,
    };
    let factor = match checked {
        Ok(factor) => factor,
        Err(wrong) => {
            record(hub, person, second.action(), wrong.reason).await?;
            return Err(wrong.into_field());
        }
    };
    attempt.forgive(hub);
    Ok(factor)
}

/// What proves that a session is its owner's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Proof<'a> {
    pub(super) password: Option<&'a Password>,
    pub(super) given: Given<'a>,
    /// Somebody who came back from an identity provider a moment ago.
    pub(super) pending: Option<&'a oidc::Pending>,
}

/// Proves that the session is its owner's, for what is dangerous. A passkey is enough: its device verified the person.
pub(super) async fn step_up(hub: &Hub, person: &Person, proof: Proof<'_>) -> Result<Timestamp> {
    let needed = || Error::invalid_field("password", "is needed, or a passkey in its place");
    let factor = match (proof.password, proof.given.passkey, proof.pending) {
        (Some(password), ..) => prove(hub, person, password, proof.given).await?,
        (None, Some(answer), _) => confirm_passkey(hub, person, answer).await?,
        (None, None, Some(pending)) => {
            oidc::finish_step_up(hub, person, pending, proof.given).await?.ok_or_else(needed)?
        }
        (None, None, None) => return Err(needed()),
    };
    let now = hub.now();
    let mut unit = hub.begin().await?;
    store::verify_session(&mut unit.conn(), person.session.id, now).await?;
    unit.audit(&person.actor, STEP_UP, own(person), Outcome::Ok, factor.details()).await?;
    unit.commit().await?;
    Ok(now.plus(FRESH))
}

async fn prove(hub: &Hub, person: &Person, password: &Password, given: Given<'_>) -> Result<Factor> {
    let account = {
        let mut database = hub.db.read().await?;
        store::account(&mut database.conn(), person.user.id).await?
    };
    if account.is_some_and(|account| account.hash().is_none()) {
        return Err(Error::invalid_field(
            "password",
            "is none: this account has no password; use a passkey, or sign in again at your identity provider",
        ));
    }
    confirm(hub, person, Some(password), "password", Second::IfOn(given)).await
}

async fn confirm_passkey(hub: &Hub, person: &Person, answer: &PasskeyAnswer) -> Result<Factor> {
    let purpose = Purpose::StepUp(person.user.id, person.session.id);
    match passkeys::check(hub, purpose, answer).await? {
        Ok((_, passkey)) => Ok(Factor::Passkey(passkey)),
        Err(refused) => {
            record(hub, person, STEP_UP, refused.reason).await?;
            Err(factors::Wrong::passkey(refused.reason).into_field())
        }
    }
}

async fn record(hub: &Hub, person: &Person, action: &'static str, reason: &'static str) -> Result<()> {
    let mut unit = hub.begin().await?;
    let details = json!({ "reason": reason });
    unit.audit(&person.actor, action, own(person), Outcome::Failed, details).await?;
    unit.commit().await
}
