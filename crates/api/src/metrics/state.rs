//! The recent past of all servers.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use protocol::ServerId;

use super::ring::Ring;

/// Latest samples.
#[derive(Debug, Default)]
pub struct State {
    rings: Mutex<HashMap<ServerId, Ring>>,
}

impl State {
    pub(super) fn rings(&self) -> MutexGuard<'_, HashMap<ServerId, Ring>> {
        // Sums and rows stay sensible when a holder panics.
        self.rings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
