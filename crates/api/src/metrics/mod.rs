//! metrics

/// In-memory state.
#[derive(Debug, Default)]
pub struct State {}
