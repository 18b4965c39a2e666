//! Promises of setup, sign-in and sessions, through the API on each engine.
