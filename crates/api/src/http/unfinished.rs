//! How much memory bodies may hold that have not come to their end: they are read before anybody is asked who sent
//! them, so strangers must not be able to fill it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::http::HeaderMap;

use super::body::{self, MAX_BODY_BYTES};
use crate::error::{Error, ErrorCode, Result};

/// Of everybody together.
const MAX_BYTES: usize = 256 << 20;
/// Of one address: sixteen of the largest at once.
const MAX_BYTES_PER_ADDRESS: usize = 16 << 20;
/// What a body takes however short it is.
const LEAST: usize = 1 << 10;
/// Until somebody's bodies came to their end, or were given up.
const RETRY_AFTER_S: u64 = 15;

/// Room that is taken by bodies on their way.
#[derive(Debug, Default)]
pub(super) struct Unfinished(Mutex<Held>);

#[derive(Debug, Default)]
struct Held {
    bytes: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// Room for one body; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Room<'u> {
    unfinished: &'u Unfinished,
    address: IpAddr,
    bytes: usize,
}

impl Unfinished {
    /// Room for the body that these headers announce, of a client that is counted as `address`.
    ///
    /// # Errors
    /// 429 when that address, or 503 when everybody together, holds too much already.
    pub(super) fn room(&self, address: IpAddr, headers: &HeaderMap) -> Result<Room<'_>> {
        let announced = body::announced(headers).unwrap_or(MAX_BODY_BYTES).min(MAX_BODY_BYTES);
        let bytes = announced.max(LEAST);
        let mut held = self.held();
        let of_address = held.by_address.get(&address).copied().unwrap_or_default();
        if of_address + bytes > MAX_BYTES_PER_ADDRESS {
            let message = "too many requests of this address have not come to their end; finish those first";
            return Err(Error::new(ErrorCode::RateLimited, message).retry_after(RETRY_AFTER_S));
        }
        if held.bytes + bytes > MAX_BYTES {
            let message = "the hub waits for the end of too many requests; try again in a moment";
            return Err(Error::unavailable(message).retry_after(RETRY_AFTER_S));
        }
        held.bytes += bytes;
        held.by_address.insert(address, of_address + bytes);
        Ok(Room { unfinished: self, address, bytes })
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // No step leaves it half-changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        let mut held = self.unfinished.held();
        held.bytes = held.bytes.saturating_sub(self.bytes);
        let left = held.by_address.get(&self.address).copied().unwrap_or_default().saturating_sub(self.bytes);
        if left == 0 {
            held.by_address.remove(&self.address);
        } else {
            held.by_address.insert(self.address, left);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use axum::http::header;

    use super::*;

    fn address(number: u32) -> IpAddr {
        Ipv4Addr::from_bits(number).into()
    }

    #[test]
    fn one_address_cannot_fill_the_memory_and_all_of_them_neither() {
        let unfinished = Unfinished::default();
        let unknown = HeaderMap::new();
        let mut rooms: Vec<_> = (0..16).map(|_| unfinished.room(address(1), &unknown).unwrap()).collect();
        assert_eq!(unfinished.room(address(1), &unknown).unwrap_err().code(), ErrorCode::RateLimited);
        let short = HeaderMap::from_iter([(header::CONTENT_LENGTH, "20".parse().unwrap())]);
        assert!(unfinished.room(address(1), &short).is_err() && unfinished.room(address(2), &short).is_ok());

        rooms.pop();
        drop(unfinished.room(address(1), &unknown).unwrap());
        let many: Vec<_> = (2..).map_while(|number| unfinished.room(address(number), &unknown).ok()).collect();
        assert_eq!(many.len() + rooms.len(), 256);
        assert_eq!(unfinished.room(address(9_999), &unknown).unwrap_err().code(), ErrorCode::Unavailable);
        drop((rooms, many));
        assert!(unfinished.held().by_address.is_empty() && unfinished.held().bytes == 0);
    }
}
