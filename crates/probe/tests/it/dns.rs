//! Questions to a name server that answers as it likes.

use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::rdata::{A, MX, TXT};
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use protocol::address::Reach;
use protocol::probe::{FailureCode, ProbeOutcome, ProbeSpec};
use serde_json::{Value, json};

use crate::support::name_server::{NameServer, Reply};
use crate::support::{code, env, look, look_long, names, text};

fn a(last: u8) -> RData {
    RData::A(A([10, 0, 0, last].into()))
}

fn probe(server: &NameServer, kind: &str, expect: Value) -> Value {
    let mut dns = json!({ "name": "Example.test", "type": kind, "server": server.address.to_string() });
    if !expect.is_null() {
        dns["expect"] = expect;
    }
    json!({ "dns": dns })
}

async fn ask(server: &NameServer, kind: &str, expect: Value) -> ProbeOutcome {
    look_long(probe(server, kind, expect), &env(&names())).await
}

#[tokio::test]
async fn records_are_told_and_compared() {
    let server = NameServer::start(|query, _| match query.query_type {
        RecordType::A => Reply::Records(vec![a(2), a(1)]),
        RecordType::MX => Reply::Records(vec![RData::MX(MX::new(10, Name::from_ascii("Mail.test.").unwrap()))]),
        RecordType::TXT => Reply::Records(vec![RData::TXT(TXT::new(vec!["one ".into(), "two".into()]))]),
        _ => Reply::Records(Vec::new()),
    })
    .await;
    for (kind, expect, answers) in [
        ("A", Value::Null, vec!["10.0.0.1", "10.0.0.2"]),
        ("A", json!({ "all": ["10.0.0.2", "10.0.0.1"] }), vec!["10.0.0.1", "10.0.0.2"]),
        ("MX", json!({ "any": ["10 mail.test."] }), vec!["10 mail.test"]),
        ("TXT", json!({ "any": ["one two"] }), vec!["one two"]),
        ("NS", json!({ "none": ["ns.test"] }), vec![]),
    ] {
        let outcome = ask(&server, kind, expect).await;
        assert!(outcome.ok, "{kind}: {}", text(&outcome));
        assert_eq!(outcome.answers.unwrap(), answers);
        assert_eq!(outcome.address, Some(server.address.to_string()));
        assert!(outcome.phases.dns_ms.is_some());
    }
    for (kind, expect, told) in [
        ("A", json!({ "any": ["10.0.0.9"] }), "10.0.0.1, 10.0.0.2: none of those that are expected, such as 10.0.0.9"),
        ("A", json!({ "none": ["10.0.0.1"] }), "what it should not be, 10.0.0.1"),
        ("NS", Value::Null, "no NS of it"),
    ] {
        let outcome = ask(&server, kind, expect).await;
        assert_eq!(code(&outcome), Some(FailureCode::DnsAnswer));
        assert!(text(&outcome).contains(told), "{}", text(&outcome));
    }
}

#[tokio::test]
async fn refusals_of_a_name_server_are_told_apart() {
    for (response, expected, told) in [
        (ResponseCode::NXDomain, FailureCode::Unresolved, "NXDOMAIN"),
        (ResponseCode::ServFail, FailureCode::DnsAnswer, "look at its log"),
        (ResponseCode::Refused, FailureCode::DnsAnswer, "instead of the A of"),
    ] {
        let server = NameServer::start(move |_, _| Reply::Code(response)).await;
        let outcome = ask(&server, "A", Value::Null).await;
        assert_eq!(code(&outcome), Some(expected));
        assert!(text(&outcome).contains(told), "{}", text(&outcome));
    }
}

#[tokio::test]
async fn an_answer_that_does_not_fit_is_asked_for_over_tcp() {
    let server = NameServer::start(|_, _| Reply::TooLong(vec![a(1)])).await;
    let outcome = ask(&server, "A", Value::Null).await;
    assert!(outcome.ok, "{}", text(&outcome));
    assert_eq!(server.asked(), 2);
    let server = NameServer::start(|_, _| Reply::NeverFits).await;
    assert_eq!(code(&ask(&server, "A", Value::Null).await), Some(FailureCode::Protocol));
}

#[tokio::test]
async fn forged_and_broken_answers_do_not_count() {
    let server = NameServer::start(|_, _| Reply::Forged(vec![a(66)], vec![a(1)])).await;
    assert_eq!(ask(&server, "A", Value::Null).await.answers.unwrap(), ["10.0.0.1"]);
    let server = NameServer::start(|_, number| if number == 0 { Reply::Garbage } else { Reply::Silent }).await;
    let outcome = look(probe(&server, "A", Value::Null), &env(&names())).await;
    assert_eq!(code(&outcome), Some(FailureCode::Timeout), "{}", text(&outcome));
}

#[tokio::test]
async fn a_name_server_that_is_silent_or_not_there_is_told() {
    let server = NameServer::start(|_, _| Reply::Silent).await;
    let outcome = look(probe(&server, "A", Value::Null), &env(&names())).await;
    assert_eq!(code(&outcome), Some(FailureCode::Timeout));
    assert!(text(&outcome).contains("had not answered the question for A of"), "{}", text(&outcome));
    let address = server.address;
    drop(server);
    let gone = json!({ "dns": { "name": "x.test", "type": "A", "server": address.to_string() } });
    let outcome = look(gone, &env(&names())).await;
    assert!(matches!(code(&outcome), Some(FailureCode::Refused | FailureCode::Timeout)), "{}", text(&outcome));
}

#[tokio::test]
async fn the_machines_own_name_servers_take_turns_and_do_not_tell_of_its_networks() {
    let dead = NameServer::start(|_, _| Reply::Garbage).await;
    let inside = NameServer::start(|_, number| {
        Reply::Records(vec![if number == 0 { a(1) } else { RData::A(A([1, 1, 1, 1].into())) }])
    })
    .await;
    let names = names();
    names.servers(&[inside.address]);
    let dns = json!({ "dns": { "name": "x.test", "type": "A" } });
    let spec = ProbeSpec { probe: serde_json::from_value(dns).unwrap(), timeout_ms: 20_000, reach: Reach::Public };
    let outcome = probe::run(&spec, &env(&names)).await;
    assert_eq!((code(&outcome), &outcome.answers), (Some(FailureCode::Beyond), &None), "{}", text(&outcome));
    assert!(!text(&outcome).contains("10.0.0.1"), "{}", text(&outcome));
    // One that answers nonsense costs its turn, not the answer.
    names.servers(&[dead.address, inside.address]);
    let outcome = probe::run(&spec, &env(&names)).await;
    assert_eq!(outcome.answers.as_deref(), Some(&["1.1.1.1".to_owned()][..]), "{}", text(&outcome));
}
