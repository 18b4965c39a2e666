//! Facts about this installation, one row each: which key it signs with, whether somebody owns it, its set-up code. And
//! what its settings say, for whoever runs it.

mod routes;
mod store;
#[cfg(test)]
mod tests;

use utoipa_axum::router::OpenApiRouter;

use crate::db::{Conn, DbError};
use crate::hub::App;

/// The routes of this slice.
pub fn routes() -> OpenApiRouter<App> {
    routes::routes()
}

/// A fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fact {
    /// Fingerprint of the signing key that agents were given.
    SigningKey,
    /// Set once the first owner exists, and never removed: nobody can be first twice.
    Owned,
    /// Digest of the code that proves to the set-up page that its reader can see the hub's log.
    SetupCode,
}

impl Fact {
    const fn name(self) -> &'static str {
        match self {
            Self::SigningKey => "signing_key",
            Self::Owned => "owned",
            Self::SetupCode => "setup_code",
        }
    }
}

/// The fact's value.
///
/// # Errors
/// When the database cannot be read.
pub async fn get(conn: &mut Conn<'_>, fact: Fact) -> Result<Option<String>, DbError> {
    store::get(conn, fact.name()).await
}

/// Sets a fact, whatever it was.
///
/// # Errors
/// When the database cannot be written.
pub async fn put(conn: &mut Conn<'_>, fact: Fact, value: String) -> Result<(), DbError> {
    store::put(conn, fact.name(), value).await
}

/// Sets a fact that is not set yet; whether it was this call that set it. Of several at the same time one wins.
///
/// # Errors
/// When the database cannot be written.
pub async fn claim(conn: &mut Conn<'_>, fact: Fact, value: String) -> Result<bool, DbError> {
    store::claim(conn, fact.name(), value).await
}

/// Forgets a fact.
///
/// # Errors
/// When the database cannot be written.
pub async fn remove(conn: &mut Conn<'_>, fact: Fact) -> Result<(), DbError> {
    store::remove(conn, fact.name()).await
}
