//! Schema history: numbered steps, applied once, never edited.
//!
//! `migrations/NNNN_name.sql` runs on both engines; where they must differ, `migrations/sqlite/` and
//! `migrations/postgres/` hold the same number instead. Numbers from 0100 up belong to the history store, which is a
//! file of its own (`history.db`) with SQLite and the same database with PostgreSQL.

use std::borrow::Cow;

use anyhow::Context as _;
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::{PgPool, SqlStr, SqlitePool};

/// Which of the two SQLite files a schema is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Store {
    /// Rows: people, servers, jobs, audit.
    Main,
    /// Samples and logs.
    History,
}

/// One step of the schema's history.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// Its number; 100 and up: history store.
    pub version: i64,
    /// Its name.
    pub name: &'static str,
    /// Text for SQLite.
    pub sqlite: &'static str,
    /// Text for PostgreSQL.
    pub postgres: &'static str,
}

macro_rules! steps {
    (@text both $file:literal sqlite) => { include_str!(concat!("../../../../migrations/", $file, ".sql")) };
    (@text both $file:literal postgres) => { include_str!(concat!("../../../../migrations/", $file, ".sql")) };
    (@text each $file:literal sqlite) => { include_str!(concat!("../../../../migrations/sqlite/", $file, ".sql")) };
    (@text each $file:literal postgres) => { include_str!(concat!("../../../../migrations/postgres/", $file, ".sql")) };
    ($($version:literal $kind:ident $file:literal,)*) => {
        &[$(Step {
            version: $version,
            name: $file,
            sqlite: steps!(@text $kind $file sqlite),
            postgres: steps!(@text $kind $file postgres),
        },)*]
    };
}

/// Every step in order. `both`: one text for both engines; `each`: one per engine.
pub const MIGRATIONS: &[Step] = steps! {
    1 both "0001_identity",
    2 both "0002_audit",
    3 both "0003_events",
    4 both "0004_servers",
    5 both "0005_enrollment",
    6 both "0006_jobs",
    7 both "0007_idempotency",
    8 both "0008_audit_server",
    9 both "0009_job_options",
    10 both "0010_job_secrets_and_logs",
    11 both "0011_job_batches",
    12 both "0012_server_trust",
    13 both "0013_people",
    14 both "0014_factors",
    15 both "0015_audit_more",
    16 both "0016_plans",
    17 both "0017_deliveries",
    19 both "0019_passkeys",
    20 both "0020_identities",
    21 both "0021_email_changes",
    101 each "0101_samples",
    102 each "0102_job_log",
};

fn migrator(steps: impl Iterator<Item = (i64, &'static str, &'static str)>) -> Migrator {
    let migrations = steps
        .map(|(version, name, text)| {
            let sql = SqlStr::from_static(text);
            Migration::new(version, Cow::Borrowed(name), MigrationType::Simple, sql, false)
        })
        .collect::<Vec<_>>();
    Migrator { migrations: Cow::Owned(migrations), ..Migrator::DEFAULT }
}

pub(super) async fn run_sqlite(pool: &SqlitePool, store: Store) -> anyhow::Result<()> {
    let belongs = |step: &&Step| (step.version >= 100) == (store == Store::History);
    let steps = MIGRATIONS.iter().filter(belongs).map(|step| (step.version, step.name, step.sqlite));
    explain(migrator(steps).run(pool).await)
}

pub(super) async fn run_postgres(pool: &PgPool) -> anyhow::Result<()> {
    explain(migrator(MIGRATIONS.iter().map(|step| (step.version, step.name, step.postgres))).run(pool).await)
}

fn explain(result: Result<(), MigrateError>) -> anyhow::Result<()> {
    match result {
        Err(MigrateError::VersionMissing(version)) => anyhow::bail!(
            "the database was written by a newer version of Roadstead (schema step {version}); start that version, or \
             restore a backup made before the upgrade"
        ),
        Err(MigrateError::VersionMismatch(version)) => anyhow::bail!(
            "schema step {version} in the database differs from the one in this binary; it was made by a modified build"
        ),
        other => other.context("could not bring the database schema up to date"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_a_step_and_numbers_grow() {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../migrations");
        let mut files = Vec::new();
        for dir in ["", "/sqlite"] {
            for entry in std::fs::read_dir(format!("{root}{dir}")).unwrap() {
                let name = entry.unwrap().file_name().into_string().unwrap();
                files.extend(name.strip_suffix(".sql").map(str::to_owned));
            }
        }
        files.sort();
        let steps: Vec<_> = MIGRATIONS.iter().map(|step| step.name.to_owned()).collect();
        assert_eq!(files, steps);
        for step in MIGRATIONS {
            assert_eq!(step.name[..4].parse::<i64>().unwrap(), step.version);
        }
    }
}
