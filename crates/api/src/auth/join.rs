//! How somebody who was invited proves who they are: with their account's password, or by making an account.

use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use protocol::WorkspaceId;
use serde_json::json;

use super::code::OneTimeCode;
use super::factors::Given;
use super::model::{Email, NewPassword, Password, PersonName, User};
use super::passkeys::PasskeyAnswer;
use super::routes::SignedInView;
use super::sign_in::{self, Basis, Credentials, Entry, SignedIn};
use super::store::Account;
use super::{attempts, session, store};
use crate::access::RequestOrigin;
use crate::db::{Conn, DbError};
use crate::error::{Error, ErrorCode, Result};
use crate::http::extract::Json;
use crate::hub::{Hub, Unit};

/// Somebody whose address was invited and who has proved that it is theirs, as far as the hub can know.
#[derive(Debug)]
pub enum Invited {
    /// Has an account, and proved that it is theirs.
    Known {
        /// Who.
        user: User,
        /// PHC string that their password matched.
        password_hash: String,
    },
    /// Has none yet.
    New {
        /// The invited address.
        email: Email,
        /// What they call themselves.
        name: PersonName,
        /// PHC string of the password that they chose.
        password_hash: String,
    },
}

/// Whether there is an account with this address.
///
/// # Errors
/// When the database cannot be read.
pub async fn has_account(conn: &mut Conn<'_>, email_key: String) -> Result<bool> {
    Ok(store::account_by_email(conn, email_key).await?.is_some())
}

/// Counts an attempt by somebody who is not signed in, by address.
///
/// # Errors
/// 429.
pub async fn throttle_address(hub: &Hub, origin: &RequestOrigin) -> Result<()> {
    attempts::admit_address(hub, origin).await
}

/// What somebody who was invited says of themselves.
#[derive(Debug)]
pub struct Proof {
    /// Of the account; for a new one, it becomes its password.
    pub password: Password,
    /// Where the account has one-time codes.
    pub totp: Option<OneTimeCode>,
    /// Where the account has passkeys.
    pub passkey: Option<PasskeyAnswer>,
    /// For a new account.
    pub name: Option<PersonName>,
}

/// Checks the password of the account with this address, and a second factor where it has one; or takes it as the password of an
/// account to be made.
///
/// # Errors
/// 401 when it is not the account's, or a second factor is missing; 422 when it will not do for a new one or there is no name, 429.
pub async fn prove(hub: &Hub, origin: &RequestOrigin, email: &Email, proof: Proof) -> Result<Invited> {
    let Proof { password, totp, passkey, name } = proof;
    let account = {
        let mut database = hub.db.read().await?;
        store::account_by_email(&mut database.conn(), email.key()).await?
    };
    if account.is_some() {
        let given = Given { totp: totp.as_ref(), passkey: passkey.as_ref() };
        let credentials = Credentials { email, password: &password, given };
        let (Account { user, password_hash }, _) = sign_in::check(hub, origin, credentials).await?;
        return Ok(Invited::Known { user, password_hash });
    }
    let password = NewPassword::try_from(password.reveal().to_owned())
        .map_err(|problem| Error::invalid_field("password", problem))?;
    let name = name.ok_or_else(|| Error::invalid_field("name", "is needed for a new account"))?;
    let password_hash = hub.auth.hashing.hash(hub.random.as_ref(), password.password()).await?;
    Ok(Invited::New { email: email.clone(), name, password_hash })
}

/// The account of somebody who was invited, made where there was none.
///
/// # Errors
/// 409 when somebody else made one with this address in the same moment, 401 when its password was changed in it.
pub async fn settle(hub: &Hub, unit: &mut Unit<'_>, invited: Invited) -> Result<User> {
    match invited {
        Invited::Known { user, password_hash } => {
            sign_in::demand(&mut unit.conn(), user.id, Basis::Password(password_hash)).await?;
            Ok(user)
        }
        Invited::New { email, name, password_hash } => {
            let user = User { id: hub.ids.user(), email: email.as_str().to_owned(), name: name.as_str().to_owned() };
            let inserted = store::insert_user(&mut unit.conn(), &user, email.key(), password_hash, hub.now()).await;
            inserted.map_err(|error| match error {
                DbError::UniqueViolation(_) => Error::conflict("there is an account with this e-mail already"),
                other => other.into(),
            })?;
            Ok(user)
        }
    }
}

/// Signs somebody in, to act in a workspace that they have just become a member of.
///
/// # Errors
/// When the database cannot be written.
pub async fn admit_to(
    hub: &Hub,
    unit: &mut Unit<'_>,
    origin: RequestOrigin,
    user: User,
    workspace: WorkspaceId,
) -> Result<SignedIn> {
    let details = json!({ "by": "invitation" });
    let entry = Entry { user, basis: Basis::Settled, workspace: Some(workspace), verified_at: hub.now(), details };
    sign_in::open(hub, unit, origin, entry).await
}

/// What somebody who has just signed in is answered, cookie and all.
///
/// # Errors
/// When the cookie cannot be made.
pub fn signed_in_answer(hub: &Hub, signed_in: SignedIn) -> Result<Response> {
    let cookie = session::set_cookie(&signed_in.token, &hub.config.public_url)?;
    Ok(([(header::SET_COOKIE, cookie)], Json(SignedInView::from(signed_in))).into_response())
}

/// 403 for an account that belongs nowhere.
pub(super) fn no_workspace() -> Error {
    Error::new(ErrorCode::Forbidden, "this account is a member of no workspace; ask an owner to invite it")
}
