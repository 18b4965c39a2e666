//! Counts connections, in all and per address, for as long as their sockets are open, upgraded ones included.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// In all: well below what one process may open, because jobs, databases and files need descriptors too.
pub(super) const MAX_CONNECTIONS: u32 = 16_384;
/// From one address, unless it is a listed proxy or this machine.
pub(super) const MAX_PER_ADDRESS: u32 = 1_024;

/// The open connections.
#[derive(Debug, Clone)]
pub(in crate::http) struct Connections {
    free: Arc<Semaphore>,
    per_address: Arc<Mutex<HashMap<IpAddr, u32>>>,
}

/// A place for one connection.
#[derive(Debug)]
pub(super) struct Place {
    _permit: OwnedSemaphorePermit,
    counted: Option<Counted>,
}

#[derive(Debug)]
struct Counted {
    address: IpAddr,
    per_address: Arc<Mutex<HashMap<IpAddr, u32>>>,
}

impl Connections {
    pub(super) fn new() -> Self {
        let free = usize::try_from(MAX_CONNECTIONS).unwrap_or(Semaphore::MAX_PERMITS);
        Self { free: Arc::new(Semaphore::new(free)), per_address: Arc::default() }
    }

    /// Waits until there is room for one more.
    pub(super) async fn room(&self) -> Option<Place> {
        // The semaphore is never closed.
        let permit = Arc::clone(&self.free).acquire_owned().await.ok()?;
        Some(Place { _permit: permit, counted: None })
    }

    /// Counts a connection for its address; `false` when that has too many.
    pub(super) fn count(&self, place: &mut Place, address: IpAddr) -> bool {
        let mut counts = self.per_address.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(address).or_default();
        if *count >= MAX_PER_ADDRESS {
            return false;
        }
        *count += 1;
        place.counted = Some(Counted { address, per_address: Arc::clone(&self.per_address) });
        true
    }

    /// How many are open.
    pub(in crate::http) fn open(&self) -> usize {
        usize::try_from(MAX_CONNECTIONS).unwrap_or(0).saturating_sub(self.free.available_permits())
    }

    /// Waits until all are closed, for `limit` at most.
    pub(super) async fn closed(&self, limit: Duration) {
        // Either way there is nothing more to do.
        let _ = tokio::time::timeout(limit, self.free.acquire_many(MAX_CONNECTIONS)).await;
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut counts = self.per_address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

/// A socket with its place: an upgraded connection leaves hyper and takes its socket along.
#[derive(Debug)]
pub(super) struct Placed<T> {
    socket: T,
    _place: Place,
}

impl<T> Placed<T> {
    pub(super) const fn new(socket: T, place: Place) -> Self {
        Self { socket, _place: place }
    }

    pub(super) const fn socket(&self) -> &T {
        &self.socket
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Placed<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(cx, buffer)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Placed<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }
}
