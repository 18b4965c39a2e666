//! Query parameters.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::de::{self, DeserializeOwned};
use serde::{Deserialize, Deserializer};

use super::problem;
use crate::error::{Error, Result};

/// The query as `T`. A parameter that `T` does not know is a 400, as is a value that does not fit. A repeated
/// parameter fills a `Vec`, with `#[serde(default)]`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self> {
        parse(parts.uri.query().unwrap_or_default()).map(Self)
    }
}

/// Several values in one parameter: `?status=online,offline`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommaList<T>(pub Vec<T>);

impl<T> Default for CommaList<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: FromStr<Err: fmt::Display>> Deserialize<'de> for CommaList<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<T>(PhantomData<T>);
        impl<T: FromStr<Err: fmt::Display>> de::Visitor<'_> for Visitor<T> {
            type Value = CommaList<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("values separated by commas")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<CommaList<T>, E> {
                let items = text.split(',').filter(|item| !item.is_empty());
                Ok(CommaList(items.map(|item| item.parse().map_err(E::custom)).collect::<Result<_, E>>()?))
            }
        }
        deserializer.deserialize_str(Visitor(PhantomData))
    }
}

fn parse<T: DeserializeOwned>(query: &str) -> Result<T> {
    if query.contains("%00") || query.contains('\0') {
        return Err(Error::bad_request("query parameters must not contain a NUL character"));
    }
    let pairs = serde_html_form::Deserializer::from_bytes(query.as_bytes());
    let mut track = serde_path_to_error::Track::new();
    let mut unknown = Vec::new();
    let tracked = serde_path_to_error::Deserializer::new(pairs, &mut track);
    let parsed = serde_ignored::deserialize(tracked, |path| {
        if unknown.len() < problem::MAX_LISTED {
            unknown.push(problem::shorten(path));
        }
    });
    let value = parsed.map_err(|error| {
        let (field, problem) = problem::of_value(&track.path(), &error.to_string());
        Error::bad_request(format!("the query parameter {field} {problem}"))
    })?;
    if unknown.is_empty() {
        return Ok(value);
    }
    let noun = if unknown.len() == 1 { "query parameter" } else { "query parameters" };
    Err(Error::bad_request(format!("unknown {noun} {}", unknown.join(", "))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::page::Limit;

    #[derive(Debug, Deserialize)]
    struct Filter {
        #[serde(default)]
        limit: Limit,
        #[serde(default)]
        label: Vec<String>,
        #[serde(default)]
        port: CommaList<u16>,
        since: Option<i64>,
        follow: Option<bool>,
    }

    #[test]
    fn parameters_are_typed_and_repeat() {
        let filter: Filter = parse("label=a:b&label=c%20d&limit=7&port=1,2&since=-5&follow=true").unwrap();
        assert_eq!((filter.limit.get(), filter.since, filter.follow), (7, Some(-5), Some(true)));
        assert_eq!(filter.label, ["a:b", "c d"]);
        assert_eq!(filter.port.0, [1, 2]);
        let filter: Filter = parse("").unwrap();
        assert_eq!((filter.limit.get(), filter.since), (50, None));
    }

    #[test]
    fn bad_parameters_are_named() {
        for (query, named) in [
            ("limt=7", "limt"),
            ("limit=0", "limit"),
            ("limit=201", "limit"),
            ("limit=many", "limit"),
            ("port=1,x", "port"),
            ("since=9999999999999999999", "since"),
            ("follow=perhaps", "follow"),
            ("since=1&since=2", "since"),
            ("label=%00", "NUL"),
        ] {
            let error = parse::<Filter>(query).unwrap_err();
            assert_eq!(error.code().as_str(), "bad_request", "{query}");
            assert!(error.message().contains(named), "{query}: {error}");
        }
    }
}
