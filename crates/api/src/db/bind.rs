//! Which values can be bound and which rows can be read: those that both drivers understand.

use std::ops::{Deref, DerefMut};
use std::str::FromStr;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{Database, Decode, Encode, FromRow, Postgres, Sqlite, Type};

/// A value that can be bound on both engines. Owned, so that statements carry no lifetimes; ids are bound as
/// `id.to_string()`.
pub trait Bind:
    Send + 'static + for<'q> Encode<'q, Sqlite> + Type<Sqlite> + for<'q> Encode<'q, Postgres> + Type<Postgres>
{
}

impl<T> Bind for T where
    T: Send + 'static + for<'q> Encode<'q, Sqlite> + Type<Sqlite> + for<'q> Encode<'q, Postgres> + Type<Postgres>
{
}

/// A row that can be read from both engines; `#[derive(sqlx::FromRow)]` makes one. Ids are read with
/// `#[sqlx(try_from = "String")]`.
pub trait Record: Send + Unpin + for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> {}

impl<T> Record for T where T: Send + Unpin + for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> {}

/// A value kept as JSON in a text column.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct JsonText<T>(pub T);

impl<T> Deref for JsonText<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for JsonText<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T, D: Database> Type<D> for JsonText<T>
where
    String: Type<D>,
{
    fn type_info() -> D::TypeInfo {
        <String as Type<D>>::type_info()
    }

    fn compatible(ty: &D::TypeInfo) -> bool {
        <String as Type<D>>::compatible(ty)
    }
}

impl<'q, T: Serialize, D: Database> Encode<'q, D> for JsonText<T>
where
    String: Encode<'q, D>,
{
    fn encode_by_ref(&self, buffer: &mut <D as Database>::ArgumentBuffer) -> Result<IsNull, BoxDynError> {
        <String as Encode<'q, D>>::encode(serde_json::to_string(&self.0)?, buffer)
    }
}

impl<'r, T: DeserializeOwned, D: Database> Decode<'r, D> for JsonText<T>
where
    &'r str: Decode<'r, D>,
{
    fn decode(value: <D as Database>::ValueRef<'r>) -> Result<Self, BoxDynError> {
        Ok(Self(serde_json::from_str(<&str as Decode<'r, D>>::decode(value)?)?))
    }
}

/// An id in a text column that may be null; others are read with `#[sqlx(try_from = "String")]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdText<T>(pub T);

impl<T, D: Database> Type<D> for IdText<T>
where
    String: Type<D>,
{
    fn type_info() -> D::TypeInfo {
        <String as Type<D>>::type_info()
    }

    fn compatible(ty: &D::TypeInfo) -> bool {
        <String as Type<D>>::compatible(ty)
    }
}

impl<'q, T: ToString, D: Database> Encode<'q, D> for IdText<T>
where
    String: Encode<'q, D>,
{
    fn encode_by_ref(&self, buffer: &mut <D as Database>::ArgumentBuffer) -> Result<IsNull, BoxDynError> {
        <String as Encode<'q, D>>::encode(self.0.to_string(), buffer)
    }
}

impl<'r, T, D: Database> Decode<'r, D> for IdText<T>
where
    T: FromStr<Err: Into<BoxDynError>>,
    &'r str: Decode<'r, D>,
{
    fn decode(value: <D as Database>::ValueRef<'r>) -> Result<Self, BoxDynError> {
        <&str as Decode<'r, D>>::decode(value)?.parse().map(Self).map_err(Into::into)
    }
}
