//! What devices answer, and whether it is believed.

use protocol::UserId;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use utoipa::ToSchema;
use webauthn_rs_core::proto::{AuthenticationState, Credential, PublicKeyCredential, RegisterPublicKeyCredential};

use super::ceremonies::{Purpose, State};
use super::record::{Record, credential_id};
use super::relying_party::{COUNTER_WENT_BACK, handle, reason};
use super::{gone, relying_party};
use crate::auth::caller::Person;
use crate::auth::model::User;
use crate::auth::store::{self, Signed};
use crate::error::{Error, Result};
use crate::hub::Hub;
use crate::ids::{CeremonyId, PasskeyId};

/// An answer has a few hundred bytes, one with an attestation a few thousand.
const MAX_ANSWER_BYTES: usize = 64 << 10;

/// The signature of a passkey.
#[derive(Debug, Deserialize, ToSchema)]
pub struct PasskeyAnswer {
    /// Of what the device was asked.
    #[schema(value_type = uuid::Uuid)]
    ceremony_id: CeremonyId,
    /// What `navigator.credentials.get()` gave, by `toJSON()`.
    #[schema(value_type = Object)]
    credential: Value,
}

/// A passkey that a device made.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = PasskeyCreate)]
pub(in crate::auth) struct NewPasskey {
    /// Of what the device was asked.
    #[schema(value_type = uuid::Uuid)]
    ceremony_id: CeremonyId,
    /// What to call it: one line of at most 80 characters.
    pub(super) name: Option<String>,
    /// What `navigator.credentials.create()` gave, by `toJSON()`.
    #[schema(value_type = Object)]
    credential: Value,
}

/// Why a signature is not believed.
#[derive(Debug)]
pub(in crate::auth) struct Refused {
    /// Whose passkey it is, where it is anybody's.
    pub(in crate::auth) user: Option<User>,
    /// For the audit log.
    pub(in crate::auth) reason: &'static str,
}

/// The passkey that was made, and that belongs to what was asked.
pub(super) fn made(hub: &Hub, person: &Person, new: &NewPasskey) -> Result<Credential> {
    let credential: RegisterPublicKeyCredential = parse(&new.credential)?;
    let purpose = Purpose::Register(person.user.id, person.session.id);
    let Some(State::Registering(state)) = hub.auth.ceremonies.take(hub.now(), new.ceremony_id, purpose) else {
        return Err(gone());
    };
    relying_party(hub)?.registered(&credential, &state).map_err(|error| {
        tracing::info!(%error, "a passkey that somebody made is not acceptable");
        unacceptable(reason(&error).trim_start_matches("passkey: "))
    })
}

/// Whose passkey signed, and which; the signature is used up. `Err` inside when it is not believed.
///
/// # Errors
/// 410 when nobody waits for the answer, 422 when it is none.
pub(in crate::auth) async fn check(
    hub: &Hub,
    purpose: Purpose,
    answer: &PasskeyAnswer,
) -> Result<Result<(User, PasskeyId), Refused>> {
    let credential: PublicKeyCredential = parse(&answer.credential)?;
    let Some(State::Asking(state)) = hub.auth.ceremonies.take(hub.now(), answer.ceremony_id, purpose) else {
        return Err(gone());
    };
    let expected = match purpose {
        Purpose::SignIn => None,
        Purpose::SecondFactor(user) | Purpose::StepUp(user, _) | Purpose::Register(user, _) => Some(user),
    };
    believe(hub, expected, &credential, &state).await
}

async fn believe(
    hub: &Hub,
    expected: Option<UserId>,
    credential: &PublicKeyCredential,
    state: &AuthenticationState,
) -> Result<Result<(User, PasskeyId), Refused>> {
    let found = {
        let mut database = hub.db.read().await?;
        let name = credential_id(&credential.raw_id);
        match store::passkey_by_credential(&mut database.conn(), name).await? {
            Some(row) => store::user_of_passkey(&mut database.conn(), row.id).await?.map(|user| (row, user)),
            None => None,
        }
    };
    let Some((row, user)) = found else {
        return Ok(Err(Refused { user: None, reason: "passkey: nobody has it" }));
    };
    let refused = |reason| Ok(Err(Refused { user: Some(user.clone()), reason }));
    if expected.is_some_and(|expected| expected != user.id) {
        return refused("passkey: it is another person's");
    }
    // Whoever gave no name says with the passkey who they are; otherwise the device may.
    let named = credential.get_user_unique_id();
    if named.map_or(expected.is_none(), |named| named != handle(user.id)) {
        return refused("passkey: it names another person");
    }
    let Some(stored) = Record::credential(&row) else { return refused("passkey: its record cannot be read") };
    let signed = match relying_party(hub)?.signed(credential, state, &stored) {
        Ok(signed) => signed,
        Err(error) => return refused(reason(&error)),
    };
    let signed = Signed {
        sign_count: signed.counter(),
        backup_eligible: signed.backup_eligible(),
        backed_up: signed.backup_state(),
    };
    let mut tx = hub.db.write().await?;
    let is_new = store::use_passkey(&mut tx.conn(), row.id, signed, hub.now()).await?;
    tx.commit().await?;
    if !is_new {
        return refused(COUNTER_WENT_BACK);
    }
    Ok(Ok((user, row.id)))
}

/// What the device answered, in the form that the specification has for it.
fn parse<T: DeserializeOwned>(credential: &Value) -> Result<T> {
    if credential.to_string().len() > MAX_ANSWER_BYTES {
        return Err(Error::invalid_field("credential", format!("must not be longer than {MAX_ANSWER_BYTES} bytes")));
    }
    T::deserialize(credential).map_err(|error| {
        let problem = "is not what a browser gives by PublicKeyCredential.toJSON()";
        Error::invalid_field("credential", problem).caused_by(error)
    })
}

/// 422 for a passkey that is not kept.
pub(super) fn unacceptable(problem: &str) -> Error {
    Error::invalid_field("credential", format!("cannot be accepted: {problem}"))
}
