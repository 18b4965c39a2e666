//! Identifiers: UUID v7 from the host's clock and randomness.

use protocol::{EventId, MessageId};
use uuid::Uuid;

use super::clock::Clock;
use super::random::{NoRandomness, Random};

/// Makes identifiers.
#[derive(Debug, Clone)]
pub struct Ids {
    clock: Clock,
    random: Random,
}

impl Ids {
    /// Ids with the time of `clock` and the randomness of `random`.
    #[must_use]
    pub const fn new(clock: Clock, random: Random) -> Self {
        Self { clock, random }
    }

    /// An id for a message.
    ///
    /// # Errors
    /// [`NoRandomness`].
    pub fn message(&self) -> Result<MessageId, NoRandomness> {
        self.uuid().map(MessageId::new)
    }

    /// An id for an event.
    ///
    /// # Errors
    /// [`NoRandomness`].
    pub fn event(&self) -> Result<EventId, NoRandomness> {
        self.uuid().map(EventId::new)
    }

    fn uuid(&self) -> Result<Uuid, NoRandomness> {
        let millis = u64::try_from(self.clock.now_ms()).unwrap_or(0);
        Ok(uuid::Builder::from_unix_timestamp_millis(millis, &self.random.bytes::<10>()?).into_uuid())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_version_7_in_order_of_time() {
        let early = Ids::new(Clock::fixed(1_000), Random::system()).message().unwrap();
        let late = Ids::new(Clock::fixed(2_000), Random::system()).message().unwrap();
        assert!(early < late);
        assert_eq!(early.uuid().get_version_num(), 7);
    }
}
