//! WebSockets over TLS 1.3 between this process (the hub half) and a child (the agent half).

use std::process::{Child, Command};
use std::sync::Arc;

use anyhow::Context as _;
use rcgen::generate_simple_self_signed;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use crate::Args;

/// The hub's end.
pub type HubSocket = WebSocketStream<server::TlsStream<TcpStream>>;
/// The agent's end.
pub type AgentSocket = WebSocketStream<client::TlsStream<TcpStream>>;

/// The small buffers that hub and agent use.
fn config() -> WebSocketConfig {
    WebSocketConfig::default().read_buffer_size(4096).write_buffer_size(0)
}

/// Starts `role` as a child and takes its connection.
pub async fn hub(role: &str, extra: &[String]) -> anyhow::Result<(HubSocket, Child)> {
    let (mut sockets, child) = hubs(role, extra, 1).await?;
    Ok((sockets.pop().context("a connection")?, child))
}

/// Starts `role` as a child and takes the connections that it makes, one after the other.
pub async fn hubs(role: &str, extra: &[String], count: usize) -> anyhow::Result<(Vec<HubSocket>, Child)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let key = generate_simple_self_signed(vec!["localhost".to_owned()])?;
    let certificate = key.cert.der().clone();
    let path = std::env::temp_dir().join(format!("floors-{}.der", std::process::id()));
    std::fs::write(&path, &certificate)?;
    let program = std::env::var_os("FLOORS_AGENT").map_or_else(std::env::current_exe, |path| Ok(path.into()))?;
    let mut command = Command::new(program);
    command.arg(role).arg("--addr").arg(listener.local_addr()?.to_string()).arg("--certificate").arg(&path);
    let child = command.args(extra).spawn().context("the agent half")?;

    let private = PrivateKeyDer::try_from(key.signing_key.serialize_der()).map_err(anyhow::Error::msg)?;
    let tls = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate], private)?;
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let mut sockets = Vec::with_capacity(count);
    for _ in 0..count {
        let (tcp, _) = listener.accept().await?;
        tcp.set_nodelay(true)?;
        let stream = acceptor.accept(tcp).await?;
        sockets.push(tokio_tungstenite::accept_async_with_config(stream, Some(config())).await?);
    }
    std::fs::remove_file(&path)?;
    Ok((sockets, child))
}

/// Connects back to the hub half.
pub async fn agent(args: &Args) -> anyhow::Result<AgentSocket> {
    let address: String = args.get("--addr")?;
    let certificate = std::fs::read(args.get::<String>("--certificate")?)?;
    let tcp = TcpStream::connect(&address).await?;
    tcp.set_nodelay(true)?;
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(certificate))?;
    let tls = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let stream = TlsConnector::from(Arc::new(tls)).connect(ServerName::try_from("localhost")?, tcp).await?;
    let url = format!("ws://{address}/");
    Ok(tokio_tungstenite::client_async_with_config(url, stream, Some(config())).await?.0)
}
