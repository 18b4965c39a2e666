//! A connection to a target: look its name up, check every address, connect to one of those that were checked.
//!
//! There is no other way to an address in this crate. A name is asked once per connection and what it says is what is
//! connected to, so a name that changes its mind in between (DNS rebinding) changes nothing; and a redirect is a
//! connection like the first.

use std::io;
use std::net::{IpAddr, SocketAddr};

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use protocol::address::{Reach, class};
use protocol::probe::{Failure, FailureCode};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use crate::Env;
use crate::host::Host;
use crate::limits;
use crate::lookup::LookupError;
use crate::watch::{Phase, Watch, fail, short};

/// The addresses of a host, in the order in which they are tried; all of them are within reach.
pub(crate) async fn resolve(host: &Host, reach: Reach, env: &Env, watch: &mut Watch) -> Result<Vec<IpAddr>, Failure> {
    let name = match host {
        Host::Address(address) => return checked(vec![*address], host, reach),
        Host::Name(name) => name,
    };
    watch.stage(format!("while the addresses of {name} were asked for"));
    let since = Instant::now();
    let found = env.lookup.lookup(name.clone()).await;
    watch.ended(Phase::Dns, since);
    let found = found.map_err(|error| match error {
        LookupError::NotFound => fail(
            FailureCode::Unresolved,
            format!("there is no name {name}, or it has no address; look for a typing error, and at its DNS zone"),
        ),
        LookupError::Failed(why) => fail(
            FailureCode::Unresolved,
            format!("the name {name} could not be looked up: {}; look at the name servers", short(&why, 80)),
        ),
    })?;
    checked(found, host, reach)
}

/// All of them, or none: a name with one address inside is not to be trusted with the others. Which one it was is not
/// said: it would tell about the networks of whoever asks.
fn checked(found: Vec<IpAddr>, host: &Host, reach: Reach) -> Result<Vec<IpAddr>, Failure> {
    if found.is_empty() {
        return Err(fail(FailureCode::Unresolved, format!("the name {host} has no address; look at its DNS zone")));
    }
    if found.len() > limits::ADDRESSES_CHECKED {
        let text = format!(
            "{host} has {} addresses, more than the {} that are checked",
            found.len(),
            limits::ADDRESSES_CHECKED
        );
        return Err(fail(FailureCode::Unresolved, text));
    }
    let within = found.iter().all(|address| reach.covers(class(*address)));
    if !within {
        let text = match reach {
            Reach::Public => "leads to a private or reserved address, and this monitor may only reach the Internet",
            Reach::Private => "leads to a link-local, metadata or reserved address, which no monitor may reach",
        };
        return Err(fail(FailureCode::Beyond, format!("{host} {text}")));
    }
    Ok(interleave(found))
}

/// IPv6 and IPv4 in turn, so that a broken family costs one head start.
fn interleave(addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    let (six, four): (Vec<_>, Vec<_>) = addresses.into_iter().partition(IpAddr::is_ipv6);
    let longest = six.len().max(four.len());
    let turns = (0..longest).flat_map(|index| [six.get(index), four.get(index)]).flatten().copied();
    turns.take(limits::ADDRESSES).collect()
}

/// Looks up, checks and connects.
pub(crate) async fn dial(
    host: &Host,
    port: u16,
    reach: Reach,
    env: &Env,
    watch: &mut Watch,
) -> Result<TcpStream, Failure> {
    if port == 0 {
        return Err(fail(FailureCode::Unsupported, "port 0 cannot be connected to; name a port from 1 to 65535"));
    }
    let addresses = resolve(host, reach, env, watch).await?;
    watch.stage(format!("while the connection to {} was made", listed(&addresses, port)));
    let since = Instant::now();
    let (stream, address) = connect_any(addresses, port).await?;
    watch.ended(Phase::Connect, since);
    watch.seen.address = Some(address.to_string());
    // What is sent is one message; it should not wait for an acknowledgement of its beginning.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

fn listed(addresses: &[IpAddr], port: u16) -> String {
    let all: Vec<_> = addresses.iter().map(|address| SocketAddr::new(*address, port).to_string()).collect();
    all.join(", ")
}

async fn connect_any(addresses: Vec<IpAddr>, port: u16) -> Result<(TcpStream, SocketAddr), Failure> {
    let attempt = |address: IpAddr| async move {
        let address = SocketAddr::new(address, port);
        match TcpStream::connect(address).await {
            Ok(stream) => Ok((stream, address)),
            Err(error) => Err(connect_failure(address, &error)),
        }
    };
    let mut waiting = addresses.into_iter();
    let mut attempts: FuturesUnordered<_> = waiting.next().map(attempt).into_iter().collect();
    let mut told: Option<Failure> = None;
    loop {
        tokio::select! {
            done = attempts.next() => match done {
                Some(Ok(connected)) => return Ok(connected),
                // A refusal says more of the target than a family that this machine has no route for.
                Some(Err(failure)) if told.as_ref().is_none_or(|told| told.code == FailureCode::Unreachable) => {
                    told = Some(failure);
                }
                Some(Err(_)) | None => {}
            },
            () = sleep(limits::HEAD_START), if waiting.len() > 0 => {}
        }
        match waiting.next() {
            Some(address) => attempts.push(attempt(address)),
            None if attempts.is_empty() => {
                return Err(
                    told.unwrap_or_else(|| fail(FailureCode::Unreachable, "there was no address to connect to"))
                );
            }
            None => {}
        }
    }
}

/// Why a connection could not be made, in words.
pub(crate) fn connect_failure(address: SocketAddr, error: &io::Error) -> Failure {
    use io::ErrorKind as Kind;
    match error.kind() {
        Kind::ConnectionRefused | Kind::ConnectionReset => fail(
            FailureCode::Refused,
            format!("{address} refused the connection; does the service run, and listen on this address and port?"),
        ),
        Kind::TimedOut => fail(
            FailureCode::Timeout,
            format!("{address} did not answer; is the host up, or does a firewall drop what it gets?"),
        ),
        Kind::PermissionDenied => fail(
            FailureCode::Unreachable,
            format!("this machine may not connect to {address}; look at its own firewall"),
        ),
        _ => {
            fail(FailureCode::Unreachable, format!("there is no way to {address}: {error}; look at routes and network"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn one_address_beyond_reach_condemns_the_name() {
        let host = Host::Name("mixed.example".to_owned());
        let code = |texts: &[&str], reach| checked(parse(texts), &host, reach).map_err(|failure| failure.code);
        assert_eq!(code(&["1.1.1.1", "10.0.0.1"], Reach::Public), Err(FailureCode::Beyond));
        assert_eq!(code(&["10.0.0.1", "169.254.169.254"], Reach::Private), Err(FailureCode::Beyond));
        assert_eq!(code(&[], Reach::Private), Err(FailureCode::Unresolved));
        assert_eq!(code(&["1.1.1.1", "10.0.0.1"], Reach::Private), Ok(parse(&["1.1.1.1", "10.0.0.1"])));
        assert_eq!(code(&["1.1.1.1"; 65], Reach::Public), Err(FailureCode::Unresolved), "nor are half of them checked");
    }

    #[test]
    fn which_address_was_beyond_reach_is_not_said() {
        let host = Host::Name("mixed.example".to_owned());
        let text = checked(parse(&["10.1.2.3"]), &host, Reach::Public).unwrap_err().text;
        assert!(text.contains("mixed.example") && !text.contains("10.1.2.3"), "{text}");
    }

    #[test]
    fn families_take_turns() {
        let order = interleave(parse(&["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "2001:db8::1"]));
        assert_eq!(order, parse(&["2001:db8::1", "10.0.0.1", "10.0.0.2", "10.0.0.3"]));
    }
}
