//! `request` and `response`: what one side asks of the other on a live connection, and the answer.
//!
//! Methods that the hub calls:
//!
//! | method | params | result |
//! |---|---|---|
//! | `license.set` | [`crate::Signed`] licence ([`crate::license::LicenseBody`]) | – |
//! | `token.rotate` | [`TokenRotate`] | –; the agent connects anew with the new token at once |
//! | `policy.restrict` | [`crate::Signed`] restrictions ([`crate::policy::RestrictBody`]) | [`crate::policy::PolicySummary`] now in force |
//! | `probe` | [`crate::probe::ProbeSpec`] | [`crate::probe::ProbeOutcome`] |

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::enroll::Token;

/// Method: a renewed licence.
pub const LICENSE_SET: &str = "license.set";
/// Method: a new agent token.
pub const TOKEN_ROTATE: &str = "token.rotate";
/// Method: the hub's own restrictions of what it may do on this host.
pub const POLICY_RESTRICT: &str = "policy.restrict";
/// Method: one look at one target, from where the agent stands.
pub const PROBE: &str = "probe";

/// Either way: do or tell something, on this connection and now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// What to do; an unknown one is answered with the code `unknown_method`.
    pub method: String,
    /// Arguments of the method.
    pub params: Value,
    /// Nobody waits for the answer after this moment, sender's clock, Unix milliseconds.
    pub deadline_ms: i64,
}

/// The answer; `ref` of its envelope names the request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Response {
    /// Done. Otherwise nothing has changed, and `error` says why.
    pub ok: bool,
    /// Typed by method; absent where it says nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// Why it was not done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<RequestError>,
}

impl Response {
    /// It was done; there is nothing to tell.
    #[must_use]
    pub const fn done() -> Self {
        Self { ok: true, result: None, error: None }
    }

    /// It was done.
    #[must_use]
    pub const fn with(result: Value) -> Self {
        Self { ok: true, result: Some(result), error: None }
    }

    /// It was not done.
    #[must_use]
    pub fn refused(code: &str, message: impl Into<String>) -> Self {
        let error = RequestError { code: code.to_owned(), message: message.into() };
        Self { ok: false, result: None, error: Some(error) }
    }
}

/// Why a request was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestError {
    /// Machine-readable reason, such as `unknown_method`, `bad_params`, `bad_signature`, `unavailable`.
    pub code: String,
    /// For people.
    pub message: String,
}

/// Params of `token.rotate`. The old token stays valid until the new one has connected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRotate {
    /// The new agent token.
    pub token: Token,
}
