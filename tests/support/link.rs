//! A link between agent and hub that can be cut, stalled, slowed down, stopped at a chosen byte, and mended.
//!
//! It is one TCP connection after the other, so it keeps what TCP keeps: nothing inside a connection comes twice or in
//! another order, here as on any real network.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

/// What the link does with bytes and connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Passes everything.
    Up,
    /// Connections stay open, nothing passes: a dead peer that sends no FIN.
    Stalled,
    /// Every connection is broken off and none is taken; what was under way is gone.
    Cut,
}

/// Where bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the hub.
    ToAgent,
    /// From the agent.
    ToHub,
}

/// A TCP proxy on loopback.
#[derive(Debug)]
pub struct Link {
    address: SocketAddr,
    control: Arc<Control>,
    task: JoinHandle<()>,
}

/// What all connections of a link obey.
#[derive(Debug)]
struct Control {
    state: watch::Sender<State>,
    /// How often it was cut: no connection outlives a cut, however soon the link is up again.
    cuts: watch::Sender<u64>,
    delay: Mutex<Duration>,
    stop: Mutex<Option<Stop>>,
}

/// Where the link is to stall by itself.
#[derive(Debug)]
struct Stop {
    direction: Direction,
    bytes_left: usize,
    reached: oneshot::Sender<()>,
}

impl Link {
    /// Starts a link to a local port.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn to(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let address = listener.local_addr().expect("its address");
        let control = Arc::new(Control {
            state: watch::Sender::new(State::Up),
            cuts: watch::Sender::new(0),
            delay: Mutex::new(Duration::ZERO),
            stop: Mutex::new(None),
        });
        let shared = Arc::clone(&control);
        let task = tokio::spawn(async move {
            while let Ok((inbound, _)) = listener.accept().await {
                if *shared.state.borrow() == State::Cut {
                    continue;
                }
                tokio::spawn(connect(inbound, port, Arc::clone(&shared), shared.cuts.subscribe()));
            }
        });
        Self { address, control, task }
    }

    /// The port to connect to.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.address.port()
    }

    /// Changes what the link does.
    pub fn set(&self, state: State) {
        self.control.state.send_replace(state);
        if state == State::Cut {
            self.control.cuts.send_modify(|cuts| *cuts += 1);
        }
    }

    /// Every piece takes so much longer from now on.
    pub fn delay(&self, delay: Duration) {
        *lock(&self.control.delay) = delay;
    }

    /// Lets `bytes` more bytes pass in one direction and then stalls, be it in the middle of a message. The receiver
    /// hears of that moment; a later call takes the place of an earlier one.
    pub fn stall_after(&self, direction: Direction, bytes: usize) -> oneshot::Receiver<()> {
        let (reached, heard) = oneshot::channel();
        *lock(&self.control.stop) = Some(Stop { direction, bytes_left: bytes, reached });
        heard
    }

    /// Takes [`Link::stall_after`] back, where it has not happened yet.
    pub fn go_on(&self) {
        *lock(&self.control.stop) = None;
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.set(State::Cut);
        self.task.abort();
    }
}

impl Control {
    /// How many of `bytes` may pass now; fewer when the link stalls after them.
    fn admit(&self, direction: Direction, bytes: usize) -> (usize, Option<oneshot::Sender<()>>) {
        let mut stop = lock(&self.stop);
        match &mut *stop {
            Some(here) if here.direction == direction && here.bytes_left > bytes => {
                here.bytes_left -= bytes;
                (bytes, None)
            }
            Some(here) if here.direction == direction => {
                let passing = here.bytes_left;
                (passing, stop.take().map(|stop| stop.reached))
            }
            _ => (bytes, None),
        }
    }
}

async fn connect(inbound: TcpStream, port: u16, control: Arc<Control>, mut cuts: watch::Receiver<u64>) {
    let Ok(outbound) = TcpStream::connect(("127.0.0.1", port)).await else { return };
    let (from_agent, to_agent) = inbound.into_split();
    let (from_hub, to_hub) = outbound.into_split();
    tokio::select! {
        () = pump(from_agent, to_hub, Direction::ToHub, &control) => {}
        () = pump(from_hub, to_agent, Direction::ToAgent, &control) => {}
        _ = cuts.changed() => {}
    }
}

async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, direction: Direction, control: &Control) {
    let mut states = control.state.subscribe();
    let mut buffer = vec![0; 64 << 10];
    while let Ok(count) = from.read(&mut buffer).await {
        let delay = *lock(&control.delay);
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        let mut waiting = &buffer[..count];
        loop {
            if states.wait_for(|state| *state != State::Stalled).await.is_err() {
                return;
            }
            let (passing, reached) = control.admit(direction, waiting.len());
            let (now, later) = waiting.split_at(passing);
            if to.write_all(now).await.is_err() {
                return;
            }
            waiting = later;
            if let Some(reached) = reached {
                control.state.send_replace(State::Stalled);
                // Whoever does not listen any more does not want to know.
                let _ = reached.send(());
            }
            if waiting.is_empty() {
                break;
            }
        }
        if count == 0 {
            return;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
