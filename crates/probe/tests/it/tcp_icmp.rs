//! Ports and echo requests.

use std::net::IpAddr;

use protocol::probe::{FailureCode, Packets};
use serde_json::json;
use tokio::net::TcpListener;

use crate::support::{Server, code, env, look_long, names, text};

#[tokio::test]
async fn a_port_takes_connections_or_refuses_them() {
    let names = names();
    let server = Server::saying("").await;
    let outcome = look_long(json!({ "tcp": { "host": "a.test", "port": server.port() } }), &env(&names)).await;
    assert!(outcome.ok && outcome.phases.connect_ms.is_some(), "{}", text(&outcome));
    assert_eq!(outcome.address, Some(server.address.to_string()));

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let outcome = look_long(json!({ "tcp": { "host": "a.test", "port": address.port() } }), &env(&names)).await;
    assert_eq!(code(&outcome), Some(FailureCode::Refused));
    assert!(text(&outcome).contains(&address.to_string()), "{}", text(&outcome));
}

#[tokio::test]
async fn a_dead_address_does_not_hide_a_live_one() {
    let names = names();
    let server = Server::saying("").await;
    names.say("both.test", &[&["::1", "127.0.0.1"]]);
    let outcome = look_long(json!({ "tcp": { "host": "both.test", "port": server.port() } }), &env(&names)).await;
    assert!(outcome.ok, "{}", text(&outcome));
    assert_eq!(outcome.address, Some(server.address.to_string()));
}

#[tokio::test]
async fn a_name_without_an_address_is_told() {
    let outcome = look_long(json!({ "tcp": { "host": "nobody.test", "port": 80 } }), &env(&names())).await;
    assert_eq!(code(&outcome), Some(FailureCode::Unresolved));
    assert!(text(&outcome).contains("nobody.test"), "{}", text(&outcome));
}

#[tokio::test]
async fn loopback_answers_echo_requests_or_this_machine_says_that_it_may_not_ask() {
    for host in ["a.test", "127.0.0.1"] {
        let outcome = look_long(json!({ "icmp": { "host": host, "max_latency_ms": 20_000 } }), &env(&names())).await;
        if probe::icmp_permitted() {
            assert!(outcome.ok, "{}", text(&outcome));
            assert_eq!(outcome.packets, Some(Packets { sent: 3, received: 3 }));
            assert!(outcome.address.is_some_and(|address| address.parse::<IpAddr>().is_ok()));
        } else {
            assert_eq!(code(&outcome), Some(FailureCode::Unsupported));
            assert!(text(&outcome).contains("ping_group_range"), "{}", text(&outcome));
        }
    }
}
