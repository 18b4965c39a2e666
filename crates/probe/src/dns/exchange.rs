//! Question and answer on the wire: over UDP, and over TCP where the answer does not fit.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use hickory_resolver::proto::op::{Edns, Message, MessageType, OpCode, Query};
use protocol::probe::{Failure, FailureCode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use crate::dial::connect_failure;
use crate::watch::fail;
use crate::{Env, limits};

/// Largest answer over UDP that is asked for, bytes: it passes every network in one piece.
const UDP_ANSWER: u16 = 1232;
/// Answers to nobody's question that are passed over per try.
const STRAY: usize = 64;

/// The first answer that a server gives, and which one. Servers take turns until the caller's time is over.
pub(super) async fn ask(servers: &[SocketAddr], query: &Query, env: &Env) -> Result<(Message, SocketAddr), Failure> {
    let mut told = fail(FailureCode::Unsupported, "there is no name server to ask");
    let mut failed = 0;
    for server in servers.iter().cycle().take(limits::NAME_SERVER_TRIES) {
        // The lowest bits of 64 that nobody can guess.
        let id = u16::try_from((env.random)() & 0xffff).unwrap_or_default();
        match timeout(limits::NAME_SERVER_TRY, one(*server, query, id)).await {
            Ok(Ok(message)) => return Ok((message, *server)),
            Ok(Err(failure)) => {
                failed += 1;
                told = failure;
                if failed >= servers.len() {
                    return Err(told);
                }
            }
            // Lost on the way, perhaps: asked again.
            Err(_) => {
                let text = format!("{server} does not answer; does a name server run there, and let this machine ask?");
                told = fail(FailureCode::Timeout, text);
            }
        }
    }
    Err(told)
}

async fn one(server: SocketAddr, query: &Query, id: u16) -> Result<Message, Failure> {
    let message = over_udp(server, query, id).await.map_err(|error| problem(server, &error))?;
    if !message.metadata.truncation {
        return Ok(message);
    }
    let message = over_tcp(server, query, id).await.map_err(|error| problem(server, &error))?;
    if message.metadata.truncation {
        return Err(fail(FailureCode::Protocol, format!("{server} cuts its answer short over TCP as well")));
    }
    Ok(message)
}

fn problem(server: SocketAddr, error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
            fail(FailureCode::Protocol, format!("{server} gave an answer that is no DNS: {error}"))
        }
        _ => connect_failure(server, error),
    }
}

fn question(query: &Query, id: u16) -> io::Result<Vec<u8>> {
    let mut message = Message::new(id, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(query.clone());
    let mut edns = Edns::new();
    edns.set_max_payload(UDP_ANSWER);
    message.set_edns(edns);
    message.to_vec().map_err(io::Error::other)
}

/// Whether a message answers the question: its id and the question itself, so that a guess must get all of it right.
fn answers(message: &Message, query: &Query, id: u16) -> bool {
    let is_asked = message.queries.first().is_some_and(|asked| {
        asked.name == query.name && asked.query_type == query.query_type && asked.query_class == query.query_class
    });
    message.metadata.id == id && message.metadata.message_type == MessageType::Response && is_asked
}

async fn over_udp(server: SocketAddr, query: &Query, id: u16) -> io::Result<Message> {
    let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    // A port of its own for each question; connected, so that the kernel drops what others send.
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    socket.send(&question(query, id)?).await?;
    let mut buffer = vec![0; 4096];
    let mut last = io::Error::new(io::ErrorKind::InvalidData, "it answers other questions than the one that was asked");
    for _ in 0..STRAY {
        let length = socket.recv(&mut buffer).await?;
        match Message::from_vec(buffer.get(..length).unwrap_or_default()) {
            Ok(message) if answers(&message, query, id) => return Ok(message),
            Ok(_) => {}
            Err(error) => last = io::Error::new(io::ErrorKind::InvalidData, error.to_string()),
        }
    }
    Err(last)
}

async fn over_tcp(server: SocketAddr, query: &Query, id: u16) -> io::Result<Message> {
    let mut stream = TcpStream::connect(server).await?;
    let question = question(query, id)?;
    let length = u16::try_from(question.len()).map_err(io::Error::other)?;
    let mut framed = length.to_be_bytes().to_vec();
    framed.extend(question);
    stream.write_all(&framed).await?;
    let length = stream.read_u16().await?;
    let mut answer = vec![0; length.into()];
    stream.read_exact(&mut answer).await?;
    let invalid = |why: String| io::Error::new(io::ErrorKind::InvalidData, why);
    let message = Message::from_vec(&answer).map_err(|error| invalid(error.to_string()))?;
    if answers(&message, query, id) {
        return Ok(message);
    }
    Err(invalid("it answers another question than the one that was asked".to_owned()))
}
