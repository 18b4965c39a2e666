//! Reconcilers: background work that takes no input. It compares what is with what should be, on a timer and when it is
//! woken, and may run twice; so a restart or a missed wake-up needs no code of its own.

use std::collections::BTreeMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::Notify;
use tracing::Instrument as _;

use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::hub::App;

/// Makes a reconciler run soon. Cheap to clone; a slice keeps one in its state.
#[derive(Debug, Clone, Default)]
pub struct Wake(Arc<Notify>);

impl Wake {
    /// Run once more; wake-ups during a run make one run after it.
    pub fn wake(&self) {
        self.0.notify_one();
    }
}

/// How the reconcilers fare, by name.
#[derive(Debug, Default)]
pub struct State(Mutex<BTreeMap<&'static str, Status>>);

/// How one reconciler fares.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    /// Runs since the hub started.
    pub runs: u64,
    /// Failed runs since the hub started.
    pub failures: u64,
    /// When it last succeeded.
    pub succeeded_at: Option<Timestamp>,
    /// Whether the last run failed.
    pub failing: bool,
}

impl State {
    /// Every reconciler that ran at least once.
    #[must_use]
    pub fn statuses(&self) -> BTreeMap<&'static str, Status> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, name: &'static str, now: Timestamp, succeeded: bool) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let status = all.entry(name).or_default();
        status.runs += 1;
        status.failing = !succeeded;
        if succeeded {
            status.succeeded_at = Some(now);
        } else {
            status.failures += 1;
        }
    }
}

/// Runs `reconcile` at once, then `every` so often and whenever `wake` says, until the hub stops. A failed or panicking
/// run is logged and tried again with the next one.
pub fn spawn<F, Fut>(app: &App, name: &'static str, every: Duration, wake: Wake, reconcile: F)
where
    F: Fn(App) -> Fut + Send + 'static,
    Fut: Future<Output = Result<()>> + Send + 'static,
{
    let hub = Arc::clone(app);
    let span = tracing::info_span!("reconcile", task = name);
    let run = async move {
        while !hub.tasks.is_stopping() {
            let outcome = AssertUnwindSafe(reconcile(Arc::clone(&hub))).catch_unwind().await;
            let outcome = outcome.unwrap_or_else(|_| Err(Error::internal("the task panicked")));
            if let Err(error) = &outcome {
                tracing::error!(error = %error.chain(), "reconciling failed: {error}");
            }
            hub.background.note(name, hub.now(), outcome.is_ok());
            tokio::select! {
                () = hub.tasks.stopping() => {}
                () = tokio::time::sleep(every) => {}
                () = wake.0.notified() => {}
            }
        }
    };
    app.tasks.spawn(run.instrument(span));
}
