//! The hub as what passkeys are made for: one name, one origin. What is asked of devices, and what of their answers is
//! believed, is decided here; the library does the checks.
//!
//! Its core is used and not its frame: passkeys must be discoverable, so that they sign in without a name, and their
//! records must be readable without the library. The traps that its warning speaks of are closed here: the person is
//! always verified, no other origin, port or subdomain counts, and nothing is built on attestation.

use protocol::UserId;
use serde::Serialize;
use serde_json::Value;
use url::Url;
use webauthn_rs_core::WebauthnCore;
use webauthn_rs_core::error::WebauthnError;
use webauthn_rs_core::proto::{
    AttestationConveyancePreference, AuthenticationResult, AuthenticationState, Credential, CredentialID,
    PublicKeyCredential, RegisterPublicKeyCredential, RegistrationState, UserVerificationPolicy,
};

use super::ceremonies::LIFETIME;
use crate::auth::model::User;
use crate::config::PublicUrl;
use crate::error::{Error, Result};

/// The hub towards devices.
pub(super) struct RelyingParty(WebauthnCore);

impl RelyingParty {
    /// `None` where browsers know no passkeys: for a hub that is reached by an address and not by a name.
    pub(super) fn of(url: &PublicUrl) -> Option<Self> {
        if url.ip().is_some() {
            return None;
        }
        let origin = Url::parse(url.as_str()).ok()?;
        let (no_subdomains, no_other_port) = (Some(false), Some(false));
        Some(Self(WebauthnCore::new_unsafe_experts_only(
            "Roadstead",
            url.host(),
            vec![origin],
            LIFETIME,
            no_subdomains,
            no_other_port,
        )))
    }

    /// What a device is asked that shall make a passkey, beside those that it has already.
    pub(super) fn register(&self, user: &User, existing: Vec<CredentialID>) -> Result<(Value, RegistrationState)> {
        let builder = self.0.new_challenge_register_builder(&handle(user.id), &user.email, &user.name);
        let builder = builder
            .map_err(Error::internal)?
            .attestation(AttestationConveyancePreference::None)
            .user_verification_policy(UserVerificationPolicy::Required)
            .require_resident_key(true)
            .exclude_credentials(Some(existing));
        let (options, state) = self.0.generate_challenge_register(builder).map_err(Error::internal)?;
        Ok((json(&options.public_key)?, state))
    }

    /// The passkey that a device made.
    pub(super) fn registered(
        &self,
        answer: &RegisterPublicKeyCredential,
        state: &RegistrationState,
    ) -> Result<Credential, WebauthnError> {
        self.0.register_credential(answer, state, None)
    }

    /// What devices are asked for a signature; without passkeys, any that they hold for this hub.
    pub(super) fn ask(&self, passkeys: Vec<Credential>) -> Result<(Value, AuthenticationState)> {
        let builder = self.0.new_challenge_authenticate_builder(passkeys, Some(UserVerificationPolicy::Required));
        // A key that was bound to a device may become one that is copied: with no attestation that was never more than
        // the device's word.
        let builder = builder.map_err(Error::internal)?.allow_backup_eligible_upgrade(true);
        let (options, state) = self.0.generate_challenge_authenticate(builder).map_err(Error::internal)?;
        Ok((json(&options.public_key)?, state))
    }

    /// Whether a passkey made this signature, and what it says of itself.
    pub(super) fn signed(
        &self,
        answer: &PublicKeyCredential,
        state: &AuthenticationState,
        passkey: &Credential,
    ) -> Result<AuthenticationResult, WebauthnError> {
        let signed = self.0.authenticate_single_credential(answer, state, passkey)?;
        if signed.user_verified() { Ok(signed) } else { Err(WebauthnError::UserNotVerified) }
    }
}

/// What devices know a person by.
pub(super) fn handle(user: UserId) -> [u8; 16] {
    user.uuid().into_bytes()
}

/// Why an answer is refused, for the audit log.
pub(super) const fn reason(error: &WebauthnError) -> &'static str {
    match error {
        WebauthnError::MismatchedChallenge => "passkey: it answers another challenge",
        WebauthnError::InvalidRPOrigin | WebauthnError::CredentialCrossOrigin => "passkey: it was used on another site",
        WebauthnError::InvalidRPIDHash => "passkey: it is for another site",
        WebauthnError::UserNotVerified | WebauthnError::UserNotPresent => "passkey: the device did not verify its user",
        WebauthnError::CredentialPossibleCompromise => COUNTER_WENT_BACK,
        WebauthnError::AuthenticationFailure | WebauthnError::SignatureInvalid => "passkey: wrong signature",
        _ => "passkey: the answer cannot be accepted",
    }
}

/// There may be a copy of the key.
pub(super) const COUNTER_WENT_BACK: &str = "passkey: its counter went back; there may be a copy of it";

fn json(options: &impl Serialize) -> Result<Value> {
    serde_json::to_value(options).map_err(Error::internal)
}
