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
    dir: tempfile::TempDir,
}

/// A fresh SQLite database.
///
/// # Panics
/// When it cannot be made: the test cannot go on.
#[expect(clippy::expect_used, reason = "a test without its database has nothing to test")]
pub async fn sqlite() -> TestDb {
    sqlite_in(tempfile::tempdir().expect("a temporary directory")).await
}

/// The SQLite database of a directory, made when missing.
#[expect(clippy::expect_used, reason = "a test without its database has nothing to test")]
async fn sqlite_in(dir: tempfile::TempDir) -> TestDb {
    let options = DbOptions::Sqlite(dir.path().join("roadstead.db"));
    let main = Db::open(&options, Store::Main).await.expect("an empty SQLite database");
    let history = DbOptions::Sqlite(dir.path().join("history.db"));
    let history = Db::open(&history, Store::History).await.expect("an empty SQLite history");
    TestDb { main, history, options, dir }
}

/// The files of a SQLite database at one moment.
#[derive(Debug)]
pub struct Backup(tempfile::TempDir);

impl Backup {
    /// Everything in its files.
    #[cfg(test)]
    #[expect(clippy::disallowed_methods, reason = "the files of a test's own database")]
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let files = self.0.path().read_dir().unwrap().map(|entry| std::fs::read(entry.unwrap().path()).unwrap());
        files.flatten().collect()
    }
}

impl TestDb {
    /// Copies the files of a SQLite database while nobody writes to it.
    ///
    /// # Panics
    /// When they cannot be copied.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test without its backup has nothing to test")]
    pub fn backup(&self) -> Backup {
        let dir = tempfile::tempdir().expect("a temporary directory");
        for entry in self.dir.path().read_dir().expect("the directory of a database") {
            let entry = entry.expect("a file of a database");
            let name = entry.file_name();
            // What is shared between processes is made anew by the first that opens the copy.
            if !name.to_string_lossy().ends_with("-shm") {
                std::fs::copy(entry.path(), dir.path().join(name)).expect("a copy");
            }
        }
        Backup(dir)
    }

    /// The database that a backup holds.
    pub async fn restored(backup: Backup) -> Self {
        sqlite_in(backup.0).await
    }
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
    Some(TestDb { main, history, options, dir: tempfile::tempdir().expect("a temporary directory") })
}

/// Every engine that is here: SQLite, and PostgreSQL in the full run.
pub async fn both() -> Vec<TestDb> {
    let mut databases = vec![sqlite().await];
    databases.extend(postgres().await);
    databases
}
