//! `probe`: what a hub asks an agent, or itself, to look at from where it stands, and what was seen.
//!
//! Params of the request are a [`ProbeSpec`], its result is a [`ProbeOutcome`]. A spec is complete: whoever carries it
//! out keeps nothing of it, and no schedule. Its types refuse fields that they do not know, because an assertion that an
//! older agent would pass over is a check that says "fine" without having looked; such an agent answers `bad_params`
//! and has no vote. An outcome may grow.

mod check;
mod http;
mod outcome;

use serde::{Deserialize, Serialize};

use crate::address::Reach;
use crate::hex::Hex;

pub use http::{HeaderField, HttpExpect, HttpProbe, JsonCheck, JsonOp, Method, StatusRange};
pub use outcome::{
    Certificate, CertificateProblem, Der, Failure, FailureCode, HttpVersion, Packets, Phases, ProbeOutcome,
};

/// Largest spec as JSON, bytes.
pub const MAX_SPEC: usize = 16 << 10;
/// Shortest time that a probe can be given, milliseconds.
pub const MIN_TIMEOUT_MS: u32 = 1_000;
/// Longest time that a probe can be given, milliseconds.
pub const MAX_TIMEOUT_MS: u32 = 30_000;
/// Time of a probe of which nothing else is said, milliseconds.
pub const DEFAULT_TIMEOUT_MS: u32 = 10_000;
/// Longest URL, bytes.
pub const MAX_URL: usize = 2048;
/// Longest name of a host, bytes: what DNS can carry.
pub const MAX_HOST: usize = 253;
/// Most headers of a request that somebody names.
pub const MAX_HEADERS: usize = 20;
/// Longest name of such a header, bytes.
pub const MAX_HEADER_NAME: usize = 64;
/// Longest value of such a header, bytes.
pub const MAX_HEADER_VALUE: usize = 4 << 10;
/// Longest body of a request, bytes.
pub const MAX_REQUEST_BODY: usize = 8 << 10;
/// Most ranges of statuses.
pub const MAX_STATUS_RANGES: usize = 10;
/// Longest text that an answer is searched for, bytes.
pub const MAX_NEEDLE: usize = 1 << 10;
/// Most assertions about JSON.
pub const MAX_JSON_CHECKS: usize = 10;
/// Longest JSON path, bytes.
pub const MAX_JSON_PATH: usize = 256;
/// Longest value that a JSON path is compared with, bytes as JSON.
pub const MAX_JSON_VALUE: usize = 1 << 10;
/// Most records that a DNS answer is compared with.
pub const MAX_EXPECTED_RECORDS: usize = 20;
/// Longest such record, bytes.
pub const MAX_RECORD: usize = 512;
/// Packets of an ICMP probe.
pub const PACKETS: u8 = 3;

/// hub → agent: one look at one target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProbeSpec {
    /// At what, and how.
    pub probe: Probe,
    /// For all of it, from the name to the last byte, milliseconds; [`MIN_TIMEOUT_MS`] to [`MAX_TIMEOUT_MS`].
    pub timeout_ms: u32,
    /// How far it may go. Metadata services and link-local addresses are never within.
    pub reach: Reach,
}

/// The kinds of probes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Probe {
    /// An HTTP/1.1 request.
    Http(HttpProbe),
    /// Whether a port takes connections.
    Tcp(TcpProbe),
    /// A TLS handshake and its certificate.
    Tls(TlsProbe),
    /// A question to a name server.
    Dns(DnsProbe),
    /// Echo requests.
    Icmp(IcmpProbe),
}

/// Whether a port takes connections.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TcpProbe {
    /// A name or an address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Longest time for all of it, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_latency_ms: Option<u32>,
}

/// A TLS handshake and its certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsProbe {
    /// A name or an address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The name asked for and looked for in the certificate; the host where none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
    /// Whether a certificate that does not verify is a failure. If not it is told all the same.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub verify: bool,
    /// Longest time for all of it, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_latency_ms: Option<u32>,
    /// SHA-256 of the leaf whose chain the asker has already: it is not sent again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known_leaf: Option<Hex<32>>,
}

/// A question to a name server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DnsProbe {
    /// What is asked for.
    pub name: String,
    /// Which records of it.
    #[serde(rename = "type")]
    pub record: RecordKind,
    /// Who is asked: a name or an address, with `:port` where it is not 53; the machine's own name servers where none is
    /// given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// What the answer must hold; any record will do where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<DnsExpect>,
    /// Longest time for all of it, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_latency_ms: Option<u32>,
}

/// Kinds of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "their names say it")]
pub enum RecordKind {
    A,
    Aaaa,
    Cname,
    Mx,
    Ns,
    Txt,
    Soa,
    Caa,
    Srv,
}

impl RecordKind {
    /// As it stands in zone files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Cname => "CNAME",
            Self::Mx => "MX",
            Self::Ns => "NS",
            Self::Txt => "TXT",
            Self::Soa => "SOA",
            Self::Caa => "CAA",
            Self::Srv => "SRV",
        }
    }
}

/// What a DNS answer must hold. Records are written as in [`ProbeOutcome::answers`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DnsExpect {
    /// One of these at least.
    Any(Vec<String>),
    /// Each of these; others may be there too.
    All(Vec<String>),
    /// None of these; no record at all is fine.
    None(Vec<String>),
}

impl DnsExpect {
    /// What is named.
    #[must_use]
    pub fn records(&self) -> &[String] {
        match self {
            Self::Any(records) | Self::All(records) | Self::None(records) => records,
        }
    }
}

/// [`PACKETS`] echo requests; one answer is enough.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IcmpProbe {
    /// A name or an address.
    pub host: String,
    /// Longest mean round trip, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_latency_ms: Option<u32>,
}

const fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_yes(value: &bool) -> bool {
    *value
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
