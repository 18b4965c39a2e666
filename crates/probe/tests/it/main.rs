//! Probes against real servers on loopback, most of which mean no good.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops at the first surprise")]
#![expect(clippy::needless_pass_by_value, reason = "JSON is written where it is passed")]

mod address;
mod dns;
mod hostile;
mod http;
mod support;
mod tcp_icmp;
mod tls;
