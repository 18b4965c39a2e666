//! Where agents connect: one WebSocket per server (`GET /v1/agent`), spoken in the words of the `protocol` crate.
//!
//! [`Registry`] knows who is connected. A slice that has something to say to an agent takes its [`AgentLink`]; what an
//! agent says comes to the slices through `dispatch`, one message after the other and in order. A connection that breaks
//! a rule of the protocol is closed with a reason, and never costs another one anything.

mod closing;
mod dispatch;
#[cfg(test)]
mod fleet_tests;
mod handshake;
mod link;
mod log_window;
mod rate;
mod reader;
mod registry;
mod requests;
mod routes;
#[cfg(any(test, feature = "testing"))]
pub mod scripted;
mod session;
mod session_key;
mod socket;
#[cfg(test)]
pub(crate) mod test_link;
#[cfg(test)]
mod tests;

pub use link::{AgentLink, LinkClosed};
pub use registry::Registry;
pub use requests::RequestFailed;
pub use routes::routes;
