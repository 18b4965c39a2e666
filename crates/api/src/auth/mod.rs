//! People signing in: the first owner, passwords, sessions.

mod account;
mod caller;
mod join;
mod model;
mod password;
mod routes;
mod session;
mod setup;
mod sign_in;
mod store;
mod task;
mod throttle;

#[cfg(test)]
mod tests;

pub use account::confirm_password;
pub use caller::{Person, Touching, authenticate, is_due, is_still_good};
pub use join::{Invited, admit_to, has_account, prove, settle, signed_in_answer, throttle_address};
pub use model::{Email, NewPassword, Password, PersonName, User};
pub use routes::{SignedInView, routes};
pub use setup::{NewOwner, SetupCode, create_owner, prepare_setup};
pub use sign_in::SignedIn;
pub use task::{start, sweep};

/// Sign-in throttling and the password hashing pool.
#[derive(Debug, Default)]
pub struct State {
    hashing: password::Hashing,
    throttle: throttle::Throttle,
    /// Failures at accounts that do not exist, which anybody can cause, are recorded up to a number a minute.
    strangers: throttle::Budget,
    /// Sessions and keys whose last use is being written.
    pub(crate) touching: Touching,
}
