//! Waiting for conditions.

use std::fmt::Debug;
use std::time::Duration;

/// How often a condition is looked at: below the rate that the hub allows a client.
const POLL: Duration = Duration::from_millis(120);

/// Polls `check` until it answers `Ok`.
///
/// # Panics
/// After `limit`, with what was waited for and the last answer.
pub async fn until<T, E: Debug>(what: &str, limit: Duration, mut check: impl AsyncFnMut() -> Result<T, E>) -> T {
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
