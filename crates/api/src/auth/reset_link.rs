//! Somebody who forgot their password and reads their mail: a link, good once and for half an hour. A mailbox alone does
//! not open an account with one-time codes.

use std::sync::Arc;
use std::time::Duration;

use protocol::enroll::Token;
use serde_json::json;

use super::factors::Given;
use super::model::{Email, NewPassword, User};
use super::passkeys::Purpose;
use super::reset::record_everywhere;
use super::store;
use super::{attempts, factors, sign_in};
use crate::access::RequestOrigin;
use crate::audit::Outcome;
use crate::error::{Error, ErrorCode, Result};
use crate::hub::{App, Hub};
use crate::mail::{self, Notice, Recipient};
use crate::secret::{TokenDigest, new_token};

const TOKEN_PREFIX: &str = "rspr_";
const TTL: Duration = Duration::from_mins(30);
/// Links to one account that work at the same time: nobody's mailbox is to be flooded.
const AT_ONCE: i64 = 3;
/// Requests that are being seen to at the same time.
pub(super) const WORKING: usize = 32;

/// Sees to it that a link is mailed, if there is such an account. What is done for it, and how long that takes, is the
/// same for the caller whether there is one or not: it happens after the answer.
pub(super) async fn request(hub: &App, origin: RequestOrigin, email: Email) -> Result<()> {
    mail::configured(hub)?;
    // Apart from attempts to sign in: asking for links keeps nobody out. No address holds a space.
    let _never_forgiven = attempts::admit(hub, &origin, &format!("{} by mail", email.key())).await?;
    let permit = Arc::clone(&hub.auth.resetting).acquire_owned().await.map_err(Error::internal)?;
    let work = Arc::clone(hub);
    hub.tasks.spawn(async move {
        if let Err(error) = send(&work, &origin, &email).await {
            tracing::error!(error = %error.chain(), "a link for a new password could not be made: {error}");
        }
        drop(permit);
    });
    Ok(())
}

async fn send(hub: &Hub, origin: &RequestOrigin, email: &Email) -> Result<()> {
    let now = hub.now();
    let mut unit = hub.begin().await?;
    let account = store::account_by_email(&mut unit.conn(), email.key()).await?;
    let Some(account) = account else { return Ok(()) };
    // Of many requests at once each sees the links of those before, and the account as a change before left it.
    store::lock_user(&mut unit.conn(), account.user.id).await?;
    // Nobody forgot a password where there is none: an identity provider opens this account, and not a mailbox.
    let account = store::account_by_email(&mut unit.conn(), email.key()).await?;
    let Some(account) = account.filter(|account| account.hash().is_some()) else { return Ok(()) };
    let user = account.user;
    if store::count_resets(&mut unit.conn(), user.id, now).await? >= AT_ONCE {
        return Ok(());
    }
    let token = new_token(TOKEN_PREFIX, hub.random.as_ref());
    store::insert_reset(&mut unit.conn(), TokenDigest::of(token.reveal()), user.id, now, now.plus(TTL)).await?;
    let link = format!("{}/reset-password#{}", hub.config.public_url, token.reveal());
    let notice = Notice::PasswordReset { link: &link, ip: &origin.ip };
    mail::notify(hub, &mut unit, &Recipient::of(&user), &notice).await?;
    record_everywhere(&mut unit, &user, origin, "account.password_reset", Outcome::Ok, json!({})).await?;
    unit.commit().await
}

/// Puts another password in the place of a forgotten one and ends all sessions. An account with one-time codes needs one
/// of them; a link is used up by a change only.
pub(super) async fn complete(
    hub: &Hub,
    origin: &RequestOrigin,
    token: &str,
    password: &NewPassword,
    given: Given<'_>,
) -> Result<()> {
    attempts::admit_address(hub, origin).await?;
    let token = TokenDigest::of(Token::parse(TOKEN_PREFIX, token).ok_or_else(gone)?.reveal());
    let user = {
        let mut session = hub.db.read().await?;
        store::reset_user(&mut session.conn(), token.clone(), hub.now()).await?
    };
    let user = user.ok_or_else(gone)?;
    demand_factor(hub, origin, &user, given).await?;
    let hash = hub.auth.hashing.hash(hub.random.as_ref(), password.password()).await?;
    let mut unit = hub.begin().await?;
    // Of two requests with one link, one finds it.
    if !store::use_reset(&mut unit.conn(), token, hub.now()).await? {
        return Err(gone());
    }
    store::delete_links(&mut unit.conn(), user.id).await?;
    store::set_password(&mut unit.conn(), user.id, hash).await?;
    let ended = store::delete_sessions(&mut unit.conn(), user.id).await?;
    let details = json!({ "by": "mailed link", "sessions_ended": ended });
    record_everywhere(&mut unit, &user, origin, "account.password", Outcome::Ok, details).await?;
    let notice = Notice::PasswordChanged { how: "with a link that was mailed to you" };
    mail::notify(hub, &mut unit, &Recipient::of(&user), &notice).await?;
    unit.commit().await?;
    attempts::forgive_account(hub, origin, &Email::key_of(&user.email));
    hub.http.recheck_streams();
    Ok(())
}

/// Guesses at a second factor count as sign-ins.
async fn demand_factor(hub: &Hub, origin: &RequestOrigin, user: &User, given: Given<'_>) -> Result<()> {
    // The address was counted already.
    let attempt = match given {
        Given { totp: None, passkey: None } => None,
        _ => Some(attempts::admit_account(hub, origin, &Email::key_of(&user.email)).await?),
    };
    match factors::demand(hub, origin, user.id, Purpose::SecondFactor(user.id), given).await? {
        Ok(_) => {
            if let Some(attempt) = attempt {
                attempt.forgive(hub);
            }
            Ok(())
        }
        Err(wrong) => {
            sign_in::record_failure(hub, origin.clone(), Some(user.clone()), wrong.reason).await?;
            Err(wrong.into_refusal())
        }
    }
}

fn gone() -> Error {
    Error::new(ErrorCode::Gone, "this link was used or has expired; ask for another one on the sign-in page")
}
