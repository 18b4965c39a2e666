//! How the hub sends mail.

use lettre::message::Mailbox;

use crate::secret::Secret;

/// A server that takes mail from the hub.
#[derive(Debug, Clone)]
pub struct Mail {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is encrypted.
    pub tls: MailTls,
    /// What to sign in there with.
    pub login: Option<MailLogin>,
    /// Who mails are from.
    pub from: Mailbox,
}

/// What to sign in to a mail server with.
#[derive(Debug, Clone)]
pub struct MailLogin {
    /// User name.
    pub username: String,
    /// Password.
    pub password: Secret,
}

/// How a connection to a mail server is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailTls {
    /// It begins in the clear and nothing is said before it is encrypted.
    StartTls,
    /// From the first byte.
    Tls,
    /// Not at all.
    Off,
}

impl MailTls {
    /// The word in settings and in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::StartTls => "starttls",
            Self::Tls => "tls",
            Self::Off => "none",
        }
    }

    /// The port that goes with it.
    #[must_use]
    pub const fn port(self) -> u16 {
        match self {
            Self::StartTls => 587,
            Self::Tls => 465,
            Self::Off => 25,
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        [Self::StartTls, Self::Tls, Self::Off].into_iter().find(|tls| tls.as_str() == name)
    }
}

/// Whether a name can only mean this machine.
pub(super) fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

/// Whether it is a host: a name or an address, and nothing that could end a line.
pub(super) fn is_host(host: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':' | b'_');
    !host.is_empty() && host.len() <= 253 && host.bytes().all(plain)
}
