//! Makes ids (UUID v7) from the injected clock and randomness.

use std::sync::Arc;

use protocol::{EventId, JobId, MessageId, ServerId, UserId, WorkspaceId};
use uuid::Uuid;

use crate::clock::Clock;
use crate::random::Random;

/// Makes new ids. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Ids {
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

impl Ids {
    /// A maker over the given clock and randomness.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Self {
        Self { clock, random }
    }

    /// A UUID v7 (RFC 9562): 48 bits of time, then randomness.
    #[must_use]
    pub fn uuid(&self) -> Uuid {
        let ms = u64::try_from(self.clock.now().as_ms()).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(ms, &self.random.bytes::<10>()).into_uuid()
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
    workspace: WorkspaceId,
    user: UserId,
    message: MessageId,
    event: EventId,
}
