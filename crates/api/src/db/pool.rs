//! Pools, sessions and transactions.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection as _, PgPool, Postgres, SqlStr, Sqlite, SqlitePool, Transaction};

use super::conn::{Conn, EngineConn};
use super::error::DbError;
use super::migrate::{self, Store};
use super::versions::{Table, Versions, Written};

/// How long a request waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
const SQLITE_READERS: u32 = 4;

/// Which engine a [`Db`] talks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// SQLite, one file.
    Sqlite,
    /// PostgreSQL.
    Postgres,
}

/// Where the data lives.
#[derive(Debug, Clone)]
pub enum DbOptions {
    /// A SQLite file, made when missing.
    Sqlite(PathBuf),
    /// A PostgreSQL URL; it may hold a password and is never printed.
    Postgres(crate::secret::Secret),
}

/// An open database. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Db {
    pools: Pools,
    versions: Arc<Versions>,
}

#[derive(Debug, Clone)]
enum Pools {
    Sqlite { readers: SqlitePool, writer: SqlitePool },
    Postgres(PgPool),
}

impl Db {
    /// Opens the database and brings its schema up to date.
    ///
    /// # Errors
    /// When it cannot be opened, or was written by a newer version of the hub.
    pub async fn open(options: &DbOptions, store: Store) -> anyhow::Result<Self> {
        let db = match options {
            DbOptions::Sqlite(path) => Self::open_sqlite(path).await?,
            DbOptions::Postgres(url) => {
                let options = postgres_options(url)?;
                let pool = PgPoolOptions::new().max_connections(16).acquire_timeout(ACQUIRE_TIMEOUT);
                Self::of(Pools::Postgres(pool.connect_with(options).await?))
            }
        };
        match &db.pools {
            Pools::Sqlite { writer, .. } => migrate::run_sqlite(writer, store).await?,
            Pools::Postgres(pool) => migrate::run_postgres(pool).await?,
        }
        Ok(db)
    }

    /// Opens a database that is there, as it is, and writes nothing: neither rows nor its schema. [`Db::write`] fails.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub async fn open_read_only(options: &DbOptions) -> anyhow::Result<Self> {
        match options {
            DbOptions::Sqlite(path) => {
                let options = SqliteConnectOptions::new().filename(path).read_only(true);
                let pool = SqlitePoolOptions::new().max_connections(1).acquire_timeout(ACQUIRE_TIMEOUT);
                let readers = pool.connect_with(options.busy_timeout(ACQUIRE_TIMEOUT)).await?;
                Ok(Self::of(Pools::Sqlite { writer: readers.clone(), readers }))
            }
            DbOptions::Postgres(url) => {
                let options = postgres_options(url)?.options([("default_transaction_read_only", "on")]);
                let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(ACQUIRE_TIMEOUT);
                Ok(Self::of(Pools::Postgres(pool.connect_with(options).await?)))
            }
        }
    }

    fn of(pools: Pools) -> Self {
        Self { pools, versions: Arc::default() }
    }

    /// A number that is another one after this process wrote any of these tables.
    #[must_use]
    pub fn version_of(&self, tables: &[Table]) -> u64 {
        self.versions.of(tables)
    }

    async fn open_sqlite(path: &Path) -> sqlx::Result<Self> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(10));
        // One writer and several readers: SQLite has one write lock, and waiting for it in our own queue is fair.
        // SQLite ends a transaction by itself when the disk is full; sqlx then counts one that is not there and would
        // refuse to begin another for ever. Such a connection is replaced.
        let writer =
            SqlitePoolOptions::new().max_connections(1).acquire_timeout(ACQUIRE_TIMEOUT).before_acquire(|conn, _| {
                let usable = !conn.is_in_transaction();
                async move { Ok(usable) }.boxed()
            });
        // A file does not go away like a server does; asking first would cost every statement a second round trip.
        let writer = writer.test_before_acquire(false).connect_with(options.clone()).await?;
        let readers = SqlitePoolOptions::new().max_connections(SQLITE_READERS).acquire_timeout(ACQUIRE_TIMEOUT);
        let readers = readers.test_before_acquire(false).connect_with(options.read_only(true)).await?;
        Ok(Self::of(Pools::Sqlite { readers, writer }))
    }

    /// The engine behind it.
    #[must_use]
    pub const fn engine(&self) -> Engine {
        match self.pools {
            Pools::Sqlite { .. } => Engine::Sqlite,
            Pools::Postgres(_) => Engine::Postgres,
        }
    }

    /// A connection for reading.
    ///
    /// # Errors
    /// [`DbError::Unavailable`] when none gets free in time.
    pub async fn read(&self) -> Result<Session, DbError> {
        let arm = match &self.pools {
            Pools::Sqlite { readers, .. } => SessionArm::Sqlite(readers.acquire().await?),
            Pools::Postgres(pool) => SessionArm::Postgres(pool.acquire().await?),
        };
        Ok(Session { arm, written: Written::default() })
    }

    /// A transaction for writing. It is rolled back unless [`Tx::commit`] is called.
    ///
    /// # Errors
    /// [`DbError::Unavailable`] when none gets free in time.
    #[expect(clippy::disallowed_methods, reason = "`begin` must not be cancelled half-way, and it ends by itself")]
    pub async fn write(&self) -> Result<Tx, DbError> {
        // A cancelled `begin` leaves a PostgreSQL connection inside a transaction for its next borrower (sqlx 0.9), so
        // waiting for a connection may be cancelled, beginning may not. SQLite's thread undoes what nobody waits for,
        // before it does anything else.
        let joined = |error: tokio::task::JoinError| DbError::Unavailable(sqlx::Error::Io(error.into()));
        let arm = match &self.pools {
            Pools::Sqlite { writer, .. } => {
                let conn = writer.acquire().await?;
                TxArm::Sqlite(Transaction::begin(conn, Some(SqlStr::from_static("BEGIN IMMEDIATE"))).await?)
            }
            Pools::Postgres(pool) => {
                let conn = pool.acquire().await?;
                TxArm::Postgres(tokio::spawn(Transaction::begin(conn, None)).await.map_err(joined)??)
            }
        };
        Ok(Tx { arm, written: Written::default(), versions: Arc::clone(&self.versions) })
    }

    /// Closes all connections; SQLite's write-ahead log is folded into the file.
    pub async fn close(&self) {
        match &self.pools {
            Pools::Sqlite { readers, writer } => {
                readers.close().await;
                writer.close().await;
            }
            Pools::Postgres(pool) => pool.close().await,
        }
    }
}

fn postgres_options(url: &crate::secret::Secret) -> anyhow::Result<PgConnectOptions> {
    url.reveal().parse().map_err(|_| anyhow::anyhow!("the database URL is not a valid postgres:// URL"))
}

/// A connection for reading.
#[derive(Debug)]
pub struct Session {
    arm: SessionArm,
    /// Nothing: only transactions write.
    written: Written,
}

#[derive(Debug)]
enum SessionArm {
    Sqlite(PoolConnection<Sqlite>),
    Postgres(PoolConnection<Postgres>),
}

impl Session {
    /// Lends the connection to a store function.
    pub fn conn(&mut self) -> Conn<'_> {
        let engine = match &mut self.arm {
            SessionArm::Sqlite(conn) => EngineConn::Sqlite(conn),
            SessionArm::Postgres(conn) => EngineConn::Postgres(conn),
        };
        Conn::new(engine, &mut self.written)
    }
}

/// A transaction for writing.
#[derive(Debug)]
#[must_use = "a transaction that is not committed is rolled back"]
pub struct Tx {
    arm: TxArm,
    written: Written,
    versions: Arc<Versions>,
}

#[derive(Debug)]
enum TxArm {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

impl Tx {
    /// Lends the connection to a store function.
    pub fn conn(&mut self) -> Conn<'_> {
        let engine = match &mut self.arm {
            TxArm::Sqlite(tx) => EngineConn::Sqlite(tx),
            TxArm::Postgres(tx) => EngineConn::Postgres(tx),
        };
        Conn::new(engine, &mut self.written)
    }

    /// Makes everything durable.
    ///
    /// # Errors
    /// When it could not be made durable: nothing of it happened.
    #[expect(clippy::disallowed_methods, reason = "`commit` must not be cancelled half-way, and it ends by itself")]
    pub async fn commit(self) -> Result<(), DbError> {
        let Self { arm, written, versions } = self;
        // Whoever waits: it is carried out, and only then counted, also when it seems to have failed.
        let done = tokio::spawn(async move {
            let done = match arm {
                TxArm::Sqlite(tx) => tx.commit().await,
                TxArm::Postgres(tx) => tx.commit().await,
            };
            versions.count(written);
            done
        });
        Ok(done.await.map_err(|error| DbError::Unavailable(sqlx::Error::Io(error.into())))??)
    }
}
