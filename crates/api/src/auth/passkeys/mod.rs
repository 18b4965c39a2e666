//! Passkeys: keys that people's devices keep and use for this hub only (WebAuthn).
//!
//! A passkey signs in alone, since the device verified its user: that is both factors. Where somebody gives their
//! password it is the second one, beside or in place of one-time codes, and it proves again whose a session is.

mod answer;
mod ceremonies;
mod record;
mod relying_party;

use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use self::ceremonies::State;
use self::record::credential_id;
use self::relying_party::RelyingParty;
use super::caller::Person;
use super::confirm::demand_fresh;
use super::store::{self, PasskeyRow};
use super::throttle::Network;
use super::{factors, model::User};
use crate::access::RequestOrigin;
use crate::audit::{Outcome, Subject};
use crate::clock::Timestamp;
use crate::db::{Conn, DbError};
use crate::error::{Error, ErrorCode, Result};
use crate::hub::Hub;
use crate::ids::{CeremonyId, PasskeyId};
use crate::line::one_line;
use crate::mail::{self, Notice, Recipient};

pub use answer::PasskeyAnswer;
pub(super) use answer::{NewPasskey, check};
pub(super) use ceremonies::{Ceremonies, Purpose};
pub(super) use record::Record;

/// Passkeys that somebody has at most.
const PER_USER: usize = 20;
/// What a passkey is called that nobody named.
const UNNAMED: &str = "Passkey";
/// Characters of a passkey's name.
const NAME_LEN: usize = 80;

/// A passkey as its owner sees it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Passkey)]
pub(super) struct PasskeyView {
    #[schema(value_type = uuid::Uuid)]
    id: PasskeyId,
    name: String,
    created_at: Timestamp,
    /// When it last proved something.
    #[schema(required)]
    last_used_at: Option<Timestamp>,
    /// Whether the device keeps copies of it elsewhere, as password managers do.
    backed_up: bool,
}

impl From<PasskeyRow> for PasskeyView {
    fn from(row: PasskeyRow) -> Self {
        let PasskeyRow { id, name, created_at, last_used_at, backed_up, .. } = row;
        Self { id, name, created_at, last_used_at, backed_up }
    }
}

/// A passkey that was just made.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PasskeyAdded)]
pub(super) struct AddedView {
    #[serde(flatten)]
    passkey: PasskeyView,
    /// For an account that had no second factor before, shown this once: each lets its owner in once without the device.
    #[schema(required)]
    recovery_codes: Option<Vec<String>>,
}

impl AddedView {
    /// What the answer is about.
    pub(super) const fn id(&self) -> PasskeyId {
        self.passkey.id
    }
}

/// What a device is asked.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PasskeyCeremony)]
pub(super) struct Begun {
    /// To send back with the device's answer, within five minutes and once.
    #[schema(value_type = uuid::Uuid)]
    ceremony_id: CeremonyId,
    /// For `PublicKeyCredential.parseCreationOptionsFromJSON` or `parseRequestOptionsFromJSON`.
    #[schema(value_type = Object)]
    options: Value,
}

/// Whether this hub can be signed in to with passkeys.
pub(super) fn are_possible(hub: &Hub) -> bool {
    RelyingParty::of(&hub.config.public_url).is_some()
}

/// Whether somebody has any.
pub(super) async fn has_any(conn: &mut Conn<'_>, user: &User) -> Result<bool, DbError> {
    Ok(store::count_passkeys(conn, user.id).await? > 0)
}

/// The person's passkeys, oldest first.
pub(super) async fn list(hub: &Hub, person: &Person) -> Result<Vec<PasskeyView>> {
    let mut database = hub.db.read().await?;
    let rows = store::passkeys(&mut database.conn(), person.user.id).await?;
    Ok(rows.into_iter().map(PasskeyView::from).collect())
}

/// Begins to make a passkey.
pub(super) async fn begin(hub: &Hub, person: &Person) -> Result<Begun> {
    demand_fresh(hub, person)?;
    let relying_party = relying_party(hub)?;
    let rows = {
        let mut database = hub.db.read().await?;
        store::passkeys(&mut database.conn(), person.user.id).await?
    };
    demand_room(rows.len())?;
    let existing = rows.iter().filter_map(Record::credential).map(|passkey| passkey.cred_id).collect();
    let (options, state) = relying_party.register(&person.user, existing)?;
    let purpose = Purpose::Register(person.user.id, person.session.id);
    Ok(remember(hub, &person.actor.origin, purpose, options, State::Registering(Box::new(state))))
}

/// Begins to sign in, to prove a second factor, or to prove again whose a session is. Whoever is known is asked for
/// passkeys of theirs; `None` when they have none.
pub(super) async fn ask(hub: &Hub, origin: &RequestOrigin, purpose: Purpose) -> Result<Option<Begun>> {
    let relying_party = relying_party(hub)?;
    let passkeys = match purpose {
        Purpose::SignIn => Vec::new(),
        Purpose::SecondFactor(user) | Purpose::StepUp(user, _) | Purpose::Register(user, _) => {
            let mut database = hub.db.read().await?;
            let rows = store::passkeys(&mut database.conn(), user).await?;
            let passkeys: Vec<_> = rows.iter().filter_map(Record::credential).collect();
            if passkeys.is_empty() {
                return Ok(None);
            }
            passkeys
        }
    };
    let (options, state) = relying_party.ask(passkeys)?;
    Ok(Some(remember(hub, origin, purpose, options, State::Asking(Box::new(state)))))
}

/// Keeps the passkey that a device made. The first second factor of an account comes with recovery codes.
pub(super) async fn add(hub: &Hub, person: &Person, new: &NewPasskey) -> Result<AddedView> {
    demand_fresh(hub, person)?;
    let name = name(new.name.as_deref())?;
    let passkey = answer::made(hub, person, new)?;
    let record =
        Record::of(&passkey).ok_or_else(|| answer::unacceptable("its key is of a kind that was not asked for"))?;
    let row = PasskeyRow {
        id: hub.ids.passkey(),
        credential_id: credential_id(&passkey.cred_id),
        name: name.clone(),
        record: crate::db::JsonText(record),
        sign_count: i64::from(passkey.counter),
        backup_eligible: passkey.backup_eligible,
        backed_up: passkey.backup_state,
        created_at: hub.now(),
        last_used_at: None,
    };
    let user = person.user.id;
    let mut unit = hub.begin().await?;
    // Of two at once one is the first, or the last that fits.
    store::lock_user(&mut unit.conn(), user).await?;
    let count = store::count_passkeys(&mut unit.conn(), user).await?;
    demand_room(usize::try_from(count).unwrap_or(usize::MAX))?;
    let is_first = !factors::has_own(&mut unit.conn(), user).await?;
    let inserted = store::insert_passkey(&mut unit.conn(), user, row.clone()).await;
    inserted.map_err(|error| match error {
        DbError::UniqueViolation(_) => Error::conflict("this passkey is registered already"),
        other => other.into(),
    })?;
    let recovery_codes = if is_first { Some(factors::renew(hub, &mut unit, user).await?) } else { None };
    let details = json!({ "backed_up": row.backed_up });
    unit.audit(&person.actor, "passkey.add", subject(row.id, &name), Outcome::Ok, details).await?;
    let notice = Notice::PasskeyAdded { passkey: &name };
    mail::notify(hub, &mut unit, &Recipient::of(&person.user), &notice).await?;
    unit.commit().await?;
    Ok(AddedView { passkey: row.into(), recovery_codes })
}

/// Has a passkey be called something else.
pub(super) async fn rename(hub: &Hub, person: &Person, id: PasskeyId, name: Option<&str>) -> Result<PasskeyView> {
    let mut unit = hub.begin().await?;
    let before = find(&mut unit.conn(), person, id).await?;
    let name = self::name(Some(name.unwrap_or(&before.name)))?;
    if before.name == name {
        return Ok(before.into());
    }
    store::rename_passkey(&mut unit.conn(), person.user.id, id, name.clone()).await?;
    let details = json!({ "name": { "from": before.name, "to": name } });
    unit.audit(&person.actor, "passkey.update", subject(id, &name), Outcome::Ok, details).await?;
    unit.commit().await?;
    Ok(PasskeyView { name, ..before.into() })
}

/// Removes a passkey: the device that keeps it opens nothing here any more.
pub(super) async fn remove(hub: &Hub, person: &Person, id: PasskeyId) -> Result<()> {
    demand_fresh(hub, person)?;
    let user = person.user.id;
    let mut unit = hub.begin().await?;
    // Of two ways in that go at once the second sees that it is the last.
    store::lock_user(&mut unit.conn(), user).await?;
    let row = find(&mut unit.conn(), person, id).await?;
    store::delete_passkey(&mut unit.conn(), user, id).await?;
    let conn = &mut unit.conn();
    if !factors::has_second_factor(conn, user).await? && store::is_required(conn, user).await? {
        return Err(Error::conflict(
            "this is your last second factor, and a workspace of yours requires one; add another passkey or turn \
             one-time codes on first",
        ));
    }
    factors::demand_way_in(&mut unit.conn(), user).await?;
    store::delete_spare_recovery_codes(&mut unit.conn(), user).await?;
    unit.audit(&person.actor, "passkey.remove", subject(id, &row.name), Outcome::Ok, json!({})).await?;
    let notice = Notice::PasskeyRemoved { passkey: &row.name };
    mail::notify(hub, &mut unit, &Recipient::of(&person.user), &notice).await?;
    unit.commit().await?;
    hub.http.recheck_streams();
    Ok(())
}

async fn find(conn: &mut Conn<'_>, person: &Person, id: PasskeyId) -> Result<PasskeyRow> {
    let rows = store::passkeys(conn, person.user.id).await?;
    rows.into_iter().find(|row| row.id == id).ok_or_else(|| Error::not_found("passkey"))
}

fn remember(hub: &Hub, origin: &RequestOrigin, purpose: Purpose, options: Value, state: State) -> Begun {
    let ceremony_id = hub.ids.ceremony();
    hub.auth.ceremonies.put(hub.now(), ceremony_id, Network::of(&origin.ip), purpose, state);
    Begun { ceremony_id, options }
}

fn relying_party(hub: &Hub) -> Result<RelyingParty> {
    RelyingParty::of(&hub.config.public_url).ok_or_else(|| {
        Error::conflict(
            "browsers know passkeys only for names; give the hub one, as https://hub.example.com in public_url, and \
             come back there",
        )
    })
}

fn demand_room(count: usize) -> Result<()> {
    if count < PER_USER {
        return Ok(());
    }
    Err(Error::conflict(format!("this account has {PER_USER} passkeys, and no more fit; remove one first")))
}

fn name(given: Option<&str>) -> Result<String> {
    let given = given.unwrap_or(UNNAMED);
    one_line(given, NAME_LEN).map_err(|problem| Error::invalid_field("name", problem))
}

/// 410 for an answer that nobody waits for.
fn gone() -> Error {
    Error::new(
        ErrorCode::Gone,
        "nobody waits for this passkey's answer any more: it was sent before, or came after five minutes; begin again",
    )
}

fn subject(id: PasskeyId, name: &str) -> Subject {
    Subject::new("passkey", &id, name)
}
