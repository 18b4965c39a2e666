//! The host's clock. It may be wrong: what must not depend on it uses [`tokio::time::Instant`].

use std::time::{SystemTime, UNIX_EPOCH};

/// Tells the time; a fixed one in tests.
#[derive(Debug, Clone, Copy, Default)]
pub struct Clock {
    fixed_ms: Option<i64>,
}

impl Clock {
    /// The host's own clock.
    #[must_use]
    pub const fn system() -> Self {
        Self { fixed_ms: None }
    }

    /// A clock that stands still.
    #[must_use]
    pub const fn fixed(unix_ms: i64) -> Self {
        Self { fixed_ms: Some(unix_ms) }
    }

    /// Unix milliseconds; 0 on a host whose clock is before 1970.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        if let Some(fixed) = self.fixed_ms {
            return fixed;
        }
        #[expect(clippy::disallowed_methods, reason = "this is the injected clock")]
        let now = SystemTime::now();
        now.duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}
