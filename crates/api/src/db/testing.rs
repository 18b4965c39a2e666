//! Databases for tests: SQLite always, PostgreSQL where `ROADSTEAD_TEST_POSTGRES` names one.

use std::sync::atomic::{AtomicU32, Ordering};

use super::migrate::Store;
use super::pool::{Db, DbOptions};
use crate::secret::Secret;
use sqlx::{AssertSqlSafe, Connection as _};

/// An empty database that lives as long as this value.
#[derive(Debug)]
pub struct TestDb {
    /// Rows.
    pub main: Db,
    /// Samples and logs.
    pub history: Db,
    /// Options that open the same database again.
    pub options: DbOptions,
    _dir: tempfile::TempDir,
}

/// A fresh SQLite database.
///
/// # Panics
/// When it cannot be made: the test cannot go on.
#[expect(clippy::expect_used, reason = "a test without its database has nothing to test")]
pub async fn sqlite() -> TestDb {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let options = DbOptions::Sqlite(dir.path().join("roadstead.db"));
    let main = Db::open(&options, Store::Main).await.expect("an empty SQLite database");
    let history = DbOptions::Sqlite(dir.path().join("history.db"));
    let history = Db::open(&history, Store::History).await.expect("an empty SQLite history");
    TestDb { main, history, options, _dir: dir }
}

/// A fresh database on the PostgreSQL server of `ROADSTEAD_TEST_POSTGRES`, `None` where there is no server.
///
/// # Panics
/// When the server is named but cannot be used.
#[expect(clippy::expect_used, reason = "a test without its database has nothing to test")]
#[expect(clippy::disallowed_methods, reason = "databases are created outside of any store")]
pub async fn postgres() -> Option<TestDb> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let server = std::env::var("ROADSTEAD_TEST_POSTGRES").ok()?;
    let name = format!("t_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let mut admin = sqlx::PgConnection::connect(&server).await.expect("the PostgreSQL test server");
    let create = format!("create database {name} template template0 encoding 'UTF8' locale 'C.UTF-8'");
    sqlx::query(AssertSqlSafe(create)).execute(&mut admin).await.expect("a new test database");
    let (base, _) = server.rsplit_once('/').expect("a database in ROADSTEAD_TEST_POSTGRES");
    let options = DbOptions::Postgres(Secret::new(format!("{base}/{name}")));
    let main = Db::open(&options, Store::Main).await.expect("an empty PostgreSQL database");
    let history = main.clone();
    Some(TestDb { main, history, options, _dir: tempfile::tempdir().expect("a temporary directory") })
}

/// Every engine that is here: SQLite, and PostgreSQL in the full run.
pub async fn both() -> Vec<TestDb> {
    let mut databases = vec![sqlite().await];
    databases.extend(postgres().await);
    databases
}
