//! The accept loop and one connection.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::connections::{Connections, Place, Placed};
use crate::http::client::{ClientAddress, Peer};
use crate::hub::App;

/// TLS handshakes at the same time; the rest waits, so that a stampede of agents does not starve requests.
const MAX_HANDSHAKES: usize = 128;
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
/// Until a request's head has come, also on a connection that is kept alive.
const HEADER_LIMIT: Duration = Duration::from_secs(15);
/// How long requests may go on after the hub was told to stop.
const DRAIN_LIMIT: Duration = Duration::from_secs(10);
/// After a failed accept: mostly "too many open files", which ends by waiting.
const BACK_OFF: Duration = Duration::from_millis(50);
const HTTP1_BUFFER: usize = 16 << 10;
const MAX_HEADER_BYTES: u32 = 16 << 10;
const MAX_STREAMS: u32 = 100;
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 1 << 20;
/// What somebody sees who asks a TLS port without TLS.
const USE_TLS: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\nconnection: close\r\n\r\n\
This hub speaks https only: write https:// in front of its address.\n";

/// What every connection needs.
struct Server {
    app: App,
    router: Router,
    http: Builder<TokioExecutor>,
    tls: Option<TlsAcceptor>,
    handshakes: Semaphore,
    /// The end of patience.
    cut: CancellationToken,
}

pub(super) async fn run(listener: TcpListener, tls: Option<ServerConfig>, app: App) {
    let server = Arc::new(Server {
        router: crate::http::router(App::clone(&app)),
        http: builder(),
        tls: tls.map(|config| TlsAcceptor::from(Arc::new(config))),
        handshakes: Semaphore::new(MAX_HANDSHAKES),
        cut: CancellationToken::new(),
        app,
    });
    let connections = Connections::new();
    server.app.http.watch_connections(connections.clone());
    let graceful = GracefulShutdown::new();
    loop {
        let stream = tokio::select! {
            biased;
            () = server.app.tasks.stopping() => break,
            accepted = next(&listener, &connections, &server.app) => accepted,
        };
        let Some((stream, place, peer)) = stream else { continue };
        let watcher = graceful.watcher();
        let connection = Arc::clone(&server).connection(Placed::new(stream, place), peer, watcher);
        server.app.tasks.spawn(connection);
    }
    drop(listener);
    // Requests in flight end; event streams and sockets end by themselves when the hub stops.
    if timeout(DRAIN_LIMIT, graceful.shutdown()).await.is_err() {
        tracing::warn!(open = connections.open(), "connections were cut: their requests did not end in time");
    }
    server.cut.cancel();
    connections.closed(Duration::from_secs(1)).await;
}

/// The next connection; `None` when it was turned away.
async fn next(listener: &TcpListener, connections: &Connections, app: &App) -> Option<(TcpStream, Place, SocketAddr)> {
    let mut place = connections.room().await?;
    let (stream, peer) = match listener.accept().await {
        Ok(accepted) => accepted,
        Err(error) => {
            tracing::warn!(%error, "cannot accept a connection");
            tokio::time::sleep(BACK_OFF).await;
            return None;
        }
    };
    let address = peer.ip().to_canonical();
    let exempt = address.is_loopback() || app.config.trusted_proxies.iter().any(|range| range.contains(address));
    if !exempt && !connections.count(&mut place, ClientAddress(address).limit_key()) {
        tracing::debug!(client = %address, "connection refused: too many from this address");
        return None;
    }
    Some((stream, place, peer))
}

impl Server {
    async fn connection(self: Arc<Self>, stream: Placed<TcpStream>, peer: SocketAddr, watcher: Watcher) {
        // Answers are small; waiting to fill a segment only delays them.
        let _ = stream.socket().set_nodelay(true);
        let cut = self.cut.clone();
        let served = async {
            match &self.tls {
                None => self.serve(stream, peer, watcher).await,
                Some(acceptor) => {
                    if let Some(encrypted) = self.handshake(acceptor, stream).await {
                        self.serve(encrypted, peer, watcher).await;
                    }
                }
            }
        };
        tokio::select! {
            () = served => {}
            () = cut.cancelled() => {}
        }
    }

    async fn handshake(
        &self,
        acceptor: &TlsAcceptor,
        mut stream: Placed<TcpStream>,
    ) -> Option<tokio_rustls::server::TlsStream<Placed<TcpStream>>> {
        // Waiting for the first byte costs nothing, so it takes no place among the handshakes.
        let mut first = [0];
        match timeout(HANDSHAKE_LIMIT, stream.socket().peek(&mut first)).await {
            Ok(Ok(1)) => {}
            _ => return None,
        }
        if first.first().is_some_and(u8::is_ascii_uppercase) {
            // The answer may not arrive; there is nobody else to tell.
            let _ = timeout(HANDSHAKE_LIMIT, stream.write_all(USE_TLS)).await;
            return None;
        }
        let _permit = self.handshakes.acquire().await.ok()?;
        match timeout(HANDSHAKE_LIMIT, acceptor.accept(stream)).await {
            Ok(Ok(encrypted)) => Some(encrypted),
            Ok(Err(error)) => {
                tracing::debug!(%error, "TLS handshake failed");
                None
            }
            Err(_) => None,
        }
    }

    async fn serve<T>(&self, stream: T, peer: SocketAddr, watcher: Watcher)
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let router = self.router.clone();
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(Peer(peer));
            router.clone().oneshot(request)
        });
        let connection = self.http.serve_connection_with_upgrades(TokioIo::new(stream), service).into_owned();
        if let Err(error) = watcher.watch(connection).await {
            tracing::debug!(%error, "a connection ended with an error");
        }
    }
}

fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_LIMIT).max_buf_size(HTTP1_BUFFER);
    // Without extended CONNECT browsers open a WebSocket over HTTP/1.1, as agents do.
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10))
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEADER_BYTES)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW);
    builder
}
