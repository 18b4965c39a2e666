//! Two engines behind one connection: every statement is one SQL text that runs on SQLite and on PostgreSQL.
//!
//! [`Db`] holds the pools. [`Db::read`] lends a [`Session`], [`Db::write`] a [`Tx`]; both give a [`Conn`], and store
//! functions take `&mut Conn`, so the same function serves inside and outside a transaction. Texts are written
//! `sql!("…")`, which registers them: a test prepares every one on both engines.
//!
//! Rules of portable SQL: `$1` placeholders, text ids, BIGINT milliseconds, real booleans, JSON as text, no `now()`, no
//! `like`, sums cast to bigint.

mod bind;
mod conn;
mod error;
mod memo;
mod migrate;
mod pool;
mod sql;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
mod versions;

pub use bind::{Bind, IdText, JsonText, Record};
pub use conn::{Conn, Stmt, with_list};
pub use error::DbError;
#[doc(hidden)]
pub use linkme;
pub use memo::{Memo, Version};
pub use migrate::{MIGRATIONS, Store};
pub use pool::{Db, DbOptions, Engine, Session, Tx};
pub use sql::{SQL_TEXTS, SqlText};
pub use versions::Table;
