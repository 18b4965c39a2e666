//! Where a probe may go, and that it goes where it was checked to go.

use std::net::IpAddr;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use hickory_resolver::Resolver;
use hickory_resolver::config::{NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::rdata::A;
use hickory_resolver::proto::rr::{RData, RecordType};
use probe::{Env, Lookup, LookupError};
use protocol::address::Reach;
use protocol::probe::{FailureCode, ProbeSpec};
use serde_json::{Value, json};

use crate::support::name_server::{NameServer, Reply};
use crate::support::{Server, code, env, http, look_long, names, text};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn every_kind(host: &str, port: u16) -> Vec<Value> {
    let url_host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    vec![
        http(&format!("http://{url_host}:{port}/"), json!({})),
        http(&format!("https://{url_host}:{port}/"), json!({ "verify_tls": false })),
        json!({ "tcp": { "host": host, "port": port } }),
        json!({ "tls": { "host": host, "port": port, "verify": false } }),
        json!({ "icmp": { "host": host } }),
        json!({ "dns": { "name": "x.test", "type": "A", "server": format!("{url_host}:{port}") } }),
    ]
}

#[tokio::test]
async fn no_kind_of_probe_reaches_metadata_whoever_asks() {
    let names = names();
    names.say("metadata.test", &[&["169.254.169.254"]]);
    names.say("half.test", &[&["127.0.0.1", "fd00:ec2::254"]]);
    let server = Server::saying(OK).await;
    for host in ["169.254.169.254", "fe80::1", "::ffff:169.254.169.254", "0.0.0.0", "metadata.test", "half.test"] {
        for probe in every_kind(host, server.port()) {
            let outcome = look_long(probe.clone(), &env(&names)).await;
            assert_eq!(code(&outcome), Some(FailureCode::Beyond), "{probe}: {}", text(&outcome));
        }
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn neither_side_can_be_sent_further_than_it_allows() {
    let (names, server) = (names(), Server::saying(OK).await);
    for (spec_reach, env_reach) in [(Reach::Public, Reach::Private), (Reach::Private, Reach::Public)] {
        for host in ["127.0.0.1", "::1", "a.test"] {
            for probe in every_kind(host, server.port()) {
                let spec = ProbeSpec {
                    probe: serde_json::from_value(probe.clone()).unwrap(),
                    timeout_ms: 20_000,
                    reach: spec_reach,
                };
                let outcome = probe::run(&spec, &Env { reach: env_reach, ..env(&names) }).await;
                assert_eq!(code(&outcome), Some(FailureCode::Beyond), "{probe}: {}", text(&outcome));
                assert!(!text(&outcome).contains("127.0.0.1") || host == "127.0.0.1", "{}", text(&outcome));
            }
        }
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_name_is_asked_once_and_the_connection_goes_to_what_it_said() {
    let (names, server) = (names(), Server::saying(OK).await);
    names.say("rebind.test", &[&["127.0.0.1"], &["169.254.169.254"]]);
    let url = server.url("http", "rebind.test", "/");
    let outcome = look_long(http(&url, json!({})), &env(&names)).await;
    assert!(outcome.ok, "{}", text(&outcome));
    assert_eq!((names.asked(), outcome.address), (1, Some(server.address.to_string())));
    let outcome = look_long(http(&url, json!({})), &env(&names)).await;
    assert_eq!(code(&outcome), Some(FailureCode::Beyond), "the next look asks anew");
}

/// Asks one name server, as a machine does that is configured with it.
#[derive(Debug, Clone, Copy)]
struct Through(std::net::SocketAddr);

impl Lookup for Through {
    fn lookup(&self, host: String) -> BoxFuture<'static, Result<Vec<IpAddr>, LookupError>> {
        let mut server = NameServerConfig::udp_and_tcp(self.0.ip());
        for connection in &mut server.connections {
            connection.port = self.0.port();
        }
        let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
        async move {
            let resolver = Resolver::builder_with_config(config, TokioRuntimeProvider::default()).build().unwrap();
            let found = resolver.lookup_ip(host).await.map_err(|_| LookupError::NotFound)?;
            Ok(found.iter().collect())
        }
        .boxed()
    }
}

#[tokio::test]
async fn a_name_server_that_answers_differently_each_time_gains_nothing() {
    let server = Server::saying(OK).await;
    // Once loopback, from then on where the machine's credentials lie.
    let rebinding = NameServer::start(|query, number| match (query.query_type, number) {
        (RecordType::A, 0..=1) => Reply::Records(vec![RData::A(A([127, 0, 0, 1].into()))]),
        (RecordType::A, _) => Reply::Records(vec![RData::A(A([169, 254, 169, 254].into()))]),
        _ => Reply::Records(Vec::new()),
    })
    .await;
    let env = Env { lookup: Arc::new(Through(rebinding.address)), ..env(&names()) };
    let url = server.url("http", "rebind.example.", "/");
    let first = look_long(http(&url, json!({})), &env).await;
    assert!(first.ok, "{}", text(&first));
    assert_eq!(first.address, Some(server.address.to_string()));
    let second = look_long(http(&url, json!({})), &env).await;
    assert_eq!(code(&second), Some(FailureCode::Beyond), "{}", text(&second));
    assert_eq!(server.connections(), 1);
    assert!(rebinding.asked() >= 2);
}

#[tokio::test]
async fn a_redirect_is_checked_like_the_first_url() {
    let names = names();
    names.say("metadata.test", &[&["169.254.169.254"]]);
    names.say("rebind.test", &[&["127.0.0.1"], &["169.254.169.254"]]);
    for location in [
        "http://169.254.169.254/latest/meta-data/",
        "http://metadata.test/",
        "http://2852039166/",
        "//[fe80::1]/",
        "http://[::ffff:a9fe:a9fe]/",
    ] {
        let server = Server::saying(format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\n\r\n")).await;
        let outcome = look_long(http(&server.url("http", "a.test", "/"), json!({})), &env(&names)).await;
        assert_eq!(code(&outcome), Some(FailureCode::Beyond), "{location}: {}", text(&outcome));
        assert_eq!((server.connections(), outcome.status), (1, None), "a status of an earlier hop is not told");
    }
    // Back to the same name, which says something else by now.
    let server = Server::saying("HTTP/1.1 307 Again\r\nLocation: /again\r\n\r\n").await;
    let outcome = look_long(http(&server.url("http", "rebind.test", "/"), json!({})), &env(&names)).await;
    assert_eq!(code(&outcome), Some(FailureCode::Beyond), "{}", text(&outcome));
    assert_eq!(server.connections(), 1);
}
