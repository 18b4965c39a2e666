//! People signing in: the first owner, passwords, one-time codes, sessions.

mod account;
mod attempts;
mod caller;
mod code;
mod confirm;
mod email_change;
mod factors;
mod join;
mod model;
mod oidc;
mod passkeys;
mod password;
mod reset;
mod reset_link;
mod routes;
mod session;
mod setup;
mod sign_in;
mod store;
mod task;
mod throttle;
mod totp;
mod typed;

#[cfg(test)]
mod tests;

pub use caller::{Oneself, Person, Touching, authenticate, is_due, is_still_good, rights_now};
pub use code::OneTimeCode;
pub use confirm::{confirm_password, is_fresh, step_up_required};
pub use factors::has_second_factor;
pub use join::{Invited, Proof, admit_to, has_account, prove, settle, signed_in_answer, throttle_address};
pub use model::{Email, NewPassword, Password, PersonName, User};
pub use passkeys::PasskeyAnswer;
pub use reset::{disable_totp, random_password, remove_passkeys, reset_password};
pub use routes::{SignedInView, routes};
pub use setup::{NewOwner, SetupCode, create_owner, prepare_setup};
pub use sign_in::SignedIn;
pub use task::{start, sweep};

use std::sync::Arc;

use protocol::UserId;
use tokio::sync::Semaphore;

use crate::db::{Conn, DbError};

/// What an authenticator app shows.
#[cfg(test)]
pub(crate) fn totp_code_at(secret: &str, at: crate::clock::Timestamp) -> String {
    totp::TotpSecret::code_at(secret, at)
}

/// Somebody with an account.
///
/// # Errors
/// When the database cannot be read.
pub async fn person(conn: &mut Conn<'_>, id: UserId) -> Result<Option<User>, DbError> {
    Ok(store::account(conn, id).await?.map(|account| account.user))
}

/// Sign-in throttling, the password hashing pool, and passkeys that are being asked.
#[derive(Debug)]
pub struct State {
    hashing: password::Hashing,
    /// Sessions that requests came with just now.
    known: caller::KnownSessions,
    throttle: throttle::Throttle,
    /// What identity providers say of themselves.
    providers: oidc::Providers,
    /// What devices were asked and have not answered yet.
    ceremonies: passkeys::Ceremonies,
    /// Set once the throttle knows what it knew before the hub was started.
    remembered: tokio::sync::OnceCell<()>,
    /// The task that writes attempts down.
    attempts: crate::background::Wake,
    /// Failures at accounts that do not exist, which anybody can cause, are recorded up to a number a minute.
    strangers: throttle::Budget,
    /// Sessions and keys whose last use is being written.
    pub(crate) touching: Touching,
    /// Requests for links that are being seen to.
    resetting: Arc<Semaphore>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            hashing: password::Hashing::default(),
            known: caller::KnownSessions::default(),
            throttle: throttle::Throttle::default(),
            ceremonies: passkeys::Ceremonies::default(),
            providers: oidc::Providers::default(),
            remembered: tokio::sync::OnceCell::default(),
            attempts: crate::background::Wake::default(),
            strangers: throttle::Budget::default(),
            touching: Touching::default(),
            resetting: Arc::new(Semaphore::new(reset_link::WORKING)),
        }
    }
}
