//! Mail to people: letters from templates, put into the outbox with the change that they tell of. Without `[mail]` in the
//! settings nothing is written and nothing is missed.

mod notice;
mod render;
mod smtp;
#[cfg(test)]
pub(crate) mod tests;

use protocol::{UserId, WorkspaceId};
use serde::{Deserialize, Serialize};

pub use notice::Notice;

use crate::auth::User;
use crate::config::Mail;
use crate::deliveries::{self, Channel, Due, NewDelivery, Payload, Tried, Verdict};
use crate::error::{Error, ErrorCode, Result};
use crate::hub::{Hub, Unit};
use crate::secret::Secret;
use notice::moment;
use render::{Letter, render};
use smtp::{NotTaken, Posted};

/// To whom.
#[derive(Clone, Copy)]
pub struct Recipient<'a> {
    /// Their address.
    pub email: &'a str,
    /// Their name; empty when it is not known.
    pub name: &'a str,
    /// Whose account it is about.
    pub person: Option<UserId>,
}

impl<'a> Recipient<'a> {
    /// Somebody with an account.
    #[must_use]
    pub fn of(user: &'a User) -> Self {
        Self { email: &user.email, name: &user.name, person: Some(user.id) }
    }
}

impl std::fmt::Debug for Recipient<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Recipient(…)")
    }
}

/// What is sealed until it has arrived.
#[derive(Serialize, Deserialize)]
struct Sealed {
    to: String,
    name: String,
    letter: Letter,
}

/// Writes to somebody about their account, once the unit of work is committed, as long as there was not too much of that
/// today; whether it did.
///
/// # Errors
/// When it cannot be written.
pub async fn notify(hub: &Hub, unit: &mut Unit<'_>, to: &Recipient<'_>, notice: &Notice<'_>) -> Result<bool> {
    let person = to.person.filter(|_| notice.is_counted());
    if hub.config.mail.is_some()
        && let Some(person) = person
        && !deliveries::may_notify(hub, &mut unit.conn(), person).await?
    {
        tracing::warn!(%person, "somebody's account made more letters today than the hub writes");
        return Ok(false);
    }
    write(hub, unit, (None, person), to, notice).await
}

/// Writes to somebody on behalf of a workspace, as long as it has not written too much today; whether it did.
///
/// # Errors
/// When it cannot be written.
pub async fn write_for(
    hub: &Hub,
    unit: &mut Unit<'_>,
    workspace: WorkspaceId,
    to: &Recipient<'_>,
    notice: &Notice<'_>,
) -> Result<bool> {
    if hub.config.mail.is_none() || !deliveries::may_mail(hub, &mut unit.conn(), workspace).await? {
        return Ok(false);
    }
    write(hub, unit, (Some(workspace), None), to, notice).await
}

async fn write(
    hub: &Hub,
    unit: &mut Unit<'_>,
    (workspace_id, person): (Option<WorkspaceId>, Option<UserId>),
    to: &Recipient<'_>,
    notice: &Notice<'_>,
) -> Result<bool> {
    if hub.config.mail.is_none() {
        return Ok(false);
    }
    let (event, _) = notice.template();
    let letter = letter(hub, to, notice);
    let subject = letter.subject.clone();
    let sealed = Sealed { to: to.email.to_owned(), name: to.name.to_owned(), letter };
    let sealed = serde_json::to_string(&sealed).map_err(Error::internal)?;
    let new = NewDelivery {
        workspace_id,
        person,
        channel: Channel::Mail,
        webhook_id: None,
        recipient: masked(to.email),
        event: event.to_owned(),
        subject,
        payload: Payload::Sealed(Secret::new(sealed)),
    };
    deliveries::put(hub, unit, new).await?;
    Ok(true)
}

fn letter(hub: &Hub, to: &Recipient<'_>, notice: &Notice<'_>) -> Letter {
    let mut values = notice.values();
    values.push(("name", to.name.to_owned()));
    values.push(("hub", hub.config.public_url.to_string()));
    values.push(("at", moment(hub.now())));
    render(notice.template().1, &values)
}

/// Sends a delivery.
pub async fn send(hub: &Hub, due: &Due) -> Tried {
    let Some(mail) = &hub.config.mail else {
        return Tried::never("the hub sends no mail any more: the settings have no [mail]");
    };
    let opened = deliveries::unseal(hub, due).and_then(|text| serde_json::from_str::<Sealed>(text.reveal()).ok());
    let Some(Sealed { to, name, letter }) = opened else {
        return Tried::never("the hub lost the key that the letter was sealed with");
    };
    let id = due.id.to_string();
    let posted = Posted { id, to: &to, name: &name, at: due.waiting_since, letter: &letter };
    match smtp::send(hub, mail, posted).await {
        Ok(answered) => Tried { verdict: Verdict::Done, status: Some(answered.code), error: None, excerpt: None },
        Err(NotTaken { for_good, code, words }) => {
            let verdict = if for_good { Verdict::Never } else { Verdict::Again { after_s: 0 } };
            Tried { verdict, status: code, error: Some(words), excerpt: None }
        }
    }
}

/// Sends a letter that says nothing, now; what the server answered.
///
/// # Errors
/// 409 without `[mail]`, 422 when the server will not take it, 503 when it cannot be reached or not now.
pub async fn test(hub: &Hub, to: &str) -> Result<String> {
    let mail = configured(hub)?;
    let letter = letter(hub, &Recipient { email: to, name: "", person: None }, &Notice::Test);
    let posted = Posted { id: hub.ids.uuid().to_string(), to, name: "", at: hub.now(), letter: &letter };
    match smtp::send(hub, mail, posted).await {
        Ok(answered) => Ok(answered.words),
        Err(NotTaken { for_good: true, words, .. }) => {
            Err(Error::new(ErrorCode::ValidationFailed, format!("the mail was not taken: {words}")))
        }
        Err(NotTaken { words, .. }) => Err(Error::unavailable(format!("no mail could be sent: {words}"))),
    }
}

/// The settings of mail.
///
/// # Errors
/// 409 when there are none.
pub fn configured(hub: &Hub) -> Result<&Mail> {
    let missing = || Error::conflict("this hub sends no mail; whoever runs it can set [mail] in roadstead.toml");
    hub.config.mail.as_ref().ok_or_else(missing)
}

/// `a…@example.com`: enough to know which of one's addresses it is.
#[must_use]
pub fn masked(address: &str) -> String {
    let (local, domain) = address.rsplit_once('@').unwrap_or((address, ""));
    let first: String = local.chars().take(1).collect();
    format!("{first}…@{domain}")
}
