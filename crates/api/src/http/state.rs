//! What the HTTP side keeps between requests.

use crate::config::Config;

use super::sse::Streams;

/// Limits, counters and addresses of the HTTP side.
#[derive(Debug, Default)]
pub struct State {
    pub(crate) streams: Streams,
}

impl State {
    /// For these settings.
    ///
    /// # Errors
    /// When a setting cannot be used.
    pub fn new(config: &Config) -> anyhow::Result<Self> {
        let _ = config;
        Ok(Self::default())
    }
}
