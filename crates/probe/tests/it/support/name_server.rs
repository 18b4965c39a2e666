//! A name server on loopback, over UDP and TCP, that answers each question as a test says.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hickory_resolver::proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_resolver::proto::rr::{RData, Record};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinSet;

/// One answer.
pub(crate) enum Reply {
    /// These records, all of the name that was asked.
    Records(Vec<RData>),
    /// An error.
    Code(ResponseCode),
    /// Records over TCP, nothing but "it does not fit" over UDP.
    TooLong(Vec<RData>),
    /// "It does not fit", always.
    NeverFits,
    /// Nothing.
    Silent,
    /// Bytes that are no message.
    Garbage,
    /// First one with a wrong id and other records, then the right one.
    Forged(Vec<RData>, Vec<RData>),
}

/// Runs until it is dropped.
pub(crate) struct NameServer {
    pub(crate) address: SocketAddr,
    asked: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl NameServer {
    /// Answers the question with this number (from 0) as `reply` says.
    pub(crate) async fn start(reply: impl Fn(&Query, usize) -> Reply + Send + Sync + 'static) -> Self {
        let (udp, tcp) = bound().await;
        let address = udp.local_addr().unwrap();
        let (asked, reply) = (Arc::new(AtomicUsize::new(0)), Arc::new(reply));
        let mut tasks = JoinSet::new();
        let (counted, replied) = (Arc::clone(&asked), Arc::clone(&reply));
        tasks.spawn(async move {
            let mut buffer = vec![0; 4096];
            while let Ok((length, from)) = udp.recv_from(&mut buffer).await {
                let question = Message::from_vec(&buffer[..length]).unwrap();
                let reply = replied(&question.queries[0], counted.fetch_add(1, Ordering::SeqCst));
                for answer in answers(&question, reply, false) {
                    udp.send_to(&answer, from).await.unwrap();
                }
            }
        });
        let counted = Arc::clone(&asked);
        tasks.spawn(async move {
            while let Ok((mut stream, _)) = tcp.accept().await {
                let Some(question) = question(&mut stream).await else { continue };
                let reply = reply(&question.queries[0], counted.fetch_add(1, Ordering::SeqCst));
                for answer in answers(&question, reply, true) {
                    stream.write_u16(answer.len().try_into().unwrap()).await.unwrap();
                    stream.write_all(&answer).await.unwrap();
                }
            }
        });
        Self { address, asked, _tasks: tasks }
    }

    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

/// Both on one port. The kernel gives UDP one that TCP may have lent to somebody else.
async fn bound() -> (UdpSocket, TcpListener) {
    loop {
        let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()).await {
            return (udp, tcp);
        }
    }
}

async fn question(stream: &mut TcpStream) -> Option<Message> {
    let mut question = vec![0; stream.read_u16().await.ok()?.into()];
    stream.read_exact(&mut question).await.ok()?;
    Message::from_vec(&question).ok()
}

fn answers(question: &Message, reply: Reply, is_tcp: bool) -> Vec<Vec<u8>> {
    let with = |id: u16, records: Vec<RData>| {
        let mut message = Message::new(id, MessageType::Response, OpCode::Query);
        message.add_query(question.queries[0].clone());
        let name = question.queries[0].name.clone();
        message.answers = records.into_iter().map(|data| Record::from_rdata(name.clone(), 60, data)).collect();
        message
    };
    let id = question.metadata.id;
    let message = match reply {
        Reply::Silent => return Vec::new(),
        Reply::Garbage => return vec![vec![0xff; 40]],
        Reply::Forged(wrong, right) => {
            return vec![with(id.wrapping_add(1), wrong).to_vec().unwrap(), with(id, right).to_vec().unwrap()];
        }
        Reply::Records(records) => with(id, records),
        Reply::TooLong(records) if is_tcp => with(id, records),
        Reply::TooLong(_) | Reply::NeverFits => {
            let mut message = with(id, Vec::new());
            message.metadata.truncation = true;
            message
        }
        Reply::Code(code) => {
            let mut message = with(id, Vec::new());
            message.metadata.response_code = code;
            message
        }
    };
    vec![message.to_vec().unwrap()]
}
