//! People signing in: the first owner, passwords, sessions.

mod account;
mod caller;
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

pub use caller::{Person, authenticate, is_still_good};
pub use model::{Email, NewPassword, Password, PersonName, User};
pub use routes::routes;
pub use session::SessionId;
pub use setup::{NewOwner, SetupCode, create_owner, prepare_setup};
pub use task::{start, sweep};

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

/// Sign-in throttling and the password hashing pool.
#[derive(Debug, Default)]
pub struct State {
    hashing: password::Hashing,
    throttle: throttle::Throttle,
    /// Failures at accounts that do not exist, which anybody can cause, are recorded up to a number a minute.
    strangers: throttle::Budget,
    /// Sessions whose `last_seen_at` is being written.
    touching: Arc<Mutex<HashSet<SessionId>>>,
}
