//! Another address to sign in with. Where the hub sends mail, the address counts once a link that was mailed to it was
//! opened: a mailbox that is somebody else's, or nobody's, must not become the way back into an account.

use std::time::Duration;

use protocol::UserId;
use protocol::enroll::Token;
use serde_json::json;

use super::account::own;
use super::attempts;
use super::caller::Person;
use super::confirm::confirm_password;
use super::model::{Email, Password, User};
use super::reset::record_everywhere;
use super::store::{self, EmailChange};
use crate::access::RequestOrigin;
use crate::audit::Outcome;
use crate::db::DbError;
use crate::error::{Error, ErrorCode, Result};
use crate::hub::{Hub, Unit};
use crate::mail::{self, Notice, Recipient};
use crate::secret::{TokenDigest, new_token};

const TOKEN_PREFIX: &str = "rsec_";
const TTL: Duration = Duration::from_mins(30);

/// What came of a request for another address.
#[derive(Debug)]
pub(super) enum Outlook {
    /// The person signs in with it from now on.
    Changed(User),
    /// A link was mailed to it.
    Asked,
}

/// Has the person sign in with another address: from now on where the hub sends no mail, else once they showed that they
/// read it.
pub(super) async fn change(hub: &Hub, person: &Person, email: &Email, password: Option<&Password>) -> Result<Outlook> {
    email.require_plain().map_err(|problem| Error::invalid_field("email", problem))?;
    confirm_password(hub, person, password, "password").await?;
    if hub.config.mail.is_some() {
        return ask(hub, person, email).await;
    }
    let mut unit = hub.begin().await?;
    let ended = set(&mut unit, person.user.id, email, &person.session.id.to_string()).await?;
    let details = json!({ "email": { "from": person.user.email, "to": email.as_str() }, "sessions_ended": ended });
    unit.audit(&person.actor, "account.email", own(person), Outcome::Ok, details).await?;
    unit.commit().await?;
    hub.http.recheck_streams();
    Ok(Outlook::Changed(User { email: email.as_str().to_owned(), ..person.user.clone() }))
}

/// Mails a link to the new address, and to the old one that this was asked for. One link works at a time.
async fn ask(hub: &Hub, person: &Person, email: &Email) -> Result<Outlook> {
    let (user, ip, now) = (&person.user, &person.actor.origin.ip, hub.now());
    let mut unit = hub.begin().await?;
    store::lock_user(&mut unit.conn(), user.id).await?;
    let holder = store::account_by_email(&mut unit.conn(), email.key()).await?;
    if holder.is_some_and(|holder| holder.user.id != user.id) {
        return Err(taken());
    }
    let token = new_token(TOKEN_PREFIX, hub.random.as_ref());
    let wanted = EmailChange {
        user_id: user.id,
        session_id: person.session.id.to_string(),
        email: email.as_str().to_owned(),
        created_at: now,
        expires_at: now.plus(TTL),
    };
    store::delete_email_change(&mut unit.conn(), user.id).await?;
    store::insert_email_change(&mut unit.conn(), TokenDigest::of(token.reveal()), wanted).await?;
    let asked = Notice::EmailChangeAsked { new: email.as_str(), ip };
    mail::notify(hub, &mut unit, &Recipient::of(user), &asked).await?;
    let link = format!("{}/change-email#{}", hub.config.public_url, token.reveal());
    // What somebody calls themselves is not written to strangers.
    let to = Recipient { email: email.as_str(), name: "", person: Some(user.id) };
    if !mail::notify(hub, &mut unit, &to, &Notice::EmailChangeLink { link: &link, ip }).await? {
        let message = "too many letters were written about this account today; try again tomorrow";
        return Err(Error::new(ErrorCode::RateLimited, message).retry_after(3600));
    }
    let details = json!({ "email": { "from": user.email, "to": email.as_str() } });
    unit.audit(&person.actor, "account.email_request", own(person), Outcome::Ok, details).await?;
    unit.commit().await?;
    Ok(Outlook::Asked)
}

/// Somebody opened the link: the address is theirs. Their sessions end, but for the one that asked.
pub(super) async fn complete(hub: &Hub, origin: &RequestOrigin, token: &str) -> Result<()> {
    attempts::admit_address(hub, origin).await?;
    let token = TokenDigest::of(Token::parse(TOKEN_PREFIX, token).ok_or_else(gone)?.reveal());
    let mut unit = hub.begin().await?;
    let wanted = store::email_change(&mut unit.conn(), token.clone(), hub.now()).await?.ok_or_else(gone)?;
    store::lock_user(&mut unit.conn(), wanted.user_id).await?;
    // Of two requests with one link, one finds it.
    if !store::use_email_change(&mut unit.conn(), token).await? {
        return Err(gone());
    }
    let account = store::account(&mut unit.conn(), wanted.user_id).await?.ok_or_else(gone)?;
    let email = Email::try_from(wanted.email).map_err(Error::internal)?;
    let ended = set(&mut unit, account.user.id, &email, &wanted.session_id).await?;
    let old = &account.user;
    let details = json!({
        "email": { "from": old.email, "to": email.as_str() }, "by": "mailed link", "sessions_ended": ended,
    });
    record_everywhere(&mut unit, old, origin, "account.email", Outcome::Ok, details).await?;
    let notice = Notice::EmailChanged { old: &old.email, new: email.as_str(), ip: &origin.ip };
    for address in [old.email.as_str(), email.as_str()] {
        let to = Recipient { email: address, name: &old.name, person: Some(old.id) };
        mail::notify(hub, &mut unit, &to, &notice).await?;
    }
    unit.commit().await?;
    hub.http.recheck_streams();
    Ok(())
}

/// Has an account use another address; how many sessions ended by that.
async fn set(unit: &mut Unit<'_>, user: UserId, email: &Email, keep_session: &str) -> Result<u64> {
    let set = store::set_email(&mut unit.conn(), user, email.as_str().to_owned(), email.key()).await;
    set.map_err(|error| match error {
        DbError::UniqueViolation(_) => taken(),
        other => other.into(),
    })?;
    store::delete_links(&mut unit.conn(), user).await?;
    Ok(store::delete_other_sessions(&mut unit.conn(), user, keep_session.to_owned()).await?)
}

fn taken() -> Error {
    Error::conflict("there is an account with this e-mail already")
}

fn gone() -> Error {
    Error::new(ErrorCode::Gone, "this link was used or has expired; ask for another one under Account")
}
