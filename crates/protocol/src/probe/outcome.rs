//! What a probe saw.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::hex::{self, Hex};

/// Longest text of a failure, bytes.
const MAX_TEXT: usize = 200;
/// Longest excerpt, bytes.
const MAX_EXCERPT: usize = 512;
/// Most certificates of a chain that are told.
const MAX_CHAIN: usize = 4;
/// All of them together, bytes of DER.
const MAX_CHAIN_BYTES: usize = 16 << 10;
/// Most records that are told.
const MAX_ANSWERS: usize = 20;
/// Longest of them, bytes.
const MAX_ANSWER: usize = 512;
/// No probe takes longer, milliseconds; a phase beyond it is a lie of whoever tells it.
const MAX_PHASE_MS: f64 = 60_000.0;

/// agent → hub: what was seen. Fields that a newer agent adds are passed over.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ProbeOutcome {
    /// Whether all is as expected.
    pub ok: bool,
    /// What is not; absent exactly when `ok`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// How long it took.
    pub phases: Phases,
    /// HTTP status, that of the last hop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Address that was connected to, that of the last hop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Version of HTTP in the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_version: Option<HttpVersion>,
    /// Beginning of the body; only when an assertion about the answer failed. Foreign text: show it as such.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub excerpt: Option<String>,
    /// The certificate, that of the last hop over TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<Certificate>,
    /// Records of a DNS answer, sorted: `192.0.2.1`, `10 mail.example.com` (MX), `0 issue "ca.example"` (CAA),
    /// `1 2 443 host.example` (SRV: priority, weight, port), names in lower case without the dot at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answers: Option<Vec<String>>,
    /// Packets of an ICMP probe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub packets: Option<Packets>,
}

impl ProbeOutcome {
    /// The same within its limits and without control characters. Whoever makes one does this, and whoever gets one from
    /// elsewhere, who cannot know that it was done.
    #[must_use]
    pub fn bounded(mut self) -> Self {
        self.phases = self.phases.bounded();
        if let Some(failure) = &mut self.failure {
            failure.text = printable(&failure.text, MAX_TEXT);
        }
        // Only a whole story is told: an outcome is fine, or says why not.
        match (&self.failure, self.ok) {
            (Some(_), true) => self.ok = false,
            (None, false) => self.failure = Some(Failure::new(FailureCode::Other, "no reason was given")),
            _ => {}
        }
        self.address = self.address.map(|address| printable(&address, 64));
        self.excerpt = self.excerpt.map(|excerpt| printable(&excerpt, MAX_EXCERPT));
        if let Some(certificate) = &mut self.certificate {
            let mut room = MAX_CHAIN_BYTES;
            certificate.chain_der.truncate(MAX_CHAIN);
            // Cut where it no longer fits, not thinned: a chain with a hole in it is none.
            let fits = certificate.chain_der.iter().take_while(|der| {
                let left = room.checked_sub(der.0.len());
                room = left.unwrap_or(0);
                left.is_some()
            });
            let fits = fits.count();
            certificate.chain_der.truncate(fits);
        }
        if let Some(answers) = &mut self.answers {
            answers.truncate(MAX_ANSWERS);
            for answer in answers {
                *answer = printable(answer, MAX_ANSWER);
            }
        }
        self
    }
}

/// At most `limit` bytes of `text`, with a blank for each control character and for what turns the direction of text.
fn printable(text: &str, limit: usize) -> String {
    let mut out = String::with_capacity(text.len().min(limit));
    for character in text.chars() {
        let harmful = character.is_control()
            || matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        let character = if harmful { ' ' } else { character };
        if out.len() + character.len_utf8() > limit {
            break;
        }
        out.push(character);
    }
    out
}

/// Why a probe failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Machine-readable.
    pub code: FailureCode,
    /// For people: what happened, and what to look at.
    pub text: String,
}

impl Failure {
    /// One with a text, cut to its limit.
    #[must_use]
    pub fn new(code: FailureCode, text: impl AsRef<str>) -> Self {
        Self { code, text: printable(text.as_ref(), MAX_TEXT) }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Kinds of failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureCode {
    /// The name has no address, or nobody could say.
    Unresolved,
    /// Nothing listens on the port.
    Refused,
    /// An address that the probe may not go to. Says nothing about the target.
    Beyond,
    /// It took longer than the time it had.
    Timeout,
    /// The handshake failed for another reason than the certificate.
    Tls,
    /// The certificate does not verify; [`Certificate::problem`] says why.
    Certificate,
    /// The answer is not what the protocol allows, or broke off.
    Protocol,
    /// The answer is longer than what is read.
    TooLarge,
    /// An unexpected status.
    Status,
    /// A text that must be there is not, or the other way round.
    Keyword,
    /// A value within JSON is not as expected, or it is not JSON.
    JsonPath,
    /// All is well, but slow.
    Latency,
    /// The name server answers, but not as expected.
    DnsAnswer,
    /// There is no way to the address.
    Unreachable,
    /// Whoever was asked cannot do this kind of probe. Says nothing about the target.
    Unsupported,
    /// A word of a later version.
    #[serde(other)]
    Other,
}

impl FailureCode {
    /// Whether it says something about the target; if not, the probe has no vote.
    #[must_use]
    pub const fn is_about_target(self) -> bool {
        !matches!(self, Self::Beyond | Self::Unsupported | Self::Other)
    }
}

/// How long the parts took, milliseconds with three decimals, all hops of redirects added up. Absent: did not happen, or
/// did not end.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Phases {
    /// Asking for the addresses of the name; of a DNS probe: from the question to its answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns_ms: Option<f64>,
    /// Until the connection stood.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect_ms: Option<f64>,
    /// The TLS handshake.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_ms: Option<f64>,
    /// From the request to the first byte of its answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_byte_ms: Option<f64>,
    /// All of it. Of an ICMP probe that was answered: the mean round trip, for most of the rest is waiting between packets.
    pub total_ms: f64,
}

impl Phases {
    fn bounded(self) -> Self {
        let bound = |value: f64| if value.is_finite() { value.clamp(0.0, MAX_PHASE_MS) } else { 0.0 };
        Self {
            dns_ms: self.dns_ms.map(bound),
            connect_ms: self.connect_ms.map(bound),
            tls_ms: self.tls_ms.map(bound),
            first_byte_ms: self.first_byte_ms.map(bound),
            total_ms: bound(self.total_ms),
        }
    }
}

/// Versions of HTTP that are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum HttpVersion {
    /// The answer says HTTP/1.0.
    #[serde(rename = "1.0")]
    Http10,
    /// The answer says HTTP/1.1.
    #[serde(rename = "1.1")]
    Http11,
    /// A later one.
    #[serde(other, rename = "other")]
    Other,
}

/// A certificate as it was presented, whether it verifies or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// The chain as it came, the leaf first; at most 4, together 16 KiB, cut where it no longer fits. Empty where
    /// `known_leaf` of the spec matched. Dates and names are read from it by the hub, not by the agent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chain_der: Vec<Der>,
    /// SHA-256 of the leaf.
    pub leaf_sha256: Hex<32>,
    /// Why it does not verify; absent when it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<CertificateProblem>,
}

/// Why a certificate does not verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CertificateProblem {
    /// Its time is over.
    Expired,
    /// Its time has not begun.
    NotYetValid,
    /// It is issued to another name.
    WrongName,
    /// It vouches for itself.
    SelfSigned,
    /// The leaf came alone and its issuer is not known: most likely the intermediate certificate is not sent.
    IncompleteChain,
    /// Issued by somebody whom nobody here trusts.
    UnknownIssuer,
    /// Its issuer has withdrawn it.
    Revoked,
    /// It is not meant for servers.
    WrongPurpose,
    /// It cannot be read, or its signature is wrong.
    Malformed,
    /// Something else.
    #[serde(other)]
    Other,
}

/// DER of a certificate; lower-case hexadecimal in JSON.
#[derive(Clone, PartialEq, Eq)]
pub struct Der(pub Vec<u8>);

impl fmt::Debug for Der {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Der({} bytes)", self.0.len())
    }
}

impl Serialize for Der {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Der {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Der;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "hexadecimal digits of at most {MAX_CHAIN_BYTES} bytes")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Der, E> {
                if text.len() > 2 * MAX_CHAIN_BYTES {
                    return Err(E::invalid_length(text.len(), &self));
                }
                hex::decode(text).map(Der).ok_or_else(|| E::custom("expected hexadecimal digits"))
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}

/// Packets of an ICMP probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packets {
    /// Sent.
    pub sent: u8,
    /// Answered in time.
    pub received: u8,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_of_a_hostile_agent_is_cut_to_its_limits() {
        let certificate = Certificate {
            chain_der: vec![Der(vec![1; 10_000]), Der(vec![2; 10_000]), Der(vec![3; 10])],
            leaf_sha256: Hex([0; 32]),
            problem: None,
        };
        let outcome = ProbeOutcome {
            ok: true,
            failure: Some(Failure { code: FailureCode::Status, text: "\u{1b}[31m\u{202e}".repeat(500) }),
            phases: Phases { dns_ms: Some(-1.0), total_ms: 1e300, connect_ms: Some(f64::NAN), ..Phases::default() },
            address: Some("x".repeat(10_000)),
            excerpt: Some("é".repeat(10_000)),
            certificate: Some(certificate),
            answers: Some(vec!["x".repeat(10_000); 10_000]),
            ..ProbeOutcome::default()
        };
        let bounded = outcome.bounded();
        assert!(!bounded.ok, "what failed is not fine");
        let text = bounded.failure.unwrap().text;
        assert!(text.len() <= MAX_TEXT && !text.contains(['\u{1b}', '\u{202e}']), "{text:?}");
        assert_eq!((bounded.phases.dns_ms, bounded.phases.connect_ms), (Some(0.0), Some(0.0)));
        assert!(bounded.phases.total_ms <= MAX_PHASE_MS);
        assert_eq!(bounded.address.unwrap().len(), 64);
        assert_eq!(bounded.excerpt.unwrap().len(), MAX_EXCERPT);
        assert_eq!(bounded.certificate.unwrap().chain_der.len(), 1, "cut before the first that does not fit");
        let answers = bounded.answers.unwrap();
        assert!(answers.len() == MAX_ANSWERS && answers.iter().all(|answer| answer.len() == MAX_ANSWER));
    }

    #[test]
    fn a_failure_without_a_reason_gets_one() {
        let bounded = ProbeOutcome::default().bounded();
        assert_eq!(bounded.failure.map(|failure| failure.code), Some(FailureCode::Other));
    }

    #[test]
    fn words_of_a_later_version_are_read() {
        assert_eq!(serde_json::from_str::<FailureCode>("\"quantum\"").unwrap(), FailureCode::Other);
        assert_eq!(serde_json::from_str::<CertificateProblem>("\"quantum\"").unwrap(), CertificateProblem::Other);
        assert_eq!(serde_json::from_str::<HttpVersion>("\"3\"").unwrap(), HttpVersion::Other);
    }

    #[test]
    fn der_is_hexadecimal_of_a_bounded_length() {
        assert_eq!(serde_json::to_string(&Der(vec![0x30, 0xff])).unwrap(), "\"30ff\"");
        assert_eq!(serde_json::from_str::<Der>("\"30ff\"").unwrap(), Der(vec![0x30, 0xff]));
        for bad in ["\"3\"".to_owned(), "\"zz\"".to_owned(), format!("\"{}\"", "00".repeat(MAX_CHAIN_BYTES + 1))] {
            assert!(serde_json::from_str::<Der>(&bad).is_err());
        }
    }
}
