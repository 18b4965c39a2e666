//! What can go wrong with a statement, in the few kinds that callers decide by.

/// A failed statement.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// A unique key is taken already. The operation knows which one: engines differ in naming it.
    #[error("a unique key is taken already")]
    UniqueViolation(#[source] sqlx::Error),
    /// A row that other rows need, or that needs other rows.
    #[error("a reference does not hold")]
    ForeignKeyViolation(#[source] sqlx::Error),
    /// The database is away, full, locked for too long, or all its connections are busy.
    #[error("the database cannot be used right now")]
    Unavailable(#[source] sqlx::Error),
    /// Everything else: a bug or a damaged database.
    #[error("database statement failed")]
    Other(#[source] sqlx::Error),
}

impl From<sqlx::Error> for DbError {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::error::ErrorKind;
        match &error {
            sqlx::Error::Database(database) => match database.kind() {
                ErrorKind::UniqueViolation => Self::UniqueViolation(error),
                ErrorKind::ForeignKeyViolation => Self::ForeignKeyViolation(error),
                _ if is_resource_failure(database.code().as_deref()) => Self::Unavailable(error),
                _ => Self::Other(error),
            },
            sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => {
                Self::Unavailable(error)
            }
            _ => Self::Other(error),
        }
    }
}

/// SQLite result codes 5 busy, 10 I/O error, 13 full (extended codes carry them in the low byte);
/// PostgreSQL classes 08 connection, 53 resources, 57P shutdown.
fn is_resource_failure(code: Option<&str>) -> bool {
    let Some(code) = code else { return false };
    if code.len() == 5 && (code.starts_with("08") || code.starts_with("53") || code.starts_with("57P")) {
        return true;
    }
    code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 5 | 10 | 13))
}
