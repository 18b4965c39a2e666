//! Asking somebody who is signed in whether it is still them: a session that was left open must not become an account.

use std::time::Duration;

use serde_json::json;

use super::account::own;
use super::caller::Person;
use super::code::{Kind, OneTimeCode};
use super::factors::{self, Factor};
use super::model::{Email, Password};
use super::{attempts, store};
use crate::audit::Outcome;
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::hub::Hub;

/// For so long after somebody proved who they are, nothing dangerous asks again.
pub(super) const FRESH: Duration = Duration::from_secs(600);

/// Whether a session whose owner proved then that it is theirs may do what is dangerous.
#[must_use]
pub fn is_fresh(verified_at: Timestamp, now: Timestamp) -> bool {
    now.since(verified_at) < FRESH
}

/// What is asked for besides the password.
#[derive(Debug, Clone, Copy)]
pub(super) enum Codes<'a> {
    /// Nothing.
    NotAsked,
    /// A code, where the account has them.
    IfOn(Option<&'a OneTimeCode>),
    /// A code of the app or a recovery code.
    Needed(&'a OneTimeCode),
    /// A code of the app.
    OfApp(&'a OneTimeCode),
}

/// Asks for the password of somebody who is signed in; guesses at it count as sign-ins.
///
/// # Errors
/// 422 on `field` when it is another, 429 after too many.
pub async fn confirm_password(hub: &Hub, person: &Person, password: &Password, field: &str) -> Result<()> {
    confirm(hub, person, password, field, Codes::NotAsked).await.map(drop)
}

/// As [`confirm_password`], with a code.
pub(super) async fn confirm(
    hub: &Hub,
    person: &Person,
    password: &Password,
    field: &str,
    codes: Codes<'_>,
) -> Result<Factor> {
    let account = {
        let mut database = hub.db.read().await?;
        store::account(&mut database.conn(), person.user.id).await?
    };
    let account = account.ok_or_else(Error::unauthenticated)?;
    let attempt = attempts::admit(hub, &person.actor.origin, &Email::key_of(&account.user.email)).await?;
    if !hub.auth.hashing.matches(Some(account.password_hash), password).await? {
        record(hub, person, "wrong password").await?;
        return Err(Error::invalid_field(field, "is not your password"));
    }
    let factor = match codes {
        Codes::NotAsked => Some(Factor::None),
        Codes::IfOn(code) => factors::demand(hub, person.user.id, code).await?,
        Codes::Needed(code) => factors::insist(hub, person.user.id, code).await?,
        Codes::OfApp(code) if matches!(code.read(), Some(Kind::Recovery(_))) => {
            return Err(Error::invalid_field("totp", "must be a code of your app, not a recovery code"));
        }
        Codes::OfApp(code) => factors::insist(hub, person.user.id, code).await?,
    };
    let Some(factor) = factor else {
        record(hub, person, "wrong one-time code").await?;
        return Err(factors::wrong("totp"));
    };
    attempt.forgive(hub);
    Ok(factor)
}

/// Proves that the session is its owner's, for what is dangerous.
pub(super) async fn step_up(
    hub: &Hub,
    person: &Person,
    password: &Password,
    totp: Option<&OneTimeCode>,
) -> Result<Timestamp> {
    let factor = confirm(hub, person, password, "password", Codes::IfOn(totp)).await?;
    let now = hub.now();
    let mut unit = hub.begin().await?;
    store::verify_session(&mut unit.conn(), person.session.id, now).await?;
    unit.audit(&person.actor, "auth.step_up", own(person), Outcome::Ok, factor.details()).await?;
    unit.commit().await?;
    Ok(now.plus(FRESH))
}

async fn record(hub: &Hub, person: &Person, reason: &'static str) -> Result<()> {
    let mut unit = hub.begin().await?;
    let details = json!({ "reason": reason });
    unit.audit(&person.actor, "account.password", own(person), Outcome::Failed, details).await?;
    unit.commit().await
}
