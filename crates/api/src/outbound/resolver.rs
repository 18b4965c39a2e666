//! Names become addresses here, and only addresses within reach become connections.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::Semaphore;

use super::address::{Reach, class};

/// Names that may be looked up at once: the system's resolver takes a thread for each, for as long as a name server
/// keeps it waiting.
const AT_ONCE: usize = 64;

/// Asks for the addresses of a name. Tests put their own in.
pub trait Lookup: fmt::Debug + Send + Sync {
    /// Every address of `host`.
    fn lookup(&self, host: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;
}

/// Asks as this machine asks: its hosts file, its name servers.
#[derive(Debug)]
pub struct SystemLookup {
    permits: Arc<Semaphore>,
}

impl Default for SystemLookup {
    fn default() -> Self {
        Self { permits: Arc::new(Semaphore::new(AT_ONCE)) }
    }
}

impl Lookup for SystemLookup {
    fn lookup(&self, host: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let permits = Arc::clone(&self.permits);
        async move {
            let permit = permits.acquire_owned().await.map_err(io::Error::other)?;
            let asked = tokio::task::spawn_blocking(move || {
                // Kept until the system is done, which may be long after the caller gave up.
                let _permit = permit;
                let found = std::net::ToSocketAddrs::to_socket_addrs(&(host.as_str(), 0))?;
                Ok(found.map(|address| address.ip()).collect())
            });
            asked.await.map_err(io::Error::other)?
        }
        .boxed()
    }
}

/// Why a name leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    /// No address, or nobody could say.
    #[error("the name cannot be resolved")]
    Unknown,
    /// At least one address lies beyond the reach. Which one is not said: it would tell about the hub's networks.
    #[error("the name leads to a private or reserved address")]
    Beyond,
}

/// What a client asks before each connection: the addresses that it returns are the ones connected to, so a name that
/// changes its mind in between changes nothing.
#[derive(Debug, Clone)]
pub(super) struct Guard {
    pub(super) lookup: Arc<dyn Lookup>,
    pub(super) reach: Reach,
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.reach;
        let asked = self.lookup.lookup(name.as_str().to_owned());
        async move {
            let found = asked.await.map_err(|_| Refused::Unknown)?;
            let addresses: Addrs = Box::new(checked(found, reach)?.into_iter().map(|ip| SocketAddr::new(ip, 0)));
            Ok(addresses)
        }
        .boxed()
    }
}

/// All of them, or none: a name with one address inside is not to be trusted with the others.
fn checked(found: Vec<IpAddr>, reach: Reach) -> Result<Vec<IpAddr>, Refused> {
    if found.is_empty() {
        return Err(Refused::Unknown);
    }
    if !found.iter().all(|address| reach.covers(class(*address))) {
        return Err(Refused::Beyond);
    }
    Ok(found)
}
