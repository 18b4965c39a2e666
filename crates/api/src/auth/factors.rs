//! The second factor: one-time codes of an authenticator app or a passkey, with recovery codes for when those are lost.

use protocol::{UserId, WorkspaceId};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::account::own;
use super::attempts;
use super::caller::Person;
use super::code::{Kind, OneTimeCode, RECOVERY_CODES, RecoveryCode};
use super::confirm::{Second, confirm};
use super::model::{Email, Password};
use super::passkeys::{self, Begun, PasskeyAnswer, Purpose};
use super::store::{self, TotpRow};
use super::totp::TotpSecret;
use crate::access::{RequestOrigin, Rights};
use crate::audit::Outcome;
use crate::clock::Timestamp;
use crate::db::{Conn, DbError};
use crate::error::{Error, ErrorCode, Result};
use crate::hub::{Hub, Unit};
use crate::ids::PasskeyId;
use crate::mail::{self, Notice, Recipient};

/// What somebody proved who they are with, besides the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Factor {
    /// Nothing: the account has no second factor.
    None,
    /// Their authenticator app.
    App,
    /// A passkey of theirs.
    Passkey(PasskeyId),
    /// One of the codes that were shown once; it is used up.
    RecoveryCode,
}

impl Factor {
    /// For the record of a sign-in.
    pub(super) fn details(self) -> Value {
        match self {
            Self::None => json!({}),
            Self::App => json!({ "factor": "totp" }),
            Self::Passkey(id) => json!({ "factor": "passkey", "passkey_id": id }),
            Self::RecoveryCode => json!({ "factor": "recovery_code" }),
        }
    }
}

/// What somebody sends to prove who they are besides the password: one of these.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Given<'a> {
    pub(super) totp: Option<&'a OneTimeCode>,
    pub(super) passkey: Option<&'a PasskeyAnswer>,
}

/// A second factor that was not right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wrong {
    field: &'static str,
    /// For the audit log.
    pub(super) reason: &'static str,
}

impl Wrong {
    const CODE: Self = Self { field: "totp", reason: "wrong one-time code" };

    pub(super) const fn passkey(reason: &'static str) -> Self {
        Self { field: "passkey", reason }
    }

    /// 422, for somebody who is signed in.
    pub(super) fn into_field(self) -> Error {
        if self == Self::CODE { wrong(self.field) } else { Error::invalid_field(self.field, "was not accepted") }
    }

    /// 401, for somebody who is not.
    pub(super) fn into_refusal(self) -> Error {
        let message = if self == Self::CODE {
            "the one-time code is wrong, or was used before; wait for the next one"
        } else {
            "the passkey was not accepted"
        };
        Error::new(ErrorCode::InvalidCredentials, message)
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
pub(super) async fn start(hub: &Hub, person: &Person, password: Option<&Password>) -> Result<StartedView> {
    confirm(hub, person, password, "password", Second::NotAsked).await?;
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
    store::lock_user(&mut unit.conn(), user).await?;
    if !store::enable(&mut unit.conn(), user, row.sealed_secret, step, hub.now()).await? {
        return Err(Error::conflict("another request changed the one-time codes at this moment; look at them again"));
    }
    let recovery_codes = renew(hub, &mut unit, user).await?;
    unit.audit(&person.actor, "totp.enable", own(person), Outcome::Ok, json!({})).await?;
    mail::notify(hub, &mut unit, &Recipient::of(&person.user), &Notice::TotpEnabled).await?;
    unit.commit().await?;
    attempt.forgive(hub);
    Ok(RecoveryCodesView { recovery_codes })
}

/// Turns one-time codes off.
pub(super) async fn disable(hub: &Hub, person: &Person, password: Option<&Password>, given: Given<'_>) -> Result<()> {
    let factor = confirm(hub, person, password, "password", Second::Needed(given)).await?;
    let mut unit = hub.begin().await?;
    store::lock_user(&mut unit.conn(), person.user.id).await?;
    if !store::delete_totp(&mut unit.conn(), person.user.id).await? {
        return Err(not_on());
    }
    store::delete_spare_recovery_codes(&mut unit.conn(), person.user.id).await?;
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
    password: Option<&Password>,
    given: Given<'_>,
) -> Result<RecoveryCodesView> {
    confirm(hub, person, password, "password", Second::Lasting(given)).await?;
    let mut unit = hub.begin().await?;
    store::lock_user(&mut unit.conn(), person.user.id).await?;
    let recovery_codes = renew(hub, &mut unit, person.user.id).await?;
    unit.audit(&person.actor, "totp.recovery_codes", own(person), Outcome::Ok, json!({})).await?;
    unit.commit().await?;
    Ok(RecoveryCodesView { recovery_codes })
}

/// Other recovery codes in the place of all that somebody has. The account must be locked: two at once would leave both.
pub(super) async fn renew(hub: &Hub, unit: &mut Unit<'_>, user: UserId) -> Result<Vec<String>> {
    store::delete_recovery_codes(&mut unit.conn(), user).await?;
    let mut recovery_codes = Vec::with_capacity(RECOVERY_CODES);
    for _ in 0..RECOVERY_CODES {
        let code = RecoveryCode::new(hub.random.as_ref());
        store::insert_recovery_code(&mut unit.conn(), user, code.digest(user)).await?;
        recovery_codes.push(code.reveal());
    }
    Ok(recovery_codes)
}

/// Takes a second factor from somebody whose password was right; a right one is used up.
///
/// # Errors
/// 401 `totp_required` when there is none, and the account has one: with what may be sent, and what to ask a passkey.
pub(super) async fn demand(
    hub: &Hub,
    origin: &RequestOrigin,
    user: UserId,
    purpose: Purpose,
    given: Given<'_>,
) -> Result<Result<Factor, Wrong>> {
    let standing = Standing::of(hub, user).await?;
    if !standing.has_any() {
        return Ok(Ok(Factor::None));
    }
    standing.take(hub, origin, user, purpose, given).await
}

/// As [`demand`], where there must be a second factor.
///
/// # Errors
/// 409 when there is none.
pub(super) async fn insist(
    hub: &Hub,
    origin: &RequestOrigin,
    user: UserId,
    purpose: Purpose,
    given: Given<'_>,
) -> Result<Result<Factor, Wrong>> {
    let standing = Standing::of(hub, user).await?;
    if !standing.has_any() {
        return Err(not_on());
    }
    standing.take(hub, origin, user, purpose, given).await
}

/// Which second factors an account has.
struct Standing {
    totp: Option<TotpRow>,
    has_passkeys: bool,
    has_recovery_codes: bool,
}

impl Standing {
    async fn of(hub: &Hub, user: UserId) -> Result<Self> {
        let mut database = hub.db.read().await?;
        let totp = store::totp(&mut database.conn(), user).await?.filter(|row| row.enabled_at.is_some());
        let has_passkeys = store::count_passkeys(&mut database.conn(), user).await? > 0;
        let has_recovery_codes = store::count_recovery_codes(&mut database.conn(), user).await? > 0;
        Ok(Self { totp, has_passkeys, has_recovery_codes })
    }

    const fn has_any(&self) -> bool {
        self.totp.is_some() || self.has_passkeys
    }

    async fn take(
        &self,
        hub: &Hub,
        origin: &RequestOrigin,
        user: UserId,
        purpose: Purpose,
        given: Given<'_>,
    ) -> Result<Result<Factor, Wrong>> {
        match (given.passkey, given.totp) {
            (Some(_), Some(_)) => Err(Error::invalid_field("passkey", "and totp came together; send one of them")),
            (Some(answer), None) => {
                let checked = passkeys::check(hub, purpose, answer).await?;
                Ok(checked
                    .map(|(_, passkey)| Factor::Passkey(passkey))
                    .map_err(|refused| Wrong::passkey(refused.reason)))
            }
            (None, Some(code)) => Ok(take(hub, user, self.totp.as_ref(), code).await?.ok_or(Wrong::CODE)),
            (None, None) => Err(self.ask(hub, origin, purpose).await?),
        }
    }

    async fn ask(&self, hub: &Hub, origin: &RequestOrigin, purpose: Purpose) -> Result<Error> {
        let asked: Option<Begun> = if self.has_passkeys && passkeys::are_possible(hub) {
            passkeys::ask(hub, origin, purpose).await?
        } else {
            None
        };
        let methods =
            [(self.totp.is_some(), "totp"), (self.has_recovery_codes, "recovery"), (asked.is_some(), "passkey")];
        let methods: Vec<_> = methods.into_iter().filter_map(|(there, name)| there.then_some(name)).collect();
        let mut details = json!({ "methods": methods });
        if let (Some(asked), Some(details)) = (asked, details.as_object_mut()) {
            details.insert("passkey".to_owned(), json!(asked));
        }
        let message = if self.totp.is_some() {
            "this account needs a one-time code as well: send that of your app, or a recovery code, as totp"
        } else {
            "this account needs a passkey as well: send its answer as passkey, or a recovery code as totp"
        };
        Ok(Error::new(ErrorCode::TotpRequired, message).with_details(details))
    }
}

/// Of two requests with one code, one is let through: a single statement decides.
async fn take(hub: &Hub, user: UserId, row: Option<&TotpRow>, code: &OneTimeCode) -> Result<Option<Factor>> {
    match code.read() {
        None => Ok(None),
        Some(Kind::App(digits)) => {
            let Some(row) = row else { return Ok(None) };
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

/// Whether a workspace requires a second factor that this person does not have. Who must enroll holds nothing, so others
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
    if !rights.held().is_empty() || !store::must_enroll(conn, workspace, user).await? {
        return Ok(false);
    }
    Ok(!store::provider_asks_both(conn, user).await?)
}

/// Whether nobody gets in as this person with one factor: they have one-time codes or a passkey, or sign in only through
/// a provider that asks for both.
///
/// # Errors
/// When the database cannot be read.
pub async fn has_second_factor(conn: &mut Conn<'_>, user: UserId) -> Result<bool, DbError> {
    Ok(has_own(conn, user).await? || store::provider_asks_both(conn, user).await?)
}

/// Refuses a change after which nobody could sign in as this person.
///
/// # Errors
/// 409.
pub(super) async fn demand_way_in(conn: &mut Conn<'_>, user: UserId) -> Result<()> {
    if store::count_ways_in(conn, user).await? > 0 {
        return Ok(());
    }
    Err(Error::conflict(
        "this is your only way to sign in; add a passkey, a password or another identity provider first",
    ))
}

/// Whether somebody has one-time codes or a passkey.
pub(super) async fn has_own(conn: &mut Conn<'_>, user: UserId) -> Result<bool, DbError> {
    let has_totp = store::totp(conn, user).await?.is_some_and(|row| row.enabled_at.is_some());
    Ok(has_totp || store::count_passkeys(conn, user).await? > 0)
}

/// 403 for somebody who must enroll.
pub(super) fn enrollment_required() -> Error {
    Error::new(
        ErrorCode::TotpEnrollmentRequired,
        "this workspace requires a second factor; turn one-time codes on for your account (/v1/account/totp) or add a \
         passkey (/v1/account/passkeys), then try again",
    )
}

fn not_on() -> Error {
    Error::conflict("one-time codes are not on")
}

/// 422 for a code that is not right, or not any more.
pub(super) fn wrong(field: &str) -> Error {
    Error::invalid_field(field, "is wrong, or was used before; wait for the next one")
}
