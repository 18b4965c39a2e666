//! How the hub sends mail.

use anyhow::{Context as _, Result, bail};
use lettre::message::Mailbox;

use super::load::Reader;
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

    fn named(name: &str) -> Option<Self> {
        [Self::StartTls, Self::Tls, Self::Off].into_iter().find(|tls| tls.as_str() == name)
    }
}

/// What the settings say of mail.
///
/// # Errors
/// When they do not go together.
pub(super) fn read(reader: &mut Reader) -> Result<Option<Mail>> {
    let password = reader.secret("mail.password", "mail.password_file")?;
    let others = ["mail.port", "mail.tls", "mail.username", "mail.from"].map(|key| (key, reader.layers.get(key)));
    let password_place = password.as_ref().map(|given| ("mail.password", given.place.clone()));
    let Some(host) = reader.layers.get("mail.host") else {
        let stray = others.into_iter().find_map(|(key, given)| Some((key, given?.place))).or(password_place);
        if let Some((key, place)) = stray {
            bail!("{place}: {key} is of no use without mail.host; name the server that takes mail");
        }
        for key in ["mail.host", "mail.port", "mail.tls", "mail.username", "mail.password", "mail.from"] {
            reader.show(key, "");
        }
        return Ok(None);
    };
    if !is_host(&host.text) {
        bail!("{}: mail.host must be the name or address of a server, without a scheme or port", host.place);
    }
    reader.show("mail.host", &host.text);
    let tls = match reader.layers.get("mail.tls") {
        None => MailTls::StartTls,
        Some(given) => MailTls::named(&given.text)
            .with_context(|| format!("{}: mail.tls must be starttls, tls or none", given.place))?,
    };
    reader.show("mail.tls", tls.as_str());
    let port = reader.number("mail.port", tls.port().into(), 1, u16::MAX.into())?;
    let username = reader.layers.get("mail.username");
    reader.show("mail.username", username.as_ref().map_or("", |given| given.text.as_str()));
    reader.show("mail.password", if password.is_some() { "(hidden)" } else { "" });
    let login = match (username, password) {
        (Some(username), Some(password)) => {
            Some(MailLogin { username: username.text, password: Secret::new(password.text) })
        }
        (None, None) => None,
        (Some(given), None) | (None, Some(given)) => {
            bail!("{}: mail.username and mail.password belong together; set both or none", given.place)
        }
    };
    if login.is_some() && tls == MailTls::Off && !is_loopback(&host.text) {
        bail!(
            "{}: mail.tls none would send the password of mail in the clear to {}; use starttls or tls",
            host.place,
            host.text
        );
    }
    let Some(from) = reader.layers.get("mail.from") else {
        bail!("{}: mail.from is missing: who mails are from, such as Roadstead <hub@example.com>", host.place);
    };
    let parsed = from.text.parse().ok().filter(|_| !from.text.chars().any(char::is_control));
    let sender = parsed
        .with_context(|| format!("{}: mail.from must be an address such as Roadstead <hub@example.com>", from.place))?;
    reader.show("mail.from", &from.text);
    // The number was checked against what a port holds.
    let port = u16::try_from(port).unwrap_or_else(|_| tls.port());
    Ok(Some(Mail { host: host.text, port, tls, login, from: sender }))
}

/// Whether a name can only mean this machine.
fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

/// Whether it is a host: a name or an address, and nothing that could end a line.
fn is_host(host: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':' | b'_');
    !host.is_empty() && host.len() <= 253 && host.bytes().all(plain)
}
