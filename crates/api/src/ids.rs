//! Makes ids (UUID v7) from the injected clock and randomness.

use std::sync::{Arc, Mutex, PoisonError};

use protocol::{BatchId, EventId, JobId, MessageId, OperatorKeyId, ServerId, UserId, WorkspaceId};
use uuid::Uuid;

use crate::clock::Clock;
use crate::random::Random;

protocol::id! {
    /// A group of servers inside a workspace.
    ProjectId
}
protocol::id! {
    /// A role of a workspace's own.
    RoleId
}
protocol::id! {
    /// A grant to a member.
    GrantId
}
protocol::id! {
    /// An invitation into a workspace.
    InviteId
}
protocol::id! {
    /// A key that scripts sign in with.
    ApiKeyId
}
protocol::id! {
    /// Somebody signed in; names the session in lists and opens nothing.
    SessionId
}
protocol::id! {
    /// A passkey; what its device calls it is another thing.
    PasskeyId
}
protocol::id! {
    /// Somebody as an identity provider knows them.
    IdentityId
}
protocol::id! {
    /// What a device is asked and has not answered yet. No secret: only the right device answers.
    CeremonyId
}
protocol::id! {
    /// An install token; says nothing about the token.
    InstallTokenId
}
protocol::id! {
    /// A webhook that the hub calls.
    WebhookId
}
protocol::id! {
    /// A message of the hub on its way out; receivers of webhooks know it by the same id.
    DeliveryId
}

/// How far the clock may go back before ids follow it; until then they go on counting.
const PATIENCE_MS: u64 = 10_000;

/// Makes new ids, each greater than the one before, so that sorting by id is sorting by time. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Ids {
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    last: Arc<Mutex<Stamp>>,
}

/// The part of an id that orders it: milliseconds, and a count within them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Stamp {
    ms: u64,
    count: u16,
}

impl Stamp {
    /// 12 bits.
    const MAX_COUNT: u16 = 0xfff;

    const fn next(self, now_ms: u64) -> Self {
        if now_ms > self.ms || now_ms + PATIENCE_MS < self.ms {
            Self { ms: now_ms, count: 0 }
        } else if self.count < Self::MAX_COUNT {
            Self { ms: self.ms, count: self.count + 1 }
        } else {
            Self { ms: self.ms + 1, count: 0 }
        }
    }
}

impl Ids {
    /// A maker over the given clock and randomness.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Self {
        Self { clock, random, last: Arc::default() }
    }

    /// A UUID v7 (RFC 9562): 48 bits of time, 12 that count (section 6.2, method 1), then randomness.
    #[must_use]
    pub fn uuid(&self) -> Uuid {
        let now_ms = u64::try_from(self.clock.now().as_ms()).unwrap_or(0);
        let stamp = {
            let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            *last = last.next(now_ms);
            *last
        };
        let [_, _, rest @ ..] = self.random.bytes::<10>();
        let [high, low] = stamp.count.to_be_bytes();
        let [a, b, c, d, e, f, g, h] = rest;
        uuid::Builder::from_unix_timestamp_millis(stamp.ms, &[high, low, a, b, c, d, e, f, g, h]).into_uuid()
    }
}

macro_rules! makers {
    ($($name:ident: $id:ident,)*) => {
        impl Ids {
            $(
                #[doc = concat!("A new [`", stringify!($id), "`].")]
                #[must_use]
                pub fn $name(&self) -> $id {
                    $id::new(self.uuid())
                }
            )*
        }
    };
}

makers! {
    server: ServerId,
    job: JobId,
    batch: BatchId,
    operator_key: OperatorKeyId,
    workspace: WorkspaceId,
    user: UserId,
    message: MessageId,
    event: EventId,
    project: ProjectId,
    role: RoleId,
    grant: GrantId,
    invite: InviteId,
    api_key: ApiKeyId,
    session: SessionId,
    passkey: PasskeyId,
    ceremony: CeremonyId,
    identity: IdentityId,
    install_token: InstallTokenId,
    webhook: WebhookId,
    delivery: DeliveryId,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{ManualClock, Timestamp};
    use crate::random::SeededRandom;

    #[test]
    fn ids_grow_within_a_millisecond_and_when_the_clock_steps_back() {
        let clock = Arc::new(ManualClock::new(Timestamp::from_ms(1_767_225_600_000)));
        let ids = Ids::new(Arc::clone(&clock) as Arc<dyn Clock>, Arc::new(SeededRandom::new(1)));
        let mut last = ids.uuid();
        for n in 0..10_000 {
            let next = ids.uuid();
            assert!(next > last, "{n}: {next} after {last}");
            assert_eq!((next.get_version_num(), next.get_variant()), (7, uuid::Variant::RFC4122));
            last = next;
        }
        let before = Stamp { ms: 5_000, count: 7 };
        assert!(before.next(4_000) > before);
        assert_eq!(Stamp { ms: 50_000, count: 7 }.next(4_000), Stamp { ms: 4_000, count: 0 });
    }
}
