//! The second factor: one-time codes of an authenticator app, with recovery codes for when that is lost.

use protocol::{UserId, WorkspaceId};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::account::own;
use super::attempts;
use super::caller::Person;
use super::code::{Kind, OneTimeCode, RECOVERY_CODES, RecoveryCode};
use super::confirm::{Codes, confirm};
use super::model::{Email, Password};
use super::store::{self, TotpRow};
use super::totp::TotpSecret;
use crate::access::Rights;
use crate::audit::Outcome;
use crate::clock::Timestamp;
use crate::db::{Conn, DbError};
use crate::error::{Error, ErrorCode, Result};
use crate::hub::{Hub, Unit};
use crate::mail::{self, Notice, Recipient};

/// What somebody proved who they are with, besides the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Factor {
    /// Nothing: the account has no one-time codes.
    None,
    /// Their authenticator app.
    App,
    /// One of the codes that were shown once; it is used up.
    RecoveryCode,
}

impl Factor {
    /// For the record of a sign-in.
    pub(super) fn details(self) -> Value {
        match self {
            Self::None => json!({}),
            Self::App => json!({ "factor": "totp" }),
            Self::RecoveryCode => json!({ "factor": "recovery_code" }),
        }
    }
}

/// How one-time codes stand on an account.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TotpState)]
pub(super) struct StateView {
    /// Whether signing in asks for a code.
    enabled: bool,
    /// Since when.
    #[schema(required)]
    since: Option<Timestamp>,
    /// Recovery codes that were not used yet.
    recovery_codes_left: i64,
}

/// A secret that waits for its first code.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TotpStarted)]
pub(super) struct StartedView {
    /// For typing into an authenticator app.
    secret: String,
    /// For a QR code that an authenticator app reads.
    otpauth_url: String,
}

/// Recovery codes, shown this once.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RecoveryCodes)]
pub(super) struct RecoveryCodesView {
    /// Each lets its owner in once without the app.
    recovery_codes: Vec<String>,
}

pub(super) async fn state(hub: &Hub, person: &Person) -> Result<StateView> {
    let mut database = hub.db.read().await?;
    let since = store::totp(&mut database.conn(), person.user.id).await?.and_then(|row| row.enabled_at);
    let recovery_codes_left = store::count_recovery_codes(&mut database.conn(), person.user.id).await?;
    Ok(StateView { enabled: since.is_some(), since, recovery_codes_left })
}

/// Makes a secret. Nothing asks for its codes until [`enable`] was told one.
pub(super) async fn start(hub: &Hub, person: &Person, password: &Password) -> Result<StartedView> {
    confirm(hub, person, password, "password", Codes::NotAsked).await?;
    let secret = TotpSecret::new(hub.random.as_ref());
    let sealed = secret.seal(hub, person.user.id)?;
    let mut unit = hub.begin().await?;
    if !store::put_pending(&mut unit.conn(), person.user.id, sealed).await? {
        return Err(Error::conflict("one-time codes are on already; turn them off first to use another app"));
    }
    unit.audit(&person.actor, "totp.start", own(person), Outcome::Ok, json!({})).await?;
    unit.commit().await?;
    let otpauth_url = secret.url(&person.user, &hub.config.public_url);
    Ok(StartedView { secret: secret.reveal().to_owned(), otpauth_url })
}

/// Puts the secret in force that the code proves to be in somebody's app.
pub(super) async fn enable(hub: &Hub, person: &Person, code: &OneTimeCode) -> Result<RecoveryCodesView> {
    let user = person.user.id;
    let row = {
        let mut database = hub.db.read().await?;
        store::totp(&mut database.conn(), user).await?
    };
    let row = row.filter(|row| row.enabled_at.is_none());
    let row =
        row.ok_or_else(|| Error::conflict("no one-time codes wait to be confirmed; start with /v1/account/totp"))?;
    let attempt = attempts::admit(hub, &person.actor.origin, &Email::key_of(&person.user.email)).await?;
    let secret = open(hub, user, &row)?;
    let Some(Kind::App(digits)) = code.read() else { return Err(wrong("code")) };
    let Some(step) = secret.step_of(&digits, hub.now()) else { return Err(wrong("code")) };
    let mut unit = hub.begin().await?;
    if !store::enable(&mut unit.conn(), user, row.sealed_secret, step, hub.now()).await? {
        return Err(Error::conflict("another request changed the one-time codes at this moment; look at them again"));
    }
    let recovery_codes = renew(hub, &mut unit, user).await?;
    unit.audit(&person.actor, "totp.enable", own(person), Outcome::Ok, json!({})).await?;
    mail::notify(hub, &mut unit, &Recipient::of(&person.user), &Notice::TotpEnabled).await?;
    unit.commit().await?;
    attempt.forgive(hub);
    Ok(recovery_codes)
}

/// Turns one-time codes off.
pub(super) async fn disable(hub: &Hub, person: &Person, password: &Password, code: &OneTimeCode) -> Result<()> {
    let factor = confirm(hub, person, password, "password", Codes::Needed(code)).await?;
    let mut unit = hub.begin().await?;
    if !store::delete_totp(&mut unit.conn(), person.user.id).await? {
        return Err(not_on());
    }
    unit.audit(&person.actor, "totp.disable", own(person), Outcome::Ok, factor.details()).await?;
    let notice = Notice::TotpDisabled { how: "by somebody who was signed in" };
    mail::notify(hub, &mut unit, &Recipient::of(&person.user), &notice).await?;
    unit.commit().await?;
    // A workspace may require them: what follows its changes ends.
    hub.http.recheck_streams();
    Ok(())
}

/// Other recovery codes in the place of all that are left.
pub(super) async fn renew_recovery_codes(
    hub: &Hub,
    person: &Person,
    password: &Password,
    code: &OneTimeCode,
) -> Result<RecoveryCodesView> {
    confirm(hub, person, password, "password", Codes::OfApp(code)).await?;
    let mut unit = hub.begin().await?;
    let recovery_codes = renew(hub, &mut unit, person.user.id).await?;
    unit.audit(&person.actor, "totp.recovery_codes", own(person), Outcome::Ok, json!({})).await?;
    unit.commit().await?;
    Ok(recovery_codes)
}

async fn renew(hub: &Hub, unit: &mut Unit<'_>, user: UserId) -> Result<RecoveryCodesView> {
    store::delete_recovery_codes(&mut unit.conn(), user).await?;
    let mut recovery_codes = Vec::with_capacity(RECOVERY_CODES);
    for _ in 0..RECOVERY_CODES {
        let code = RecoveryCode::new(hub.random.as_ref());
        store::insert_recovery_code(&mut unit.conn(), user, code.digest(user)).await?;
        recovery_codes.push(code.reveal());
    }
    Ok(RecoveryCodesView { recovery_codes })
}

/// Takes a code from somebody whose password was right; `None` when it is wrong. A right one is used up.
///
/// # Errors
/// 401 `totp_required` when there is none, and the account has one-time codes.
pub(super) async fn demand(hub: &Hub, user: UserId, code: Option<&OneTimeCode>) -> Result<Option<Factor>> {
    let Some(row) = in_force(hub, user).await? else { return Ok(Some(Factor::None)) };
    let Some(code) = code else {
        let message = "this account needs a one-time code as well: send that of your app, or a recovery code, as totp";
        return Err(Error::new(ErrorCode::TotpRequired, message));
    };
    take(hub, user, &row, code).await
}

/// As [`demand`], where one-time codes must be on.
///
/// # Errors
/// 409 when they are not.
pub(super) async fn insist(hub: &Hub, user: UserId, code: &OneTimeCode) -> Result<Option<Factor>> {
    let row = in_force(hub, user).await?.ok_or_else(not_on)?;
    take(hub, user, &row, code).await
}

async fn in_force(hub: &Hub, user: UserId) -> Result<Option<TotpRow>> {
    let mut database = hub.db.read().await?;
    let row = store::totp(&mut database.conn(), user).await?;
    Ok(row.filter(|row| row.enabled_at.is_some()))
}

/// Of two requests with one code, one is let through: a single statement decides.
async fn take(hub: &Hub, user: UserId, row: &TotpRow, code: &OneTimeCode) -> Result<Option<Factor>> {
    match code.read() {
        None => Ok(None),
        Some(Kind::App(digits)) => {
            let Some(step) = open(hub, user, row)?.step_of(&digits, hub.now()) else { return Ok(None) };
            let mut tx = hub.db.write().await?;
            let is_new = store::use_step(&mut tx.conn(), user, row.sealed_secret.clone(), step).await?;
            tx.commit().await?;
            Ok(is_new.then_some(Factor::App))
        }
        Some(Kind::Recovery(code)) => {
            let mut unit = hub.begin().await?;
            let is_new = store::use_recovery_code(&mut unit.conn(), user, code.digest(user)).await?;
            if is_new && let Some(account) = store::account(&mut unit.conn(), user).await? {
                let left = store::count_recovery_codes(&mut unit.conn(), user).await?;
                let notice = Notice::RecoveryCodeUsed { left };
                mail::notify(hub, &mut unit, &Recipient::of(&account.user), &notice).await?;
            }
            unit.commit().await?;
            Ok(is_new.then_some(Factor::RecoveryCode))
        }
    }
}

fn open(hub: &Hub, user: UserId, row: &TotpRow) -> Result<TotpSecret> {
    TotpSecret::unseal(hub, user, &row.sealed_secret).map_err(|_| {
        tracing::error!(%user, "somebody's one-time codes cannot be checked: the key that seals their secret was lost");
        Error::conflict(
            "the hub lost the key that your one-time codes are checked with; use a recovery code, or have somebody with \
             access to the hub's machine run roadstead admin disable-totp",
        )
    })
}

/// Whether a workspace requires one-time codes that this person does not have. Who must enroll holds nothing, so others
/// cost no statement.
///
/// # Errors
/// When the database cannot be read.
pub(super) async fn must_enroll(
    conn: &mut Conn<'_>,
    workspace: WorkspaceId,
    user: UserId,
    rights: &Rights,
) -> Result<bool, DbError> {
    Ok(rights.held().is_empty() && store::must_enroll(conn, workspace, user).await?)
}

/// Whether somebody has one-time codes.
///
/// # Errors
/// When the database cannot be read.
pub async fn has_totp(conn: &mut Conn<'_>, user: UserId) -> Result<bool, DbError> {
    Ok(store::totp(conn, user).await?.is_some_and(|row| row.enabled_at.is_some()))
}

/// 403 for somebody who must enroll.
pub(super) fn enrollment_required() -> Error {
    Error::new(
        ErrorCode::TotpEnrollmentRequired,
        "this workspace requires one-time codes; turn them on for your account (/v1/account/totp), then try again",
    )
}

fn not_on() -> Error {
    Error::conflict("one-time codes are not on")
}

/// 422 for a code that is not right, or not any more.
pub(super) fn wrong(field: &str) -> Error {
    Error::invalid_field(field, "is wrong, or was used before; wait for the next one")
}
