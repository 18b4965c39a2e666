//! Promises of the way out, kept towards real sockets.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

use super::testing::Names;
use super::*;

/// Somebody who answers every connection with the same bytes, and counts them.
struct Host {
    address: SocketAddr,
    came: Arc<AtomicUsize>,
    _task: AbortOnDropHandle<()>,
}

#[expect(clippy::disallowed_methods, reason = "a test's own host")]
async fn host(answer: Vec<u8>) -> Host {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let came = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&came);
    let task = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            counted.fetch_add(1, Ordering::SeqCst);
            let answer = answer.clone();
            tokio::spawn(async move {
                let mut request = vec![0; 4096];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(&answer).await;
                if answer.is_empty() {
                    // Hangs until the other side goes.
                    let _ = stream.read(&mut request).await;
                }
            });
        }
    });
    Host { address, came, _task: AbortOnDropHandle::new(task) }
}

struct Door {
    outbound: Outbound,
    names: Arc<Names>,
}

fn door() -> Door {
    let names = Arc::new(Names::default());
    let lookup: Arc<dyn Lookup> = names.clone();
    Door { outbound: Outbound::new(&lookup, roots(None).unwrap()).unwrap(), names }
}

fn get() -> Request {
    Request {
        method: Method::GET,
        headers: HeaderMap::new(),
        body: Bytes::new(),
        timeout: Duration::from_secs(5),
        max_answer: 64,
    }
}

#[tokio::test]
async fn an_answer_is_read_as_far_as_it_was_asked_for() {
    let Door { outbound, names } = door();
    for (length, cut) in [(64, false), (65, true), (1 << 20, true)] {
        let body = "x".repeat(length);
        let host = host(format!("HTTP/1.1 500 Oh\r\ncontent-length: {length}\r\n\r\n{body}").into_bytes()).await;
        names.answer("receiver.example", &[&["127.0.0.1"]]);
        let target = Target::private(&format!("http://receiver.example:{}/x", host.address.port())).unwrap();
        let answer = outbound.send(&target, get()).await.unwrap();
        assert_eq!((answer.status, answer.body.len(), answer.cut), (StatusCode::INTERNAL_SERVER_ERROR, 64, cut));
    }
}

#[tokio::test]
async fn a_name_that_leads_inside_is_not_connected_to() {
    let Door { outbound, names } = door();
    let host = host(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec()).await;
    let port = host.address.port();
    let target = Target::public(&format!("https://inside.example:{port}/")).unwrap();
    for answer in [
        &["127.0.0.1"] as &[&str],
        &["::ffff:127.0.0.1"],
        &["::1"],
        &["10.0.0.1"],
        &["169.254.169.254"],
        // One that is fine does not excuse another.
        &["1.1.1.1", "127.0.0.1"],
    ] {
        names.answer("inside.example", &[answer]);
        assert_eq!(outbound.send(&target, get()).await.unwrap_err(), Failure::Beyond, "{answer:?}");
    }
    names.answer("metadata.example", &[&["169.254.169.254"]]);
    let target = Target::private("http://metadata.example/latest/meta-data/").unwrap();
    assert_eq!(outbound.send(&target, get()).await.unwrap_err(), Failure::Beyond);
    let target = Target::private("http://nowhere.example/").unwrap();
    assert_eq!(outbound.send(&target, get()).await.unwrap_err(), Failure::Unresolved);
    assert_eq!(host.came.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_name_that_changes_its_mind_is_asked_again_for_every_connection() {
    let Door { outbound, names } = door();
    let host = host(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec()).await;
    names.answer("rebinding.example", &[&["127.0.0.1"], &["169.254.169.254"], &["127.0.0.1"]]);
    let target = Target::private(&format!("http://rebinding.example:{}/", host.address.port())).unwrap();
    assert_eq!(outbound.send(&target, get()).await.unwrap().status, StatusCode::OK);
    assert_eq!(outbound.send(&target, get()).await.unwrap_err(), Failure::Beyond);
    assert_eq!(outbound.send(&target, get()).await.unwrap().status, StatusCode::OK);
    assert_eq!(host.came.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn redirects_are_answers() {
    let Door { outbound, names } = door();
    let inside = host(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec()).await;
    let answer = format!("HTTP/1.1 307 See\r\nlocation: http://{}/\r\ncontent-length: 0\r\n\r\n", inside.address);
    let outside = host(answer.into_bytes()).await;
    names.answer("redirecting.example", &[&["127.0.0.1"]]);
    let target = Target::private(&format!("http://redirecting.example:{}/", outside.address.port())).unwrap();
    let answer = outbound.send(&target, get()).await.unwrap();
    assert_eq!(answer.status, StatusCode::TEMPORARY_REDIRECT);
    assert_eq!(inside.came.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn who_hangs_or_babbles_is_given_up() {
    let Door { outbound, .. } = door();
    let silent = host(Vec::new()).await;
    let target = Target::private(&format!("http://{}/", silent.address)).unwrap();
    let request = Request { timeout: Duration::from_millis(50), ..get() };
    assert_eq!(outbound.send(&target, request).await.unwrap_err(), Failure::Timeout);
    let babbling = host(b"220 mail.example ESMTP\r\n".to_vec()).await;
    let target = Target::private(&format!("http://{}/", babbling.address)).unwrap();
    assert_eq!(outbound.send(&target, get()).await.unwrap_err(), Failure::Broken);
    let target = Target::private(&format!("https://{}/", babbling.address)).unwrap();
    let failure = outbound.send(&target, get()).await.unwrap_err();
    assert!(matches!(failure, Failure::Tls(_)), "{failure:?}");
    let gone = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap().local_addr().unwrap();
    let target = Target::private(&format!("http://{gone}/")).unwrap();
    assert_eq!(outbound.send(&target, get()).await.unwrap_err(), Failure::Connect);
}

#[test]
fn certificates_of_ones_own_are_read_from_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ca.pem");
    let refused = |path: &Path| format!("{:#}", roots(Some(path)).unwrap_err());
    assert!(refused(&path).contains("there is no file"));
    data_dir::write_private(&path, b"nothing").unwrap();
    assert!(refused(&path).contains("holds no certificate"));
    let key = rcgen::generate_simple_self_signed(vec!["mail.example".to_owned()]).unwrap();
    data_dir::write_private(&path, key.cert.pem().as_bytes()).unwrap();
    assert_eq!(roots(Some(&path)).unwrap().len(), roots(None).unwrap().len() + 1);
}
