//! One connection and one statement, each of either engine.

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::sqlite::SqliteArguments;
use sqlx::{AssertSqlSafe, PgConnection, Postgres, Sqlite, SqliteConnection};

use super::bind::{Bind, Record};
use super::error::DbError;
use super::versions::Written;

/// A borrowed connection, inside or outside a transaction.
#[derive(Debug)]
pub struct Conn<'c> {
    engine: EngineConn<'c>,
    written: &'c mut Written,
}

/// A connection of either engine.
#[derive(Debug)]
pub(super) enum EngineConn<'c> {
    /// SQLite.
    Sqlite(&'c mut SqliteConnection),
    /// PostgreSQL.
    Postgres(&'c mut PgConnection),
}

impl<'c> Conn<'c> {
    /// Notes in `written` which tables its statements write.
    pub(super) const fn new(engine: EngineConn<'c>, written: &'c mut Written) -> Self {
        Self { engine, written }
    }

    /// The connection itself.
    #[cfg(test)]
    pub(super) fn into_engine(self) -> EngineConn<'c> {
        self.engine
    }

    /// Starts a statement from a text made by `sql!`.
    #[expect(clippy::disallowed_methods, reason = "this is the replacement that the ban names")]
    pub fn query(&mut self, sql: &'static str) -> Stmt<'_> {
        self.written.add(Written::by(sql));
        match &mut self.engine {
            EngineConn::Sqlite(conn) => Stmt::Sqlite(conn, sqlx::query(sql)),
            EngineConn::Postgres(conn) => Stmt::Postgres(conn, sqlx::query(sql)),
        }
    }

    /// Starts a statement from a text made by `sql!` that holds `{in}`: the list becomes placeholders `$first…` for
    /// `count` values, which the caller binds there in order. An empty list matches nothing.
    pub fn query_in(&mut self, sql: &'static str, first: usize, count: usize) -> Stmt<'_> {
        self.query_built(with_list(sql, first, count))
    }

    /// Starts an `insert` of `count` rows from a text made by `sql!` that ends with one row of `columns` placeholders;
    /// the caller binds row after row.
    pub fn query_rows(&mut self, sql: &'static str, columns: usize, count: usize) -> Stmt<'_> {
        let mut text = sql.to_owned();
        for row in 1..count {
            let first = row * columns + 1;
            let places = (first..first + columns).map(|index| format!("${index}")).collect::<Vec<_>>().join(", ");
            text.push_str(", (");
            text.push_str(&places);
            text.push(')');
        }
        self.query_built(text)
    }

    /// Starts a statement whose text was assembled from registered parts and placeholders only, never from input.
    #[expect(clippy::disallowed_methods, reason = "the door for texts that placeholders were generated into")]
    pub fn query_built(&mut self, sql: String) -> Stmt<'_> {
        self.written.add(Written::by(&sql));
        match &mut self.engine {
            EngineConn::Sqlite(conn) => Stmt::Sqlite(conn, sqlx::query(AssertSqlSafe(sql))),
            EngineConn::Postgres(conn) => Stmt::Postgres(conn, sqlx::query(AssertSqlSafe(sql))),
        }
    }
}

/// A text made by `sql!` with placeholders `$first…` for `count` values in place of `{in}`.
#[must_use]
pub fn with_list(sql: &'static str, first: usize, count: usize) -> String {
    let list = if count == 0 {
        "null".to_owned()
    } else {
        (first..first + count).map(|index| format!("${index}")).collect::<Vec<_>>().join(", ")
    };
    sql.replace("{in}", &list)
}

/// A statement with its values.
#[expect(missing_debug_implementations, reason = "bound values may be secrets")]
pub enum Stmt<'c> {
    /// SQLite.
    Sqlite(&'c mut SqliteConnection, Query<'c, Sqlite, SqliteArguments>),
    /// PostgreSQL.
    Postgres(&'c mut PgConnection, Query<'c, Postgres, PgArguments>),
}

impl<'c> Stmt<'c> {
    /// Binds the next placeholder.
    #[must_use]
    pub fn bind<T: Bind>(self, value: T) -> Self {
        match self {
            Stmt::Sqlite(conn, query) => Stmt::Sqlite(conn, query.bind(value)),
            Stmt::Postgres(conn, query) => Stmt::Postgres(conn, query.bind(value)),
        }
    }

    /// Binds one placeholder after the other.
    #[must_use]
    pub fn bind_all<T: Bind>(self, values: impl IntoIterator<Item = T>) -> Self {
        values.into_iter().fold(self, Stmt::bind)
    }

    /// Runs it; the number of rows changed.
    pub fn execute(self) -> BoxFuture<'c, Result<u64, DbError>> {
        match self {
            Stmt::Sqlite(conn, query) => {
                async move { Ok(query.execute(conn).await.map(|done| done.rows_affected())?) }.boxed()
            }
            Stmt::Postgres(conn, query) => {
                async move { Ok(query.execute(conn).await.map(|done| done.rows_affected())?) }.boxed()
            }
        }
    }

    /// The rows one by one. Borrows the connection: drop it before the next statement, and never hold it while
    /// waiting for a client.
    pub fn fetch<T: Record + 'c>(self) -> BoxStream<'c, Result<T, DbError>> {
        match self {
            Stmt::Sqlite(conn, query) => {
                query.fetch(conn).and_then(|row| async move { T::from_row(&row) }).map_err(DbError::from).boxed()
            }
            Stmt::Postgres(conn, query) => {
                query.fetch(conn).and_then(|row| async move { T::from_row(&row) }).map_err(DbError::from).boxed()
            }
        }
    }

    /// All rows. For lists that a `limit` bounds.
    pub fn fetch_all<T: Record + 'c>(self) -> BoxFuture<'c, Result<Vec<T>, DbError>> {
        self.fetch().try_collect().boxed()
    }

    /// The first row, if there is one.
    pub fn fetch_optional<T: Record + 'c>(self) -> BoxFuture<'c, Result<Option<T>, DbError>> {
        async move { self.fetch().try_next().await }.boxed()
    }

    /// The only row.
    pub fn fetch_one<T: Record + 'c>(self) -> BoxFuture<'c, Result<T, DbError>> {
        async move { self.fetch().try_next().await?.ok_or(DbError::Other(sqlx::Error::RowNotFound)) }.boxed()
    }
}
