//! Tasks that somebody waits for: none outlives the set that started it.

use std::future::Future;

use tokio::task::JoinSet;

/// A set of tasks that ends with its owner.
#[derive(Debug, Default)]
pub struct Tasks {
    set: JoinSet<()>,
}

impl Tasks {
    /// Starts `future`. It is aborted when this set is dropped.
    pub fn spawn(&mut self, future: impl Future<Output = ()> + 'static + Send) {
        self.set.spawn(future);
        // What has ended already is let go of, so that the set stays as small as what runs.
        while self.set.try_join_next().is_some() {}
    }

    /// Tasks that have not been seen to end.
    #[must_use]
    pub fn len(&self) -> usize {
        self.set.len()
    }

    /// Nothing runs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.set.is_empty()
    }

    /// Waits until every task has ended.
    pub async fn join(&mut self) {
        while self.set.join_next().await.is_some() {}
    }
}
