//! Hands letters to the mail server of the settings.

use std::time::Duration;

use lettre::message::header::{self, Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message, MultiPart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::response::Response;
use lettre::{Address, AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};

use super::render::Letter;
use crate::clock::Timestamp;
use crate::config::{Mail, MailTls};
use crate::hub::Hub;

/// For one command of the conversation.
const COMMAND: Duration = Duration::from_secs(10);
/// For the whole of it.
const WHOLE: Duration = Duration::from_secs(30);
const MAX_WORDS: usize = 300;

/// What a server answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answered {
    pub(super) code: u16,
    /// Code and words.
    pub(super) words: String,
}

/// Why a letter was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NotTaken {
    /// Time does not mend it.
    pub(super) for_good: bool,
    pub(super) code: Option<u16>,
    pub(super) words: String,
}

/// A letter with its envelope. `id` is the same with every attempt, so that a server that got it twice can tell.
pub(super) struct Posted<'a> {
    pub(super) id: String,
    pub(super) to: &'a str,
    pub(super) name: &'a str,
    pub(super) at: Timestamp,
    pub(super) letter: &'a Letter,
}

/// Sends a letter.
pub(super) async fn send(hub: &Hub, mail: &Mail, posted: Posted<'_>) -> Result<Answered, NotTaken> {
    let never = |words: String| NotTaken { for_good: true, code: None, words };
    let message = message(hub, mail, posted).map_err(never)?;
    let transport = transport(hub, mail).map_err(never)?;
    let again = |words: &str| NotTaken { for_good: false, code: None, words: words.to_owned() };
    let sent = tokio::time::timeout(WHOLE, transport.send(message)).await;
    let sent = sent.map_err(|_| again("the mail server did not answer in time"))?;
    sent.map(|response| answered(&response)).map_err(|error| not_taken(&error))
}

fn message(hub: &Hub, mail: &Mail, posted: Posted<'_>) -> Result<Message, String> {
    let Posted { id, to, name, at, letter } = posted;
    let address: Address = to.parse().map_err(|_| "this is no address that mail can be sent to".to_owned())?;
    let name: String = name.chars().filter(|char| !char.is_control()).collect();
    let name = (!name.trim().is_empty()).then(|| name.trim().to_owned());
    let seconds = Duration::from_secs(u64::try_from(at.as_s()).unwrap_or(0));
    let builder = Message::builder()
        .from(mail.from.clone())
        .to(Mailbox::new(name, address))
        .subject(letter.subject.as_str())
        .message_id(Some(format!("<{id}@{}>", hub.config.public_url.host())))
        .date(std::time::SystemTime::UNIX_EPOCH + seconds)
        // No answers of people who are away, and no lists.
        .header(AutoSubmitted);
    let parts = MultiPart::alternative_plain_html(letter.text.clone(), letter.html.clone());
    builder.multipart(parts).map_err(|error| format!("the letter cannot be written: {error}"))
}

fn transport(hub: &Hub, mail: &Mail) -> Result<AsyncSmtpTransport<Tokio1Executor>, String> {
    let tls = || -> Result<TlsParameters, String> {
        let problem = |error| format!("TLS cannot be set up: {error}");
        let mut builder = TlsParameters::builder(mail.host.clone()).certificate_store(CertificateStore::WebpkiRoots);
        for certificate in hub.outbound.further_certificates() {
            let certificate = Certificate::from_der(certificate.to_vec()).map_err(problem)?;
            builder = builder.add_root_certificate(certificate);
        }
        builder.build_rustls().map_err(problem)
    };
    let tls = match mail.tls {
        MailTls::StartTls => Tls::Required(tls()?),
        MailTls::Tls => Tls::Wrapper(tls()?),
        MailTls::Off => Tls::None,
    };
    let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(mail.host.clone())
        .port(mail.port)
        .tls(tls)
        .timeout(Some(COMMAND))
        .hello_name(hello(hub));
    if let Some(login) = &mail.login {
        builder = builder.credentials(Credentials::new(login.username.clone(), login.password.reveal().to_owned()));
    }
    Ok(builder.build())
}

fn hello(hub: &Hub) -> ClientId {
    match hub.config.public_url.ip() {
        Some(std::net::IpAddr::V4(address)) => ClientId::Ipv4(address),
        Some(std::net::IpAddr::V6(address)) => ClientId::Ipv6(address),
        None => ClientId::Domain(hub.config.public_url.host().to_owned()),
    }
}

fn answered(response: &Response) -> Answered {
    let code = u16::from(response.code());
    let words = response.message().collect::<Vec<_>>().join(" ");
    Answered { code, words: cleaned(&format!("{code} {words}")) }
}

fn not_taken(error: &lettre::transport::smtp::Error) -> NotTaken {
    // The library's text begins with what kind of error it is, and its causes say more.
    let mut words = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        let cause_words = cause.to_string();
        if !words.contains(&cause_words) {
            words.push_str(": ");
            words.push_str(&cause_words);
        }
        next = cause.source();
    }
    NotTaken { for_good: error.is_permanent(), code: error.status().map(u16::from), words: cleaned(&words) }
}

/// What a server says is shown to people: one line, not too long.
fn cleaned(words: &str) -> String {
    words.chars().map(|char| if char.is_control() { ' ' } else { char }).take(MAX_WORDS).collect()
}

/// `Auto-Submitted: auto-generated` (RFC 3834).
#[derive(Debug, Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_text: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        header::HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}
