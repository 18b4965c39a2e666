//! Somebody's HTTP server that webhooks lead to: keeps what it is told and answers as the test says.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Call {
    /// Names in lower case.
    pub headers: HashMap<String, String>,
    /// Its body.
    pub body: String,
}

impl Call {
    /// A header.
    ///
    /// # Panics
    /// When it is not there.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or_else(|| panic!("no {name} in {:?}", self.headers), String::as_str)
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {}", self.body))
    }

    /// Whether a signature is right, as the Standard Webhooks specification says how to see it.
    ///
    /// # Panics
    /// When `secret` is none.
    #[must_use]
    pub fn is_signed_with(&self, secret: &str) -> bool {
        let key = STANDARD.decode(secret.strip_prefix("whsec_").expect("a secret")).expect("base 64");
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
        let signed = format!("{}.{}.{}", self.header("webhook-id"), self.header("webhook-timestamp"), self.body);
        self.header("webhook-signature").split(' ').any(|signature| {
            let tag = signature.strip_prefix("v1,").and_then(|tag| STANDARD.decode(tag).ok());
            tag.is_some_and(|tag| hmac::verify(&key, signed.as_bytes(), &tag).is_ok())
        })
    }
}

/// How to answer.
#[derive(Debug, Clone)]
pub enum Reply {
    /// With a status line, and headers with their line ends.
    Say(String),
    /// Not at all, until the other side goes.
    Hang,
}

/// A server on loopback that ends with the test.
#[derive(Debug)]
pub struct Receiver {
    port: u16,
    calls: UnboundedReceiver<Call>,
    connections: Arc<AtomicUsize>,
    reply: Arc<Mutex<Reply>>,
    _task: JoinSet<()>,
}

impl Receiver {
    /// Starts one that answers 204.
    ///
    /// # Panics
    /// When there is no port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let reply = Arc::new(Mutex::new(Reply::Say("204 No Content\r\n".to_owned())));
        let connections = Arc::new(AtomicUsize::new(0));
        let (sender, calls) = unbounded_channel();
        let (how, count) = (Arc::clone(&reply), Arc::clone(&connections));
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut served = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                served.spawn(serve(stream, Arc::clone(&how), sender.clone()));
            }
        });
        Self { port, calls, connections, reply, _task: task }
    }

    /// Its port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// A URL of it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook", self.port)
    }

    /// How to answer from now on.
    ///
    /// # Panics
    /// Never.
    pub fn reply(&self, reply: Reply) {
        *self.reply.lock().expect("no panic while held") = reply;
    }

    /// The next request.
    ///
    /// # Panics
    /// When none comes within `limit`.
    pub async fn next(&mut self, limit: Duration) -> Call {
        let next = tokio::time::timeout(limit, self.calls.recv()).await;
        next.unwrap_or_else(|_| panic!("nothing was told within {limit:?}")).expect("a running receiver")
    }

    /// The next request, if it has come already.
    pub fn seen(&mut self) -> Option<Call> {
        self.calls.try_recv().ok()
    }

    /// How many connections were made to it.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

async fn serve(stream: TcpStream, reply: Arc<Mutex<Reply>>, calls: UnboundedSender<Call>) {
    let mut stream = BufReader::new(stream);
    let Ok(call) = read(&mut stream).await else { return };
    let _closed = calls.send(call);
    let reply = reply.lock().expect("no panic while held").clone();
    let _gone = match reply {
        Reply::Say(answer) => stream.write_all(format!("HTTP/1.1 {answer}connection: close\r\n\r\n").as_bytes()).await,
        Reply::Hang => stream.read(&mut [0]).await.map(drop),
    };
}

async fn read(stream: &mut BufReader<TcpStream>) -> anyhow::Result<Call> {
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        anyhow::ensure!(stream.read_line(&mut line).await? > 0, "the connection ended");
        match line.trim_end().split_once(": ") {
            Some((name, value)) => {
                headers.insert(name.to_lowercase(), value.to_owned());
            }
            None if line.trim_end().is_empty() => break,
            None => {}
        }
    }
    let length = headers.get("content-length").map_or(Ok(0), |length| length.parse())?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    Ok(Call { headers, body: String::from_utf8(body)? })
}
