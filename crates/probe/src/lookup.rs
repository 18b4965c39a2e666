//! Names become addresses here, as this machine does it.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use hickory_resolver::{Resolver, system_conf};

use crate::limits;

/// Why a name has no address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LookupError {
    /// There is no such name, or it has no address.
    NotFound,
    /// Nobody could say; the resolver's words.
    Failed(String),
}

/// Asks for addresses. Tests put their own in, and so does a hub that has one already.
pub trait Lookup: fmt::Debug + Send + Sync {
    /// Every address of `host`. What it says is checked by the caller; how long it takes is bounded by the caller.
    fn lookup(&self, host: String) -> BoxFuture<'static, Result<Vec<IpAddr>, LookupError>>;

    /// The name servers of this machine, for DNS probes that name none.
    ///
    /// # Errors
    /// When the machine's configuration cannot be read, or names none.
    fn name_servers(&self) -> io::Result<Vec<SocketAddr>> {
        let (config, _) = system_conf::read_system_conf().map_err(|error| io::Error::other(error.to_string()))?;
        let servers: Vec<_> = config.name_servers().iter().map(|server| SocketAddr::new(server.ip, 53)).collect();
        if servers.is_empty() { Err(io::Error::other("no name server is configured")) } else { Ok(servers) }
    }
}

/// Asks the name servers that this machine is configured with, and its hosts file. Keeps nothing: they may change, and a
/// probe that is answered from a cache has not looked.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemLookup;

impl Lookup for SystemLookup {
    fn lookup(&self, host: String) -> BoxFuture<'static, Result<Vec<IpAddr>, LookupError>> {
        async move {
            let resolver = Resolver::builder_tokio().and_then(|mut builder| {
                builder.options_mut().timeout = limits::NAME_SERVER_TRY;
                builder.build()
            });
            let resolver = resolver.map_err(|error| LookupError::Failed(error.to_string()))?;
            match resolver.lookup_ip(host).await {
                Ok(found) => Ok(found.iter().collect()),
                Err(error) if error.is_nx_domain() || error.is_no_records_found() => Err(LookupError::NotFound),
                Err(error) => Err(LookupError::Failed(error.to_string())),
            }
        }
        .boxed()
    }
}
