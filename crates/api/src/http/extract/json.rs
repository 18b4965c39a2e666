//! JSON bodies, in and out.

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::error::Category;

use super::problem;
use crate::error::{Error, ErrorCode, Result};
use crate::http::body;

/// A JSON body: as an argument the parsed request, as an answer the value to send.
#[derive(Debug, Clone, Copy, Default)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Error;

    async fn from_request(request: Request, _state: &S) -> Result<Self> {
        let (parts, content) = request.into_parts();
        require_json(&parts.headers)?;
        let bytes = body::read(&parts.headers, content, body::MAX_BODY_BYTES).await?;
        parse_json(&bytes).map(Self)
    }
}

/// An answer that is JSON already.
#[derive(Debug, Clone)]
pub struct JsonText(pub Bytes);

impl IntoResponse for JsonText {
    fn into_response(self) -> Response {
        let content_type = HeaderValue::from_static("application/json");
        ([(header::CONTENT_TYPE, content_type)], Body::from(self.0)).into_response()
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(text) => JsonText(text.into()).into_response(),
            Err(error) => Error::internal(error).into_response(),
        }
    }
}

/// Parses a JSON text strictly.
///
/// # Errors
/// 400 when it is not JSON; 422 with `details.fields` when a field is unknown, missing or of the wrong type, or a text
/// holds a NUL.
pub fn parse_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    refuse_nul(bytes)?;
    require_object(bytes)?;
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let mut track = serde_path_to_error::Track::new();
    let mut unknown = Vec::new();
    let tracked = serde_path_to_error::Deserializer::new(&mut json, &mut track);
    let parsed = serde_ignored::deserialize(tracked, |path| {
        if unknown.len() < problem::MAX_LISTED {
            unknown.push(problem::shorten(path));
        }
    });
    let value: T = parsed.map_err(|error| explain(&track.path(), error))?;
    json.end().map_err(malformed)?;
    if unknown.is_empty() {
        return Ok(value);
    }
    Err(Error::invalid_fields(unknown.into_iter().map(|field| (field, problem::unknown()))))
}

/// Every body of the API is an object. Without this a list would do as well: its items in the order of the fields.
fn require_object(bytes: &[u8]) -> Result<()> {
    match bytes.trim_ascii_start().first() {
        Some(b'[' | b'"' | b'0'..=b'9' | b'-' | b't' | b'f' | b'n') => {
            serde_json::from_slice::<serde::de::IgnoredAny>(bytes).map_err(malformed)?;
            Err(Error::invalid_field("body", "must be given as an object"))
        }
        // An object, or no JSON at all, which the parser says better.
        _ => Ok(()),
    }
}

/// 415 unless the body says that it is JSON.
pub(crate) fn require_json(headers: &HeaderMap) -> Result<()> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    let message = "the body must be JSON, and the header Content-Type must say application/json";
    Err(Error::new(ErrorCode::UnsupportedMediaType, message))
}

fn explain(path: &serde_path_to_error::Path, error: serde_json::Error) -> Error {
    match error.classify() {
        Category::Data => {
            let (field, problem) = problem::of_value(path, &error.to_string());
            Error::invalid_field(&field, problem)
        }
        Category::Syntax | Category::Eof | Category::Io => malformed(error),
    }
}

fn malformed(error: serde_json::Error) -> Error {
    Error::bad_request(format!("the body is not JSON: problem at line {}, column {}", error.line(), error.column()))
        .caused_by(error)
}

/// A NUL can only come as an escape; without that the whole check is one search.
fn refuse_nul(bytes: &[u8]) -> Result<()> {
    if !bytes.windows(6).any(|window| window == br"\u0000") {
        return Ok(());
    }
    let mut found = Vec::new();
    if let Ok(value) = serde_json::from_slice::<Value>(bytes) {
        find_nul(&value, "", &mut found);
    }
    match found.pop() {
        Some(field) => Err(Error::invalid_field(&field, "must not contain a NUL character")),
        // An escaped backslash before `u0000`, or a text that is no JSON at all, which the parser will say.
        None => Ok(()),
    }
}

fn find_nul(value: &Value, path: &str, found: &mut Vec<String>) {
    let within =
        |name: &dyn std::fmt::Display| if path.is_empty() { name.to_string() } else { format!("{path}.{name}") };
    match value {
        Value::String(text) if text.contains('\0') => {
            found.push(problem::shorten(if path.is_empty() { "body" } else { path }));
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                find_nul(item, &within(&index), found);
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                if name.contains('\0') {
                    found.push(problem::shorten(within(&name.replace('\0', "␀"))));
                }
                find_nul(field, &within(name), found);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Form {
        name: String,
        count: Option<u32>,
        inner: Option<Inner>,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    struct Inner {
        kind: Kind,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "snake_case")]
    enum Kind {
        Plain,
    }

    fn check(text: &str, code: ErrorCode, field: &str, problem: &str) {
        let error = parse_json::<Form>(text.as_bytes()).unwrap_err();
        assert_eq!(error.code(), code, "{text}: {error}");
        if code == ErrorCode::ValidationFailed {
            let json = error.to_json();
            assert_eq!(json["error"]["details"]["fields"][field][0], problem, "{text}: {json}");
        }
    }

    #[test]
    fn a_list_is_no_object() {
        for text in [r#"["a",1,null]"#, "null", "7", "\"a\"", " [] "] {
            let error = parse_json::<Form>(text.as_bytes()).unwrap_err();
            assert_eq!(error.code(), ErrorCode::ValidationFailed, "{text}: {error}");
        }
        assert_eq!(parse_json::<Form>(b"[1,").unwrap_err().code(), ErrorCode::BadRequest);
        assert_eq!(parse_json::<Form>(b"").unwrap_err().code(), ErrorCode::BadRequest);
    }

    #[test]
    fn bad_bodies_name_their_field() {
        use ErrorCode::{BadRequest, ValidationFailed};
        check(r#"{"name":"a","nmae":"b"}"#, ValidationFailed, "nmae", "is not known here");
        check(r#"{"name":"a","inner":{"kind":"plain","x":1}}"#, ValidationFailed, "inner.x", "is not known here");
        check(r"{}", ValidationFailed, "name", "is required");
        check(r#"{"name":"a","inner":{}}"#, ValidationFailed, "inner.kind", "is required");
        check(r#"{"name":"a","name":"b"}"#, ValidationFailed, "name", "is given twice");
        check(r#"{"name":7}"#, ValidationFailed, "name", "must be given as a string");
        check(
            r#"{"name":"a","count":-1}"#,
            ValidationFailed,
            "count",
            "must be given as a whole number from 0 to 4294967295",
        );
        check(r#"{"name":"a","inner":{"kind":"fancy"}}"#, ValidationFailed, "inner.kind", "must be `plain`");
        check(r#"{"name":"a\u0000b"}"#, ValidationFailed, "name", "must not contain a NUL character");
        check(r#"["name"]"#, ValidationFailed, "body", "must be given as an object");
        for text in ["", "{", "nonsense", r#"{"name":"a"} trailing"#, "\u{feff}{}"] {
            check(text, BadRequest, "", "");
        }
        let deep = "[".repeat(100_000);
        assert!(parse_json::<Value>(deep.as_bytes()).is_err());
    }

    #[test]
    fn an_escaped_backslash_is_no_nul() {
        let form: Form = parse_json(br#"{"name":"\\u0000"}"#).unwrap();
        assert_eq!(form.name, r"\u0000");
    }

    #[test]
    fn values_are_not_echoed() {
        let error = parse_json::<Form>(br#"{"name":{"secret":"hunter2"}}"#).unwrap_err();
        assert!(!error.to_json().to_string().contains("hunter2"));
    }
}
