//! The one error of the hub: what a caller is told, and what the log keeps.
//!
//! Slices make their errors with the functions named after the situation (`Error::not_found("server")`); low-level
//! failures become `internal` through `From`, keep their chain, and are logged once, where the response is made.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// Shorthand of the hub.
pub type Result<T, E = Error> = std::result::Result<T, E>;

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $status:ident, $text:literal;)*) => {
        /// Every error code of the API. `crates/api/docs/errors.md` lists the same, and a test compares both.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ErrorCode {
            $(#[doc = $text] $variant,)*
        }

        impl ErrorCode {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The name in `error.code`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The HTTP status that goes with it.
            #[must_use]
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$variant => StatusCode::$status,)* }
            }

            /// What it means, for the error list of the user guide.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    };
}

codes! {
    BadRequest = "bad_request", BAD_REQUEST, "The request cannot be read: malformed JSON, an unknown query parameter, a malformed id.";
    ValidationFailed = "validation_failed", UNPROCESSABLE_ENTITY, "Values are not acceptable; `details.fields` names each.";
    Unauthenticated = "unauthenticated", UNAUTHORIZED, "No valid session or key came with the request. Sign in and try again.";
    TotpRequired = "totp_required", UNAUTHORIZED, "The account needs a second factor as well; `details.methods` says which it has, and `details.passkey` is what to ask the browser for a passkey.";
    InvalidCredentials = "invalid_credentials", UNAUTHORIZED, "E-mail and password, or the passkey, do not open an account.";
    Forbidden = "forbidden", FORBIDDEN, "The caller may see this but not do that, or the request came from another site.";
    StepUpRequired = "step_up_required", FORBIDDEN, "The session must prove again whose it is: `POST /v1/auth/step-up`, then repeat the request.";
    TotpEnrollmentRequired = "totp_enrollment_required", FORBIDDEN, "The workspace requires a second factor, and the account has none yet: `POST /v1/account/totp` or `POST /v1/account/passkeys`.";
    NotFound = "not_found", NOT_FOUND, "No such thing, or it belongs to another workspace.";
    MethodNotAllowed = "method_not_allowed", METHOD_NOT_ALLOWED, "The path exists, the method on it does not.";
    RequestTimeout = "request_timeout", REQUEST_TIMEOUT, "The body of the request did not come to its end in time. Nothing was done; send the request again.";
    Conflict = "conflict", CONFLICT, "The state of the thing does not allow this, or the same idempotency key came with another body.";
    Gone = "gone", GONE, "It was there and is not any more: an install token that was used or has expired, a log that was removed to make room, a passkey's answer that comes twice or too late.";
    PreconditionFailed = "precondition_failed", PRECONDITION_FAILED, "Somebody else changed it since you read it. Read it again and repeat the change.";
    PayloadTooLarge = "payload_too_large", PAYLOAD_TOO_LARGE, "The body exceeds the limit of the route.";
    UnsupportedMediaType = "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE, "The body must be JSON and say so in Content-Type.";
    Misdirected = "misdirected", MISDIRECTED_REQUEST, "The request names a host that is not this hub's. Use the address of the setting public_url.";
    RateLimited = "rate_limited", TOO_MANY_REQUESTS, "Too many requests. `Retry-After` says when to try again.";
    ServerOffline = "server_offline", CONFLICT, "The server is not connected and the operation cannot wait for it.";
    AgentTimeout = "agent_timeout", GATEWAY_TIMEOUT, "The server's agent did not answer in time.";
    AgentError = "agent_error", BAD_GATEWAY, "The server's agent answered with an error.";
    PolicyDenied = "policy_denied", FORBIDDEN, "The server's own policy does not allow this.";
    QuotaExceeded = "quota_exceeded", FORBIDDEN, "The workspace's plan does not allow more of this.";
    Unavailable = "unavailable", SERVICE_UNAVAILABLE, "The hub cannot do this right now: it is starting, stopping, out of disk space or lost its database. Try again.";
    Internal = "internal", INTERNAL_SERVER_ERROR, "The hub failed. Its log says why under the request id.";
}

/// What a caller is told, with what the log keeps.
#[derive(Debug)]
pub struct Error {
    code: ErrorCode,
    message: Cow<'static, str>,
    details: Option<Value>,
    retry_after_s: Option<u64>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error with a code and a message for people: what happened, to what, what to do next.
    pub fn new(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into(), details: None, retry_after_s: None, source: None }
    }

    /// 400: the request cannot be read.
    pub fn bad_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::BadRequest, message)
    }

    /// 422: one field with an unacceptable value; `problem` is the rest of a sentence, "must not be empty".
    pub fn invalid_field(field: &str, problem: impl Into<String>) -> Self {
        Self::invalid_fields([(field.to_owned(), problem.into())])
    }

    /// 422: several fields with unacceptable values.
    pub fn invalid_fields(fields: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut by_name = BTreeMap::<String, Vec<String>>::new();
        for (field, problem) in fields {
            by_name.entry(field).or_default().push(problem);
        }
        let message = by_name
            .iter()
            .flat_map(|(field, problems)| problems.iter().map(move |problem| format!("{field} {problem}")))
            .collect::<Vec<_>>()
            .join("; ");
        Self::new(ErrorCode::ValidationFailed, message).with_details(json!({ "fields": by_name }))
    }

    /// 404: `what` is a word such as "server".
    #[must_use]
    pub fn not_found(what: &str) -> Self {
        Self::new(ErrorCode::NotFound, format!("no such {what}"))
    }

    /// 401: nobody is signed in.
    #[must_use]
    pub fn unauthenticated() -> Self {
        Self::new(ErrorCode::Unauthenticated, "sign in first")
    }

    /// 403: `node` is the permission that is missing.
    #[must_use]
    pub fn forbidden(node: &str) -> Self {
        Self::new(ErrorCode::Forbidden, format!("this needs the permission {node}"))
    }

    /// 409: the state of the thing does not allow it.
    pub fn conflict(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::Conflict, message)
    }

    /// 503: not now.
    pub fn unavailable(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::Unavailable, message)
    }

    /// 500: the caller learns nothing, the log keeps `source`.
    pub fn internal(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::new(ErrorCode::Internal, "the hub failed; its log says why under this request id").caused_by(source)
    }

    /// Adds machine-readable details.
    #[must_use]
    pub fn with_details(mut self, details: Value) -> Self {
        self.details = Some(details);
        self
    }

    /// Adds `Retry-After`.
    #[must_use]
    pub const fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// Keeps the cause for the log.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The code.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        self.code
    }

    /// Whether it was caused by a row that is there already.
    #[must_use]
    pub fn is_duplicate(&self) -> bool {
        let cause = self.source.as_deref().and_then(|source| source.downcast_ref::<crate::db::DbError>());
        matches!(cause, Some(crate::db::DbError::UniqueViolation(_)))
    }

    /// The message that the caller is told.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The chain of causes, outermost first, for the log.
    #[must_use]
    pub fn chain(&self) -> String {
        let mut chain = String::new();
        let mut next: Option<&(dyn std::error::Error + 'static)> =
            self.source.as_deref().map(|source| source as &(dyn std::error::Error + 'static));
        while let Some(error) = next {
            if !chain.is_empty() {
                chain.push_str(": ");
            }
            chain.push_str(&error.to_string());
            next = error.source();
        }
        chain
    }

    /// The JSON body.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut error = json!({ "code": self.code.as_str(), "message": self.message });
        if let (Some(details), Some(object)) = (&self.details, error.as_object_mut()) {
            object.insert("details".to_owned(), details.clone());
        }
        json!({ "error": error })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn std::error::Error + 'static))
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        if self.code.status().is_server_error() {
            // The access log's span carries the request id and the route.
            tracing::error!(code = self.code.as_str(), error = %self.chain(), "{}", self.message);
        }
        let mut response = (self.code.status(), self.to_json().to_string()).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(seconds) = self.retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            if self.code == ErrorCode::RateLimited {
                response.headers_mut().insert("ratelimit-remaining", HeaderValue::from(0));
                response.headers_mut().insert("ratelimit-reset", HeaderValue::from(seconds));
            }
        }
        response
    }
}

impl From<crate::db::DbError> for Error {
    fn from(error: crate::db::DbError) -> Self {
        match error {
            crate::db::DbError::Unavailable(source) => {
                Self::unavailable("the database cannot be reached or is full; try again")
                    .retry_after(2)
                    .caused_by(source)
            }
            other => Self::internal(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_never_see_causes() {
        let error = Error::internal("select password from users");
        assert!(!error.to_json().to_string().contains("select"));
        assert_eq!(error.chain(), "select password from users");
    }

    #[test]
    fn fields_are_collected() {
        let error = Error::invalid_fields([("name".into(), "must not be empty".into())]);
        assert_eq!(error.to_json()["error"]["details"]["fields"]["name"][0], "must not be empty");
        assert_eq!(error.code().status(), 422);
    }
}
