//! A link between agent and hub that can be cut, stalled and mended.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What the link does with bytes and connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Passes everything.
    Up,
    /// Connections stay open, nothing passes: a dead peer that sends no FIN.
    Stalled,
    /// Every connection is broken off and none is taken.
    Cut,
}

/// A TCP proxy on loopback.
#[derive(Debug)]
pub struct Link {
    address: SocketAddr,
    state: Arc<watch::Sender<State>>,
    task: JoinHandle<()>,
}

impl Link {
    /// Starts a link to a local port.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn to(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let address = listener.local_addr().expect("its address");
        let state = Arc::new(watch::Sender::new(State::Up));
        let states = Arc::clone(&state);
        let task = tokio::spawn(async move {
            while let Ok((inbound, _)) = listener.accept().await {
                if *states.borrow() == State::Cut {
                    continue;
                }
                let states = Arc::clone(&states);
                tokio::spawn(async move {
                    let Ok(outbound) = TcpStream::connect(("127.0.0.1", port)).await else { return };
                    let (from_agent, to_agent) = inbound.into_split();
                    let (from_hub, to_hub) = outbound.into_split();
                    tokio::select! {
                        () = pump(from_agent, to_hub, states.subscribe()) => {}
                        () = pump(from_hub, to_agent, states.subscribe()) => {}
                        _ = wait_for(states.subscribe(), State::Cut) => {}
                    }
                });
            }
        });
        Self { address, state, task }
    }

    /// The port to connect to.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.address.port()
    }

    /// Changes what the link does.
    pub fn set(&self, state: State) {
        self.state.send_replace(state);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.state.send_replace(State::Cut);
        self.task.abort();
    }
}

async fn wait_for(mut states: watch::Receiver<State>, wanted: State) {
    let _ = states.wait_for(|state| *state == wanted).await;
}

async fn pump(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut states: watch::Receiver<State>,
) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(count) = from.read(&mut buffer).await {
        if states.wait_for(|state| *state != State::Stalled).await.is_err() {
            return;
        }
        if count == 0 || to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}
