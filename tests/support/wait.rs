//! Waiting for conditions.

use std::fmt::Debug;
use std::future::Future;
use std::time::Duration;

/// How often a condition is looked at.
const POLL: Duration = Duration::from_millis(25);

/// Polls `check` until it answers `Ok`.
///
/// # Panics
/// After `limit`, with what was waited for and the last answer.
pub async fn until<T, E: Debug, F: Future<Output = Result<T, E>>>(
    what: &str,
    limit: Duration,
    mut check: impl FnMut() -> F,
) -> T {
    let mut ticks = tokio::time::interval(POLL);
    let deadline = tokio::time::Instant::now() + limit;
    loop {
        ticks.tick().await;
        match check().await {
            Ok(value) => return value,
            Err(last) if tokio::time::Instant::now() >= deadline => {
                panic!("waited {limit:?} for {what}; last seen: {last:#?}")
            }
            Err(_) => {}
        }
    }
}
