//! gateway

/// In-memory state.
#[derive(Debug, Default)]
pub struct Registry {}
