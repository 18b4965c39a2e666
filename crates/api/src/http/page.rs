//! Lists by keyset: `?limit=50&cursor=…` → `{"data": […], "next_cursor": …}`.
//!
//! A store asks for one row more than the limit; [`cut`] takes it away again and makes a cursor of the last row shown.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::de::{self, DeserializeOwned};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::openapi::{ObjectBuilder, RefOr, Type, schema::Schema};
use utoipa::{IntoParams, PartialSchema, ToSchema};

use crate::error::{Error, Result};

const DEFAULT_LIMIT: u16 = 50;
const MAX_LIMIT: u16 = 200;
const MAX_CURSOR: usize = 1024;

/// The query of a list without filters. A list with filters has fields of the same types and names of its own.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// How many items at most, 1 to 200.
    #[serde(default)]
    #[param(required = false, inline)]
    pub limit: Limit,
    /// Where to go on: `next_cursor` of the page before.
    pub cursor: Option<Cursor>,
}

/// One page of a list.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Page<T> {
    /// The items.
    pub data: Vec<T>,
    /// What to send as `cursor` for the next page; null on the last one.
    #[schema(required)]
    pub next_cursor: Option<Cursor>,
}

/// How many items a page holds: 1 to 200, 50 unless told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Limit(u16);

impl Limit {
    /// The number.
    #[must_use]
    pub fn get(self) -> usize {
        usize::from(self.0)
    }

    /// One more than the number, to bind in `limit $n`: the extra row tells whether there is a next page.
    #[must_use]
    pub fn with_next(self) -> i64 {
        i64::from(self.0) + 1
    }
}

impl Default for Limit {
    fn default() -> Self {
        Self(DEFAULT_LIMIT)
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let limit = u16::deserialize(deserializer).map_err(|_| de::Error::custom("must be a number from 1 to 200"))?;
        if (1..=MAX_LIMIT).contains(&limit) {
            return Ok(Self(limit));
        }
        Err(de::Error::custom("must be a number from 1 to 200"))
    }
}

impl PartialSchema for Limit {
    fn schema() -> RefOr<Schema> {
        let limit = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)).maximum(Some(MAX_LIMIT));
        limit.default(Some(DEFAULT_LIMIT.into())).into()
    }
}

impl ToSchema for Limit {}

/// Where a page ends: the sort key of its last row, opaque to callers. It grants nothing; a made-up cursor only moves
/// the start of a list that the caller may see anyway.
#[derive(Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Cursor(String);

impl Cursor {
    /// A cursor at `key`.
    ///
    /// # Errors
    /// When the key cannot be written as JSON.
    pub fn at(key: &impl Serialize) -> Result<Self> {
        let json = serde_json::to_vec(key).map_err(Error::internal)?;
        Ok(Self(BASE64_URL_SAFE_NO_PAD.encode(json)))
    }

    /// The key that [`Cursor::at`] was given.
    ///
    /// # Errors
    /// 400 when it is not a cursor of this list.
    pub fn key<K: DeserializeOwned>(&self) -> Result<K> {
        let json = BASE64_URL_SAFE_NO_PAD.decode(&self.0).ok();
        let key = json.and_then(|json| serde_json::from_slice(&json).ok());
        key.ok_or_else(|| Error::bad_request("the cursor is not one of this list; start without it"))
    }
}

impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Cursor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.len() > MAX_CURSOR {
            return Err(de::Error::custom("is not a cursor of this list"));
        }
        Ok(Self(text))
    }
}

impl PartialSchema for Cursor {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::String).into()
    }
}

impl ToSchema for Cursor {}

/// Takes the extra row away and says where the next page starts.
///
/// # Errors
/// When the key cannot be written.
pub fn cut<R, K: Serialize>(
    mut rows: Vec<R>,
    limit: Limit,
    key: impl FnOnce(&R) -> K,
) -> Result<(Vec<R>, Option<Cursor>)> {
    if rows.len() <= limit.get() {
        return Ok((rows, None));
    }
    rows.truncate(limit.get());
    let next = rows.last().map(|row| Cursor::at(&key(row))).transpose()?;
    Ok((rows, next))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_end_where_the_next_begins() {
        let limit = Limit(2);
        let (rows, next) = cut(vec![1, 2, 3], limit, |row| (*row, "id")).unwrap();
        assert_eq!(rows, [1, 2]);
        assert_eq!(next.unwrap().key::<(i32, String)>().unwrap(), (2, "id".to_owned()));
        let (rows, next) = cut(vec![1, 2], limit, |row| *row).unwrap();
        assert_eq!((rows.len(), next), (2, None));
    }

    #[test]
    fn a_foreign_cursor_is_a_bad_request() {
        for text in ["", "nonsense", "é", "W10"] {
            let error = Cursor(text.to_owned()).key::<(i64, String)>().unwrap_err();
            assert_eq!(error.code().as_str(), "bad_request", "{text}");
        }
    }
}
