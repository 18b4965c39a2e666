//! What somebody with access to the hub's machine does for people who cannot sign in any more.

use protocol::WorkspaceId;
use serde_json::{Value, json};

use super::model::{Email, NewPassword, User};
use super::{store, typed};
use crate::access::{Actor, RequestOrigin};
use crate::audit::{Outcome, Subject};
use crate::error::{Error, Result};
use crate::hub::{Hub, Unit};
use crate::mail::{self, Notice, Recipient};
use crate::random::Random;
use crate::workspaces;

/// 100 bits.
const PASSWORD_DIGITS: usize = 20;
const BY_HAND: &str = "by somebody with access to the hub's machine";

/// A password that nobody guesses, for people to type once.
#[must_use]
pub fn random_password(random: &dyn Random) -> String {
    typed::grouped(&typed::of_bytes(random.bytes::<PASSWORD_DIGITS>()))
}

/// Puts another password in the place of a forgotten one, and ends all of the account's sessions. One-time codes stay.
/// Who, and how many sessions ended.
///
/// # Errors
/// 404 when there is no account with this address.
pub async fn reset_password(hub: &Hub, email: &Email, password: &NewPassword) -> Result<(User, u64)> {
    let hash = hub.auth.hashing.hash(hub.random.as_ref(), password.password()).await?;
    let mut unit = hub.begin().await?;
    let user = find(&mut unit, email).await?;
    store::set_password(&mut unit.conn(), user.id, hash).await?;
    store::delete_links(&mut unit.conn(), user.id).await?;
    let ended = store::delete_sessions(&mut unit.conn(), user.id).await?;
    record(&mut unit, &user, "account.password", json!({ "by": "command line", "sessions_ended": ended })).await?;
    notify(hub, &mut unit, &user, &Notice::PasswordChanged { how: BY_HAND }).await?;
    unit.commit().await?;
    Ok((user, ended))
}

/// Turns off the one-time codes of somebody who lost their app and their recovery codes. Who; and whether they were on.
///
/// # Errors
/// 404 when there is no account with this address.
pub async fn disable_totp(hub: &Hub, email: &Email) -> Result<(User, bool)> {
    let mut unit = hub.begin().await?;
    let user = find(&mut unit, email).await?;
    let were_on = store::delete_totp(&mut unit.conn(), user.id).await?;
    store::delete_spare_recovery_codes(&mut unit.conn(), user.id).await?;
    // Whoever has the mailbox needs one thing less now; a link from before is not to become enough by that.
    store::delete_links(&mut unit.conn(), user.id).await?;
    if were_on {
        record(&mut unit, &user, "totp.disable", json!({ "by": "command line" })).await?;
        notify(hub, &mut unit, &user, &Notice::TotpDisabled { how: BY_HAND }).await?;
    }
    unit.commit().await?;
    Ok((user, were_on))
}

/// Removes the passkeys of somebody who lost their devices. Who; and how many there were.
///
/// # Errors
/// 404 when there is no account with this address.
pub async fn remove_passkeys(hub: &Hub, email: &Email) -> Result<(User, u64)> {
    let mut unit = hub.begin().await?;
    let user = find(&mut unit, email).await?;
    let removed = store::delete_passkeys(&mut unit.conn(), user.id).await?;
    store::delete_spare_recovery_codes(&mut unit.conn(), user.id).await?;
    store::delete_links(&mut unit.conn(), user.id).await?;
    if removed > 0 {
        record(&mut unit, &user, "passkey.remove", json!({ "by": "command line", "removed": removed })).await?;
        notify(hub, &mut unit, &user, &Notice::PasskeysRemoved { count: removed, how: BY_HAND }).await?;
    }
    unit.commit().await?;
    Ok((user, removed))
}

async fn find(unit: &mut Unit<'_>, email: &Email) -> Result<User> {
    let account = store::account_by_email(&mut unit.conn(), email.key()).await?;
    Ok(account.ok_or_else(|| Error::not_found("account with this e-mail address"))?.user)
}

async fn notify(hub: &Hub, unit: &mut Unit<'_>, user: &User, notice: &Notice<'_>) -> Result<()> {
    mail::notify(hub, unit, &Recipient::of(user), notice).await.map(drop)
}

/// Whoever shares a workspace with the person should know.
async fn record(unit: &mut Unit<'_>, user: &User, action: &'static str, details: Value) -> Result<()> {
    for workspace in told(unit, user).await? {
        unit.audit(&Actor::system(workspace), action, subject(user), Outcome::Ok, details.clone()).await?;
    }
    Ok(())
}

/// The same of what somebody who is not signed in did.
pub(super) async fn record_everywhere(
    unit: &mut Unit<'_>,
    user: &User,
    origin: &RequestOrigin,
    action: &'static str,
    outcome: Outcome,
    details: Value,
) -> Result<()> {
    for workspace in told(unit, user).await? {
        let actor = Actor::anonymous(workspace, origin.clone());
        unit.audit(&actor, action, subject(user), outcome, details.clone()).await?;
    }
    Ok(())
}

/// The person's workspaces, else the hub's first.
async fn told(unit: &mut Unit<'_>, user: &User) -> Result<Vec<WorkspaceId>> {
    let mut told: Vec<_> =
        workspaces::of_user(&mut unit.conn(), user.id).await?.into_iter().map(|workspace| workspace.id).collect();
    if told.is_empty() {
        told.extend(workspaces::home(&mut unit.conn()).await?);
    }
    Ok(told)
}

fn subject(user: &User) -> Subject {
    Subject::new("user", &user.id, user.name.as_str())
}
