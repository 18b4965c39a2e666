//! Fan-out of changes inside this process. Losing it loses nothing: every durable change is in the database first.

use std::sync::Arc;

use tokio::sync::broadcast;

use crate::events::Recorded;

/// Changes that a slow subscriber may lag behind before it must start over.
const CAPACITY: usize = 4096;

/// Publishes and subscribes. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Bus {
    sender: broadcast::Sender<Arc<Recorded>>,
}

impl Default for Bus {
    fn default() -> Self {
        Self { sender: broadcast::channel(CAPACITY).0 }
    }
}

impl Bus {
    /// Tells every subscriber.
    pub fn publish(&self, change: Recorded) {
        // No subscriber is no error.
        let _ = self.sender.send(Arc::new(change));
    }

    /// From now on. A subscriber that lags by more than the capacity is told so and must start over.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Recorded>> {
        self.sender.subscribe()
    }
}
