//! An HTTP/1.1 request, and what is expected of its answer.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{is_default, is_yes, yes};
use crate::hex::Hex;

/// An HTTP/1.1 request and what is expected of its answer.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpProbe {
    /// `http://` or `https://`.
    pub url: String,
    /// Its method.
    #[serde(default, skip_serializing_if = "is_default")]
    pub method: Method,
    /// Headers besides those of the probe itself. They go to the first origin only, not where redirects lead.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<HeaderField>,
    /// Body of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Whether redirects are followed.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub follow: bool,
    /// Whether a certificate that does not verify is a failure. If not it is told all the same.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub verify_tls: bool,
    /// What is expected.
    #[serde(default, skip_serializing_if = "is_default")]
    pub expect: HttpExpect,
    /// SHA-256 of the leaf whose chain the asker has already: it is not sent again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known_leaf: Option<Hex<32>>,
}

// Not derived: values of headers and bodies are often credentials and must not get into a log line.
impl fmt::Debug for HttpProbe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url: _, method, headers, body, follow, verify_tls, expect, known_leaf } = self;
        f.debug_struct("HttpProbe")
            .field("method", method)
            .field("headers", &headers.iter().map(|header| &header.name).collect::<Vec<_>>())
            .field("body_bytes", &body.as_ref().map(String::len))
            .field("follow", follow)
            .field("verify_tls", verify_tls)
            .field("expect", expect)
            .field("known_leaf", known_leaf)
            .finish_non_exhaustive()
    }
}

/// Methods of requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// `GET`.
    #[default]
    Get,
    /// `HEAD`; no assertion can need a body then.
    Head,
    /// `POST`.
    Post,
    /// `PUT`.
    Put,
    /// `PATCH`.
    Patch,
    /// `DELETE`.
    Delete,
    /// `OPTIONS`.
    Options,
}

impl Method {
    /// As it stands in a request.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Options => "OPTIONS",
        }
    }
}

/// One header of a request.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeaderField {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// Whether the value is a secret: never sent over a connection whose other end is not verified, never shown.
    #[serde(default, skip_serializing_if = "is_default")]
    pub secret: bool,
}

impl fmt::Debug for HeaderField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeaderField").field("name", &self.name).field("secret", &self.secret).finish_non_exhaustive()
    }
}

/// What is expected of an answer. All of it must hold; the first that does not, in the order of the fields, is told.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpExpect {
    /// Statuses that are fine; 200 to 299 where none is named.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub status: Vec<StatusRange>,
    /// A text that the body contains, byte by byte.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contains: Option<String>,
    /// A text that the body does not contain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lacks: Option<String>,
    /// Values within a body that is JSON.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub json: Vec<JsonCheck>,
    /// Longest time for all of it, milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_latency_ms: Option<u32>,
}

impl HttpExpect {
    /// Whether any of it can only be judged with the whole body.
    #[must_use]
    pub fn needs_body(&self) -> bool {
        self.contains.is_some() || self.lacks.is_some() || !self.json.is_empty()
    }
}

/// Statuses from one to another, both included; on the wire `"200-299"` or `"204"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StatusRange {
    from: u16,
    to: u16,
}

impl StatusRange {
    /// What is fine when nothing is said.
    pub const SUCCESS: Self = Self { from: 200, to: 299 };

    /// Those from `from` to `to`; none when they are no statuses, or in the wrong order.
    #[must_use]
    pub fn new(from: u16, to: u16) -> Option<Self> {
        (from <= to && from >= 100 && to <= 999).then_some(Self { from, to })
    }

    /// Whether a status is one of them.
    #[must_use]
    pub const fn holds(self, status: u16) -> bool {
        self.from <= status && status <= self.to
    }
}

impl TryFrom<String> for StatusRange {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let (from, to) = text.split_once('-').unwrap_or((&text, &text));
        let status = |digits: &str| {
            let plain = digits.len() == 3 && digits.bytes().all(|byte| byte.is_ascii_digit());
            if plain { digits.parse().ok() } else { None }
        };
        let range = status(from).zip(status(to)).and_then(|(from, to)| Self::new(from, to));
        range.ok_or("expected a status such as 204, or a range such as 200-299")
    }
}

impl fmt::Display for StatusRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to } = self;
        if from == to { write!(f, "{from}") } else { write!(f, "{from}-{to}") }
    }
}

impl From<StatusRange> for String {
    fn from(range: StatusRange) -> Self {
        range.to_string()
    }
}

/// One assertion about a body that is JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JsonCheck {
    /// Where, as `$.a.b[0]["c"]`.
    pub path: String,
    /// How what is there is judged.
    pub op: JsonOp,
    /// What it is compared with. `exists` needs none: `false` turns it round.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub value: Value,
}

/// How a value is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JsonOp {
    /// It is there and equal; numbers by value, 1 is 1.0.
    Eq,
    /// It is not there, or not equal.
    Ne,
    /// It is a number and less.
    Lt,
    /// It is a number and greater.
    Gt,
    /// It is there, be it null.
    Exists,
}
