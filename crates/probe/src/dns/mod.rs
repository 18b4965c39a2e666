//! A question to a name server, and what it says.

mod exchange;
mod records;

use std::net::{IpAddr, SocketAddr};

use hickory_resolver::proto::op::{Message, Query, ResponseCode};
use hickory_resolver::proto::rr::Name;
use protocol::address::{Reach, class};
use protocol::probe::{DnsExpect, DnsProbe, Failure, FailureCode, RecordKind};
use tokio::time::Instant;

use crate::dial::resolve;
use crate::host::Host;
use crate::watch::{Phase, Watch, fail, short};
use crate::{Env, limits};

/// Where name servers listen.
const PORT: u16 = 53;

pub(crate) async fn probe(probe: &DnsProbe, reach: Reach, env: &Env, watch: &mut Watch) -> Result<(), Failure> {
    let name = question_name(&probe.name)
        .ok_or_else(|| fail(FailureCode::Unsupported, format!("{} is no name of DNS", short(&probe.name, 80))))?;
    let kind = probe.record;
    let servers = servers(probe, reach, env, watch).await?;
    let asked: Vec<_> = servers.iter().map(ToString::to_string).collect();
    watch.stage(format!("while {} had not answered the question for {} of {name}", asked.join(", "), kind.name()));
    let since = Instant::now();
    // Sums over hops are for redirects; the look at the name server's own name is no part of its answer.
    watch.seen.phases.dns_ms = None;
    let (message, server) = exchange::ask(&servers, &Query::query(name.clone(), records::of(kind)), env).await?;
    watch.ended(Phase::Dns, since);
    watch.seen.address = Some(server.to_string());

    let found = said(&message, &name, kind, server, probe.expect.as_ref())?;
    // The machine's own name servers know its private networks; a stranger's answers are no news of them.
    let tells_of_inside = |text: &String| text.parse::<IpAddr>().is_ok_and(|address| !reach.covers(class(address)));
    if probe.server.is_none() && matches!(kind, RecordKind::A | RecordKind::Aaaa) && found.iter().any(tells_of_inside) {
        let text =
            format!("{name} leads to a private or reserved address, which this monitor may not see; name a server");
        return Err(fail(FailureCode::Beyond, text));
    }
    let verdict = judge(&found, kind, probe.expect.as_ref(), &name);
    watch.seen.answers = Some(found);
    verdict?;
    watch.judge_latency(probe.max_latency_ms)
}

/// The name of a question, always from the root.
pub(crate) fn question_name(text: &str) -> Option<Name> {
    let ascii = if text.is_ascii() { Name::from_ascii(text) } else { Name::from_utf8(text) };
    let mut name = ascii.ok().filter(|name| !name.is_root())?;
    name.set_fqdn(true);
    Some(name)
}

/// Host and port of a name server; what is wrong is the rest of a sentence.
pub(crate) fn server(text: &str) -> Result<(Host, u16), String> {
    let problem = || "must be a name or an address, with :port where it is not 53".to_owned();
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok((Host::Address(address), PORT));
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().ok().filter(|port| *port != 0).ok_or_else(problem)?),
        None => (text, PORT),
    };
    Ok((Host::parse(host).ok_or_else(problem)?, port))
}

async fn servers(probe: &DnsProbe, reach: Reach, env: &Env, watch: &mut Watch) -> Result<Vec<SocketAddr>, Failure> {
    match &probe.server {
        Some(text) => {
            let (host, port) =
                server(text).map_err(|problem| fail(FailureCode::Unsupported, format!("the name server {problem}")))?;
            let addresses = resolve(&host, reach, env, watch).await?;
            Ok(addresses.into_iter().map(|address| SocketAddr::new(address, port)).collect())
        }
        // Chosen by whoever runs this machine: no reach applies.
        None => {
            let all = env.lookup.name_servers().map_err(|error| {
                fail(FailureCode::Unsupported, format!("this machine's name servers cannot be found out: {error}"))
            })?;
            Ok(all.into_iter().take(limits::ADDRESSES).collect())
        }
    }
}

/// The records that an answer holds.
fn said(
    message: &Message,
    name: &Name,
    kind: RecordKind,
    server: SocketAddr,
    expect: Option<&DnsExpect>,
) -> Result<Vec<String>, Failure> {
    match message.metadata.response_code {
        ResponseCode::NoError => {}
        ResponseCode::NXDomain => {
            let text = format!("{server} says that there is no name {name} (NXDOMAIN); look at its zone");
            return Err(fail(FailureCode::Unresolved, text));
        }
        code => {
            let text = format!("{server} answers {code} instead of the {} of {name}; look at its log", kind.name());
            return Err(fail(FailureCode::DnsAnswer, text));
        }
    }
    let found = records::texts(message, name, kind);
    if found.is_empty() && !matches!(expect, Some(DnsExpect::None(_))) {
        let text = format!("{server} knows {name}, but no {} of it; look at its zone", kind.name());
        return Err(fail(FailureCode::DnsAnswer, text));
    }
    Ok(found)
}

fn judge(found: &[String], kind: RecordKind, expect: Option<&DnsExpect>, name: &Name) -> Result<(), Failure> {
    let Some(expect) = expect else { return Ok(()) };
    let is_there = |record: &&String| found.contains(&records::normal(record, kind));
    let wrong = match expect {
        DnsExpect::Any(records) if records.iter().any(|record| is_there(&record)) => None,
        DnsExpect::Any(records) => records.first().map(|record| (record, "none of those that are expected, such as")),
        DnsExpect::All(records) => records.iter().find(|record| !is_there(record)).map(|record| (record, "not")),
        DnsExpect::None(records) => records.iter().find(is_there).map(|record| (record, "what it should not be,")),
    };
    let Some((record, how)) = wrong else { return Ok(()) };
    let is = short(&found.join(", "), 60);
    let text = format!("the {} of {name} is {is}: {how} {}", kind.name(), short(record, 50));
    Err(fail(FailureCode::DnsAnswer, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_servers_have_a_port_or_the_usual_one() {
        let address = |text: &str| Host::Address(text.parse().unwrap());
        assert_eq!(server("1.1.1.1"), Ok((address("1.1.1.1"), 53)));
        assert_eq!(server("1.1.1.1:5353"), Ok((address("1.1.1.1"), 5353)));
        assert_eq!(server("::1"), Ok((address("::1"), 53)));
        assert_eq!(server("[::1]:5353"), Ok((address("::1"), 5353)));
        assert_eq!(server("ns.example"), Ok((Host::Name("ns.example".into()), 53)));
        for bad in ["", "ns.example:0", "ns.example:x", ":53", "a b"] {
            assert!(server(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn records_are_expected_in_three_ways() {
        let name = question_name("x.example").unwrap();
        let found = ["192.0.2.1".to_owned(), "192.0.2.2".to_owned()];
        let of = |records: &[&str]| records.iter().map(|record| (*record).to_owned()).collect::<Vec<_>>();
        let fine = |expect| judge(&found, RecordKind::A, Some(&expect), &name).is_ok();
        assert!(fine(DnsExpect::Any(of(&["192.0.2.9", "192.0.2.2"]))) && !fine(DnsExpect::Any(of(&["192.0.2.9"]))));
        assert!(fine(DnsExpect::All(of(&["192.0.2.1"]))) && !fine(DnsExpect::All(of(&["192.0.2.1", "192.0.2.9"]))));
        assert!(fine(DnsExpect::None(of(&["192.0.2.9"]))) && !fine(DnsExpect::None(of(&["192.0.2.9", "192.0.2.1"]))));
    }
}
