//! The listener over real sockets: TLS, limits, drain, slow and rubbish clients.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::Listener;
use super::connections::{Connections, MAX_PER_ADDRESS, Placed};
use crate::config::{PublicUrl, Tls};
use crate::http::Trust;
use crate::hub::App;
use crate::testing::TestHub;

const HOST: &str = "hub.example.com";
const PATIENCE: Duration = Duration::from_secs(20);

/// A hub that listens on a free port of loopback.
struct Running {
    test: TestHub,
    address: SocketAddr,
    served: JoinHandle<anyhow::Result<()>>,
}

impl Running {
    async fn plain() -> Self {
        Self::start(|_| {}).await
    }

    async fn with_tls() -> Self {
        Self::start(|config| config.tls = Tls::SelfSigned).await
    }

    async fn start(change: impl FnOnce(&mut crate::config::Config)) -> Self {
        let test = TestHub::with_config(|config| {
            config.listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            config.public_url = PublicUrl::parse(&format!("https://{HOST}")).unwrap();
            change(config);
        })
        .await;
        let listener = Listener::bind(&test.hub).unwrap();
        let address = listener.address().unwrap();
        let served = test.hub.tasks.spawn(listener.serve(App::clone(&test.hub)));
        Self { test, address, served }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn connect_tls(&self, alpn: &[&[u8]]) -> (TlsStream<TcpStream>, Seen) {
        connect_tls(self.address, alpn).await
    }

    /// Tells the hub to stop and waits until it has.
    async fn stop(self) -> TestHub {
        self.test.hub.tasks.stop_token().cancel();
        timeout(PATIENCE, self.served).await.expect("it stops in time").unwrap().unwrap();
        timeout(PATIENCE, self.test.hub.tasks.shut_down()).await.expect("its tasks end");
        self.test
    }
}

/// Takes any certificate and remembers its key.
#[derive(Debug, Clone, Default)]
struct Seen(Arc<std::sync::Mutex<Option<String>>>);

impl Seen {
    fn pin(&self) -> String {
        self.0.lock().unwrap().clone().unwrap()
    }
}

impl ServerCertVerifier for Seen {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        _rest: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let parsed = ParsedCertificate::try_from(leaf)?;
        rustls::client::verify_server_name(&parsed, name)?;
        let spki = parsed.subject_public_key_info();
        *self.0.lock().unwrap() = Some(BASE64_STANDARD.encode(ring::digest::digest(&ring::digest::SHA256, &spki)));
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = rustls::crypto::ring::default_provider().signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, &algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = rustls::crypto::ring::default_provider().signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

async fn connect_tls(address: SocketAddr, alpn: &[&[u8]]) -> (TlsStream<TcpStream>, Seen) {
    let seen = Seen::default();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(seen.clone()))
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    let name = ServerName::try_from(HOST).unwrap();
    let stream = TcpStream::connect(address).await.unwrap();
    (TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap(), seen)
}

/// Sends text, reads until the other side closes.
async fn exchange<T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin>(mut stream: T, text: &str) -> String {
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A peer that cuts the connection is an end too.
    let _ = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("an end in time");
    String::from_utf8_lossy(&answer).into_owned()
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: {HOST}\r\nconnection: close\r\n\r\n")
}

#[tokio::test]
async fn plain_connections_are_served() {
    let hub = Running::plain().await;
    let answer = exchange(hub.connect().await, &get("/healthz")).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("x-request-id: "), "{answer}");
    hub.stop().await;
}

#[tokio::test]
async fn encrypted_connections_speak_both_versions_of_http() {
    let hub = Running::with_tls().await;
    let (stream, seen) = hub.connect_tls(&[b"http/1.1"]).await;
    assert_eq!(hub.test.hub.http.trust(), Trust::Pinned(seen.pin()));
    let answer = exchange(stream, &get("/healthz")).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(!answer.contains("strict-transport-security"), "nobody may insist on a certificate that browsers refuse");

    let (stream, _) = hub.connect_tls(&[b"h2", b"http/1.1"]).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()));
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.unwrap();
    hub.test.hub.tasks.spawn(connection);
    let request = hyper::Request::get(format!("https://{HOST}/healthz")).body(Empty::<Bytes>::new()).unwrap();
    let response = sender.send_request(request).await.unwrap();
    assert_eq!(response.status(), 200);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&body).contains("\"ok\""));
    drop(sender);
    hub.stop().await;
}

#[tokio::test]
async fn the_pinned_key_survives_a_restart_and_a_new_name() {
    let dir = tempfile::tempdir().unwrap();
    let mut pins = Vec::new();
    let mut certificates = Vec::new();
    for name in [HOST, HOST, "other.example.com"] {
        let test = TestHub::with_config(|config| {
            config.listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            config.tls = Tls::SelfSigned;
            config.data_dir = dir.path().to_owned();
            config.public_url = PublicUrl::parse(&format!("https://{name}")).unwrap();
        })
        .await;
        Listener::bind(&test.hub).unwrap();
        pins.push(test.hub.http.trust());
        certificates.push(read(&dir.path().join("tls/cert.pem")));
    }
    assert_eq!((&pins[0], &pins[1]), (&pins[1], &pins[2]));
    assert_eq!(certificates[0], certificates[1], "browsers that accepted it know it again");
    assert_ne!(certificates[1], certificates[2]);
    let mode = std::os::unix::fs::MetadataExt::mode(&dir.path().join("tls/key.pem").metadata().unwrap());
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn http_on_the_tls_port_is_told_so() {
    let hub = Running::with_tls().await;
    let answer = exchange(hub.connect().await, &get("/")).await;
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("https://"), "{answer}");
    let rubbish = exchange(hub.connect().await, "\x00\x01\x02 rubbish that is no TLS at all").await;
    assert!(!rubbish.contains("HTTP/1.1"), "{rubbish}");
    assert!(exchange(hub.connect_tls(&[]).await.0, &get("/healthz")).await.contains(" 200 OK"));
    hub.stop().await;
}

#[tokio::test]
async fn a_port_in_use_is_a_clear_error() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = taken.local_addr().unwrap();
    let test = TestHub::with_config(|config| config.listen = address).await;
    let error = Listener::bind(&test.hub).unwrap_err().to_string();
    assert!(error.contains(&address.to_string()) && error.contains("in use") && error.contains("--listen"), "{error}");
    let test = TestHub::with_config(|config| config.listen = "192.0.2.1:80".parse().unwrap()).await;
    let error = Listener::bind(&test.hub).unwrap_err().to_string();
    assert!(error.contains("no address 192.0.2.1"), "{error}");
}

#[tokio::test]
async fn a_header_that_never_ends_is_cut_off() {
    let hub = Running::plain().await;
    let mut stream = hub.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: hub.exam").await.unwrap();
    tokio::time::pause();
    assert_eq!(exchange(stream, "ple").await, "");
    tokio::time::resume();
    hub.stop().await;
}

#[tokio::test]
async fn a_handshake_that_never_begins_or_ends_is_cut_off() {
    let hub = Running::with_tls().await;
    let silent = hub.connect().await;
    let mut halting = hub.connect().await;
    halting.write_all(&[0x16, 0x03, 0x01, 0x02]).await.unwrap();
    tokio::time::pause();
    assert_eq!(exchange(silent, "").await, "");
    assert_eq!(exchange(halting, "").await, "");
    tokio::time::resume();
    hub.stop().await;
}

#[tokio::test]
async fn a_head_beyond_all_bounds_is_refused() {
    let hub = Running::plain().await;
    let long = format!("GET / HTTP/1.1\r\nhost: {HOST}\r\nx: {}\r\n\r\n", "a".repeat(100_000));
    let mut stream = hub.connect().await;
    // The hub may close before everything is written.
    let _ = stream.write_all(long.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("an end in time");
    assert!(!String::from_utf8_lossy(&answer).contains(" 200 "));
    let many: String = (0..200).map(|index| format!("x-{index}: a\r\n")).collect();
    let answer = exchange(hub.connect().await, &format!("GET / HTTP/1.1\r\nhost: {HOST}\r\n{many}\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    for rubbish in ["\r\n\r\n\r\nnonsense\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "\0\0\0\0\0\0\0\0\r\n\r\n"]
    {
        let answer = exchange(hub.connect().await, rubbish).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400 "), "{rubbish:?}: {answer}");
    }
    hub.stop().await;
}

async fn owner_cookie(test: &TestHub) -> String {
    test.owner().await;
    let form = json!({ "email": crate::testing::OWNER_EMAIL, "password": crate::testing::OWNER_PASSWORD });
    let answer = test.anonymous().post("/v1/auth/login", form).await;
    answer.header("set-cookie").split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn stopping_ends_streams_and_lets_requests_end() {
    let hub = Running::plain().await;
    // A request in the middle of its body, and a connection that is kept alive.
    let mut busy = hub.connect().await;
    let head = format!(
        "POST /v1/agent/register HTTP/1.1\r\nhost: {HOST}\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n"
    );
    busy.write_all(head.as_bytes()).await.unwrap();
    busy.write_all(b"{").await.unwrap();
    let mut idle = hub.connect().await;
    idle.write_all(format!("GET /healthz HTTP/1.1\r\nhost: {HOST}\r\n\r\n").as_bytes()).await.unwrap();
    let mut first = [0; 12];
    idle.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");

    let mut stream = hub.connect().await;
    let cookie = owner_cookie(&hub.test).await;
    let head = format!("GET /v1/events HTTP/1.1\r\nhost: {HOST}\r\ncookie: {cookie}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut start = String::new();
    while !start.contains("event: hello") {
        let mut chunk = [0; 1024];
        let length = timeout(PATIENCE, stream.read(&mut chunk)).await.expect("the stream begins").unwrap();
        assert_ne!(length, 0, "{start}");
        start.push_str(std::str::from_utf8(&chunk[..length]).unwrap());
    }

    hub.test.hub.tasks.stop_token().cancel();
    let mut end = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut end)).await.expect("the stream ends").unwrap();
    let mut rest = String::new();
    timeout(PATIENCE, idle.read_to_string(&mut rest)).await.expect("idle connections are closed").unwrap();
    let answer = exchange(busy, "}").await;
    assert!(answer.starts_with("HTTP/1.1 422 "), "{answer}");
    let address = hub.address;
    hub.stop().await;
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn connections_are_counted_until_their_socket_closes() {
    let hub = Running::plain().await;
    let mut streams = Vec::new();
    for _ in 0..5 {
        let mut stream = hub.connect().await;
        stream.write_all(format!("GET /healthz HTTP/1.1\r\nhost: {HOST}\r\n\r\n").as_bytes()).await.unwrap();
        stream.read_exact(&mut [0; 12]).await.unwrap();
        streams.push(stream);
    }
    // Room for the next one is held too.
    assert_eq!(hub.test.hub.http.open_connections(), 6);
    let app = App::clone(&hub.test.hub);
    drop(streams);
    hub.stop().await;
    assert_eq!(app.http.open_connections(), 0);
}

#[tokio::test]
async fn one_address_cannot_take_all_connections() {
    let connections = Connections::new();
    let address: IpAddr = "192.0.2.1".parse().unwrap();
    let mut held = Vec::new();
    for _ in 0..MAX_PER_ADDRESS {
        let mut place = connections.room().await.unwrap();
        assert!(connections.count(&mut place, address));
        held.push(Placed::new((), place));
    }
    let mut place = connections.room().await.unwrap();
    assert!(!connections.count(&mut place, address));
    assert!(connections.count(&mut place, "192.0.2.2".parse().unwrap()));
    held.pop();
    let mut place = connections.room().await.unwrap();
    assert!(connections.count(&mut place, address));
}

#[expect(clippy::disallowed_methods, reason = "files of this test")]
fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[expect(clippy::disallowed_methods, reason = "files of this test")]
fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
}

#[tokio::test]
async fn given_files_are_used_and_exchanged_while_the_hub_runs() {
    let dir = tempfile::tempdir().unwrap();
    let (cert, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
    let issue = || {
        let issued = rcgen::generate_simple_self_signed([HOST.to_owned()]).unwrap();
        (issued.cert.pem(), issued.signing_key.serialize_pem())
    };
    let (first_cert, first_key) = issue();
    write(&cert, &first_cert);
    write(&key, &first_key);
    let hub = Running::start(|config| config.tls = Tls::Files { cert: cert.clone(), key: key.clone() }).await;
    let first = hub.connect_tls(&[]).await.1.pin();
    assert_eq!(hub.test.hub.http.trust(), Trust::Pinned(first.clone()));

    let listener_config = &hub.test.hub.config;
    let certificate = crate::http::tls::Certificate::load(listener_config, hub.test.hub.now()).unwrap().unwrap();
    assert!(!certificate.reload(listener_config).unwrap());
    let (second_cert, second_key) = issue();
    write(&cert, &second_cert);
    let error = certificate.reload(listener_config).unwrap_err().to_string();
    assert!(error.contains("does not fit"), "{error}");
    write(&key, &second_key);
    assert!(certificate.reload(listener_config).unwrap());
    assert_ne!(certificate.trust(&listener_config.public_url, hub.test.hub.now()).unwrap(), Trust::Pinned(first));
    for (text, problem) in [("", "no certificate"), ("rubbish", "no certificate")] {
        write(&cert, text);
        let error = certificate.reload(listener_config).unwrap_err().to_string();
        assert!(error.contains(problem), "{text:?}: {error}");
    }
    std::fs::remove_file(&key).unwrap();
    write(&cert, &second_cert);
    let error = certificate.reload(listener_config).unwrap_err().to_string();
    assert!(error.contains("there is no file"), "{error}");
    hub.stop().await;
}
