//! A connection to the hub: look the name up, try its addresses side by side, then TLS.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use hickory_resolver::Resolver;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::host::net;
use crate::link::endpoint::{Endpoint, Host};
use crate::link::tls::{TlsPin, client_config};

/// For name, TCP and TLS together.
const CONNECT_DEADLINE: Duration = Duration::from_secs(10);
/// For one name server; a dead one must not use up the time of the others.
const LOOKUP_TRY: Duration = Duration::from_secs(2);
/// Head start of one address before the next is tried beside it.
const HEAD_START: Duration = Duration::from_millis(250);
/// Addresses tried.
const MAX_ADDRESSES: usize = 8;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The resolver gave no address.
    #[error("the name {name} could not be looked up: {reason}")]
    Lookup {
        /// The name.
        name: String,
        /// The resolver's words.
        reason: String,
    },
    /// No address took the connection.
    #[error("{address} did not take the connection: {source}")]
    Connect {
        /// The address tried last.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The certificate is not the hub's; it will not be in a minute either.
    #[error("{0}")]
    Certificate(String),
    /// Any other failure of the handshake.
    #[error("TLS failed: {0}")]
    Tls(String),
    /// It took too long.
    #[error("no connection within {} s", CONNECT_DEADLINE.as_secs())]
    Deadline,
}

/// A byte stream to the hub.
#[derive(Debug)]
pub enum Connection {
    /// To this very machine.
    Plain(TcpStream),
    /// Encrypted, and the other end is who it should be.
    Tls(Box<TlsStream<TcpStream>>),
}

/// Connects to `endpoint`. With a pin the certificate must hold that key, without one it must be publicly trusted.
///
/// # Errors
/// [`DialError`], within ten seconds.
pub async fn dial(endpoint: &Endpoint, pin: Option<TlsPin>) -> Result<Connection, DialError> {
    timeout(CONNECT_DEADLINE, Box::pin(dial_unbounded(endpoint, pin))).await.unwrap_or(Err(DialError::Deadline))
}

async fn dial_unbounded(endpoint: &Endpoint, pin: Option<TlsPin>) -> Result<Connection, DialError> {
    let addresses = addresses(endpoint).await?;
    let stream = connect_any(addresses, endpoint.port()).await?;
    if !endpoint.is_tls() {
        return Ok(Connection::Plain(stream));
    }
    let name = match endpoint.host() {
        Host::Name(name) => ServerName::try_from(name.clone()).map_err(|error| DialError::Tls(error.to_string()))?,
        Host::Address(address) => ServerName::from(*address),
    };
    let config = client_config(pin).map_err(|error| DialError::Tls(error.to_string()))?;
    let stream =
        TlsConnector::from(Arc::new(config)).connect(name, stream).await.map_err(|error| tls_error(&error, pin))?;
    Ok(Connection::Tls(Box::new(stream)))
}

/// A library's words for a wrong certificate help nobody who stands before a server.
fn tls_error(error: &io::Error, pin: Option<TlsPin>) -> DialError {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match (inner, pin) {
        (Some(rustls::Error::InvalidCertificate(_)), Some(pin)) => DialError::Certificate(format!(
            "the hub's certificate does not hold the pinned key {pin}; somebody may stand between"
        )),
        (Some(rustls::Error::InvalidCertificate(why)), None) => DialError::Certificate(format!(
            "the hub's certificate is not publicly trusted ({why}) and no key is pinned"
        )),
        _ => DialError::Tls(error.to_string()),
    }
}

/// The addresses of `endpoint`'s host, in the order in which they are tried. The caller bounds the time.
///
/// # Errors
/// [`DialError::Lookup`].
pub async fn addresses(endpoint: &Endpoint) -> Result<Vec<IpAddr>, DialError> {
    if let Some(local) = endpoint.host().local_addresses() {
        return Ok(local);
    }
    let name = match endpoint.host() {
        Host::Address(address) => return Ok(vec![*address]),
        Host::Name(name) => name,
    };
    let failed = |reason: String| DialError::Lookup { name: name.clone(), reason };
    // Made anew each time: the machine's name servers may have changed, and an idle agent keeps nothing of it.
    let resolver = Resolver::builder_tokio().and_then(|mut builder| {
        builder.options_mut().timeout = LOOKUP_TRY;
        builder.build()
    });
    let resolver = resolver.map_err(|error| failed(error.to_string()))?;
    let found = resolver.lookup_ip(name.as_str()).await.map_err(|error| {
        if error.is_nx_domain() || error.is_no_records_found() {
            return failed("there is no such name, or it has no address".to_owned());
        }
        failed(error.to_string())
    })?;
    let addresses = interleave(found.iter().collect());
    if addresses.is_empty() { Err(failed("it has no address".to_owned())) } else { Ok(addresses) }
}

/// IPv6 and IPv4 in turn, so that a broken family costs one head start.
fn interleave(addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    let (six, four): (Vec<_>, Vec<_>) = addresses.into_iter().partition(IpAddr::is_ipv6);
    let longest = six.len().max(four.len());
    (0..longest).flat_map(|index| [six.get(index), four.get(index)]).flatten().copied().take(MAX_ADDRESSES).collect()
}

async fn connect_any(addresses: Vec<IpAddr>, port: u16) -> Result<TcpStream, DialError> {
    let attempt = |address: IpAddr| async move {
        let address = SocketAddr::new(address, port);
        net::connect(address).await.map_err(|source| DialError::Connect { address, source })
    };
    let mut waiting = addresses.into_iter();
    let mut attempts: FuturesUnordered<_> = waiting.next().map(attempt).into_iter().collect();
    let mut last = DialError::Deadline;
    loop {
        tokio::select! {
            done = attempts.next() => match done {
                Some(Ok(stream)) => return Ok(stream),
                Some(Err(error)) => last = error,
                None => {}
            },
            () = sleep(HEAD_START), if waiting.len() > 0 => {}
        }
        match waiting.next() {
            Some(address) => attempts.push(attempt(address)),
            None if attempts.is_empty() => return Err(last),
            None => {}
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_take_turns() {
        let parse = |text: &str| text.parse::<IpAddr>().unwrap();
        let mixed = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "2001:db8::1"].map(parse).to_vec();
        let order: Vec<String> = interleave(mixed).iter().map(ToString::to_string).collect();
        assert_eq!(order, ["2001:db8::1", "10.0.0.1", "10.0.0.2", "10.0.0.3"]);
        assert_eq!(interleave(vec![parse("10.0.0.1"); 30]).len(), MAX_ADDRESSES);
    }

    #[tokio::test]
    async fn a_dead_address_does_not_hide_a_live_one() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let stream = connect_any(vec!["::1".parse().unwrap(), "127.0.0.1".parse().unwrap()], port).await.unwrap();
        assert!(stream.peer_addr().unwrap().is_ipv4());
    }

    #[tokio::test]
    async fn a_refusal_names_the_address() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let endpoint = Endpoint::parse(crate::link::endpoint::Family::Http, &format!("http://{address}")).unwrap();
        let error = dial(&endpoint, None).await.unwrap_err();
        assert!(error.to_string().contains(&address.to_string()), "{error}");
    }
}
