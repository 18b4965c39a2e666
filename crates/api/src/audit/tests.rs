//! Promises of the audit log, through the API on each engine.
