//! Ceremonies that wait for a device's answer: in memory, for five minutes, each for one answer.
//!
//! What strangers begin is kept apart from what people do who have proved something: however many strangers come, they
//! displace each other only. A hub that is started again has forgotten all of them, and whoever waited begins again.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use protocol::UserId;
use webauthn_rs_core::proto::{AuthenticationState, RegistrationState};

use crate::auth::throttle::Network;
use crate::clock::Timestamp;
use crate::ids::{CeremonyId, SessionId};

/// How long a device may take to answer.
pub(super) const LIFETIME: Duration = Duration::from_secs(300);
/// Ceremonies of one person, or of strangers in one network; the oldest makes room.
const PER_OWNER: usize = 10;
/// Ceremonies of all strangers, and of all people; the oldest makes room.
const ALTOGETHER: usize = 4096;

/// What an answer is for. It counts for nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::auth) enum Purpose {
    /// Signing in with nothing else.
    SignIn,
    /// Signing in as somebody whose password was right.
    SecondFactor(UserId),
    /// Proving again whose session it is.
    StepUp(UserId, SessionId),
    /// Making a passkey.
    Register(UserId, SessionId),
}

/// What the library must remember until the answer comes.
#[derive(Debug)]
pub(super) enum State {
    /// Of a passkey that is being made.
    Registering(Box<RegistrationState>),
    /// Of one that is asked for a signature.
    Asking(Box<AuthenticationState>),
}

#[derive(Debug)]
struct Ceremony {
    owner: Owner,
    purpose: Purpose,
    state: State,
    began: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    Network(Network),
    Person(UserId),
}

/// All ceremonies.
#[derive(Debug, Default)]
pub(in crate::auth) struct Ceremonies {
    strangers: Mutex<HashMap<CeremonyId, Ceremony>>,
    people: Mutex<HashMap<CeremonyId, Ceremony>>,
}

impl Ceremonies {
    /// Remembers a ceremony; `network` is where whoever began it is.
    pub(super) fn put(&self, now: Timestamp, id: CeremonyId, network: Network, purpose: Purpose, state: State) {
        let owner = match purpose {
            Purpose::SignIn => Owner::Network(network),
            Purpose::SecondFactor(user) | Purpose::StepUp(user, _) | Purpose::Register(user, _) => Owner::Person(user),
        };
        let mut table = self.table(purpose).lock().unwrap_or_else(PoisonError::into_inner);
        make_room(&mut table, |ceremony| ceremony.owner == owner, PER_OWNER);
        make_room(&mut table, |_| true, ALTOGETHER);
        table.insert(id, Ceremony { owner, purpose, state, began: now });
    }

    /// Uses a ceremony up; `None` when there is none with this id for this purpose, or not any more.
    pub(super) fn take(&self, now: Timestamp, id: CeremonyId, purpose: Purpose) -> Option<State> {
        let mut table = self.table(purpose).lock().unwrap_or_else(PoisonError::into_inner);
        if table.get(&id).is_none_or(|ceremony| ceremony.purpose != purpose) {
            return None;
        }
        table.remove(&id).filter(|ceremony| now.since(ceremony.began) < LIFETIME).map(|ceremony| ceremony.state)
    }

    /// Forgets what has expired.
    pub(in crate::auth) fn forget_old(&self, now: Timestamp) {
        for table in [&self.strangers, &self.people] {
            let mut table = table.lock().unwrap_or_else(PoisonError::into_inner);
            table.retain(|_, ceremony| now.since(ceremony.began) < LIFETIME);
        }
    }

    fn table(&self, purpose: Purpose) -> &Mutex<HashMap<CeremonyId, Ceremony>> {
        if purpose == Purpose::SignIn { &self.strangers } else { &self.people }
    }

    /// How many wait: of strangers, and of people.
    #[cfg(test)]
    pub(in crate::auth) fn len(&self) -> (usize, usize) {
        (self.strangers.lock().unwrap().len(), self.people.lock().unwrap().len())
    }
}

/// Removes the oldest of those that count until there is room for one more among `limit`.
fn make_room(table: &mut HashMap<CeremonyId, Ceremony>, counts: impl Fn(&Ceremony) -> bool, limit: usize) {
    let counted = |(id, ceremony): (&CeremonyId, &Ceremony)| counts(ceremony).then_some((ceremony.began, *id));
    let mut those: Vec<_> = table.iter().filter_map(counted).collect();
    if those.len() < limit {
        return;
    }
    those.sort_unstable();
    for (_, id) in those.iter().take(those.len() - limit + 1) {
        table.remove(id);
    }
}
