//! The listener: accepts, encrypts, limits and drains connections.
//!
//! Our own loop on hyper, because ready-made servers offer none of: a time limit and a cap on TLS handshakes, caps on
//! connections in all and per address, an end for event streams and sockets when the hub stops.

mod accept;
mod connections;
#[cfg(test)]
mod tests;

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use tokio::net::{TcpListener, TcpSocket};
use tokio::signal::unix::{SignalKind, signal};

pub(super) use connections::Connections;

use super::tls::{Certificate, Trust};
use crate::background::{self, Wake};
use crate::error::Error;
use crate::hub::App;

const BACKLOG: u32 = 1024;
const RELOAD_EVERY: Duration = Duration::from_mins(1);

/// An open listener with its certificate: everything that can go wrong at start has not.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    certificate: Option<Arc<Certificate>>,
}

impl Listener {
    /// Loads the certificate and opens the socket.
    ///
    /// # Errors
    /// When the address is taken or may not be used, or the certificate cannot be read; the message says what to do.
    pub fn bind(app: &App) -> Result<Self> {
        let certificate = Certificate::load(&app.config, app.now()).context("the TLS certificate cannot be used")?;
        let trust = match &certificate {
            Some(certificate) => certificate.trust(&app.config.public_url, app.now())?,
            None => Trust::Public,
        };
        app.http.set_trust(trust);
        let socket = listen(app.config.listen).map_err(|error| explain(&error, app.config.listen))?;
        Ok(Self { socket, certificate })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn address(&self) -> Result<SocketAddr> {
        Ok(self.socket.local_addr()?)
    }

    /// Serves until the hub stops, then lets connections end: those in the middle of a request get some seconds.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub async fn serve(self, app: App) -> Result<()> {
        let acceptor = match &self.certificate {
            Some(certificate) => Some(certificate.server_config()?),
            None => None,
        };
        if let Some(certificate) = self.certificate {
            reload_on_change(&app, certificate)?;
        }
        accept::run(self.socket, acceptor, app).await;
        Ok(())
    }
}

/// Given files are read again each minute and on SIGHUP.
fn reload_on_change(app: &App, certificate: Arc<Certificate>) -> Result<()> {
    let wake = Wake::default();
    let mut hang_ups = signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?;
    let (woken, hub) = (wake.clone(), App::clone(app));
    app.tasks.spawn(async move {
        loop {
            tokio::select! {
                () = hub.tasks.stopping() => break,
                _ = hang_ups.recv() => woken.wake(),
            }
        }
    });
    background::spawn(app, "tls.reload", RELOAD_EVERY, wake, move |hub| {
        let certificate = Arc::clone(&certificate);
        async move {
            let changed = certificate.reload(&hub.config).map_err(Error::internal)?;
            if changed {
                let trust = certificate.trust(&hub.config.public_url, hub.now()).map_err(Error::internal)?;
                if trust != hub.http.trust() {
                    tracing::warn!(
                        ?trust,
                        "the new certificate is trusted in another way than the old one; agents that pinned the old key cannot connect"
                    );
                }
                hub.http.set_trust(trust);
                tracing::info!("the certificate was exchanged");
            }
            Ok(())
        }
    });
    Ok(())
}

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn explain(error: &std::io::Error, address: SocketAddr) -> anyhow::Error {
    let port = address.port();
    match error.kind() {
        ErrorKind::AddrInUse => anyhow!(
            "{address} is in use by another program; stop that program, or choose another address with --listen"
        ),
        ErrorKind::AddrNotAvailable => {
            anyhow!("this machine has no address {}; choose another with --listen", address.ip())
        }
        ErrorKind::PermissionDenied => anyhow!(
            "this user may not listen on port {port}; choose one from 1024 with --listen, or allow it with the \
             capability CAP_NET_BIND_SERVICE"
        ),
        _ => anyhow!("cannot listen on {address}: {error}"),
    }
}
