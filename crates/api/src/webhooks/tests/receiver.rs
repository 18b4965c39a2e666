//! Somebody's server: keeps what it is told, and answers as it was told to.

use std::collections::{HashMap, VecDeque};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ring::hmac;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_util::task::AbortOnDropHandle;

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: String,
}

impl Call {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or_else(|| panic!("no {name} in {:?}", self.headers), String::as_str)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// Whether one of the signatures is made with this secret, as a receiver would check it.
    pub(crate) fn is_signed_with(&self, secret: &str) -> bool {
        let key = BASE64_STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
        let signed = format!("{}.{}.{}", self.header("webhook-id"), self.header("webhook-timestamp"), self.body);
        self.header("webhook-signature").split(' ').any(|signature| {
            let tag = BASE64_STANDARD.decode(signature.strip_prefix("v1,").unwrap()).unwrap();
            hmac::verify(&key, signed.as_bytes(), &tag).is_ok()
        })
    }
}

/// How to answer: status line and further headers with their line ends; `None`: not at all.
type Answer = Option<&'static str>;

/// The server.
pub(crate) struct Receiver {
    pub(crate) port: u16,
    calls: UnboundedReceiver<Call>,
    answers: Arc<Mutex<VecDeque<Answer>>>,
    _task: AbortOnDropHandle<()>,
}

impl Receiver {
    #[expect(clippy::disallowed_methods, reason = "a test's own server")]
    pub(crate) async fn new() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let answers = Arc::new(Mutex::new(VecDeque::new()));
        let (sender, calls) = unbounded_channel();
        let script = Arc::clone(&answers);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&script), sender.clone()));
            }
        });
        Self { port, calls, answers, _task: AbortOnDropHandle::new(task) }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook", self.port)
    }

    /// What to answer next; afterwards 204.
    pub(crate) fn answer(&self, answers: &[Answer]) {
        self.answers.lock().unwrap().extend(answers);
    }

    /// The next request, waited for.
    pub(crate) async fn next(&mut self) -> Call {
        self.calls.recv().await.unwrap()
    }

    /// The next request, if it has come already.
    pub(crate) fn seen(&mut self) -> Option<Call> {
        self.calls.try_recv().ok()
    }
}

async fn serve(
    stream: TcpStream,
    answers: Arc<Mutex<VecDeque<Answer>>>,
    calls: UnboundedSender<Call>,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        match line.trim_end().split_once(": ") {
            Some((name, value)) => {
                headers.insert(name.to_lowercase(), value.to_owned());
            }
            None if line.trim_end().is_empty() => break,
            None => {}
        }
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    let _ = calls.send(Call { headers, body: String::from_utf8(body).unwrap() });
    let answer = answers.lock().unwrap().pop_front().unwrap_or(Some("204 No Content\r\n"));
    match answer {
        Some(answer) => stream.write_all(format!("HTTP/1.1 {answer}connection: close\r\n\r\n").as_bytes()).await,
        // Hangs until the other side goes.
        None => stream.read(&mut [0]).await.map(drop),
    }
}
