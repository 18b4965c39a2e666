//! What every request passes on its way to a slice and every answer on its way back.
//!
//! [`Listener`] accepts connections (TLS, limits, drain), [`router`] puts the slices' routes behind one pipeline: request
//! id, host and origin checks, rate limit, time limit, access log, security headers. Slices take their input through
//! [`extract`], page through lists with [`page`] and stream with [`sse`].

mod admit;
mod assets;
mod body;
mod client;
mod docs;
pub mod etag;
pub mod extract;
mod headers;
mod health;
mod idempotency;
mod limit;
mod openapi;
pub mod page;
mod pipeline;
mod router;
mod server;
pub mod sse;
mod state;
#[cfg(test)]
mod tests;
mod tls;
mod unfinished;

pub use client::{ClientAddress, Peer};
pub use idempotency::Unrepeatable;
pub use limit::{Limiter, Rate, Standing};
pub use openapi::{ErrorBody, openapi};
pub use router::router;
pub use server::Listener;
pub use state::State;
pub use tls::Trust;

use crate::hub::App;

/// Starts the background work of this module.
pub fn start(app: &App) {
    idempotency::start(app);
}
