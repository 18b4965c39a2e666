//! What every request passes on its way to a slice and every answer on its way back.
//!
//! [`serve`] accepts connections (TLS, limits, drain), [`router`] puts the slices' routes behind one pipeline: request
//! id, host and origin checks, rate limit, time limit, access log, security headers. Slices take their input through
//! [`extract`], page through lists with [`page`] and stream with [`sse`].

mod body;
pub mod extract;
mod openapi;
pub mod page;
mod router;
pub mod sse;
mod state;

pub use openapi::openapi;
pub use router::router;
pub use state::State;
