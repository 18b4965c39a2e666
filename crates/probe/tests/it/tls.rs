//! Certificates of all sorts: each is told for what it is, and nothing is sent before it verified.

use protocol::Hex;
use protocol::probe::{CertificateProblem, FailureCode};
use ring::digest::{SHA256, digest};
use serde_json::json;

use crate::support::authority::{self, Presented};
use crate::support::{Server, code, env, http, look_long, names, text};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

fn alone(mut presented: Presented) -> Presented {
    presented.chain.truncate(1);
    presented
}

#[tokio::test]
async fn a_certificate_that_does_not_verify_is_told_for_what_it_is() {
    let names = names();
    let now = (2025, 2027);
    for (problem, presented, told) in [
        (CertificateProblem::Expired, authority::leaf("a.test", (2024, 2025)), "expired 31 days ago"),
        (CertificateProblem::NotYetValid, authority::leaf("a.test", (2027, 2028)), "not valid yet"),
        (CertificateProblem::WrongName, authority::leaf("other.test", now), "for other.test, not for a.test"),
        (CertificateProblem::SelfSigned, authority::self_signed("a.test"), "self-signed"),
        (CertificateProblem::IncompleteChain, alone(authority::leaf("a.test", now)), "intermediate"),
        (CertificateProblem::UnknownIssuer, authority::of_a_stranger("a.test"), "not trusted"),
    ] {
        let server = authority::serve(presented, OK).await;
        let url = server.url("https", "a.test", "/");
        let tls = json!({ "tls": { "host": "a.test", "port": server.port() } });
        for probe in [tls, http(&url, json!({}))] {
            let outcome = look_long(probe, &env(&names)).await;
            assert_eq!(code(&outcome), Some(FailureCode::Certificate), "{problem:?}: {}", text(&outcome));
            assert!(text(&outcome).contains(told), "{}", text(&outcome));
            assert_eq!(outcome.certificate.unwrap().problem, Some(problem));
            assert!(outcome.phases.tls_ms.is_some(), "the handshake itself went well");
        }
        assert_eq!(server.requests(), Vec::<String>::new(), "nothing is asked of whoever is not verified");

        let lenient = look_long(http(&url, json!({ "verify_tls": false })), &env(&names)).await;
        assert!(lenient.ok, "{problem:?}: {}", text(&lenient));
        assert_eq!(lenient.certificate.unwrap().problem, Some(problem), "told also where it does not matter");
        assert_eq!(server.requests().len(), 1);
    }
}

#[tokio::test]
async fn a_good_chain_is_shipped_once() {
    let names = names();
    let presented = authority::leaf("a.test", (2025, 2027));
    let chain: Vec<_> = presented.chain.iter().map(|certificate| certificate.to_vec()).collect();
    let leaf = Hex::<32>(digest(&SHA256, &chain[0]).as_ref().try_into().unwrap());
    let server = authority::serve(presented, OK).await;
    let outcome = look_long(json!({ "tls": { "host": "a.test", "port": server.port() } }), &env(&names)).await;
    assert!(outcome.ok, "{}", text(&outcome));
    let certificate = outcome.certificate.unwrap();
    assert_eq!((certificate.leaf_sha256, certificate.problem), (leaf, None));
    assert_eq!(certificate.chain_der.into_iter().map(|der| der.0).collect::<Vec<_>>(), chain);

    let known = json!({ "host": "a.test", "port": server.port(), "known_leaf": leaf });
    let certificate = look_long(json!({ "tls": known }), &env(&names)).await.certificate.unwrap();
    assert_eq!((certificate.leaf_sha256, certificate.chain_der.len()), (leaf, 0));
}

#[tokio::test]
async fn the_name_asked_for_need_not_be_the_host() {
    let names = names();
    let server = authority::serve(authority::leaf("site.test", (2025, 2027)), OK).await;
    let probe = |name: &str| json!({ "tls": { "host": "127.0.0.1", "port": server.port(), "server_name": name } });
    assert!(look_long(probe("site.test"), &env(&names)).await.ok);
    assert_eq!(code(&look_long(probe("a.test"), &env(&names)).await), Some(FailureCode::Certificate));
}

#[tokio::test]
async fn a_port_without_tls_is_told_as_such() {
    let names = names();
    let server = Server::start(|mut stream, _| async move {
        tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n").await?;
        tokio::io::AsyncReadExt::read_u8(&mut stream).await.map(drop)
    })
    .await;
    let outcome = look_long(http(&server.url("https", "a.test", "/"), json!({})), &env(&names)).await;
    assert_eq!(code(&outcome), Some(FailureCode::Tls));
    assert!(text(&outcome).contains("plain HTTP"), "{}", text(&outcome));
}
