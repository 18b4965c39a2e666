//! One session: what goes out in which order, what comes in, until the connection ends.
//!
//! Outgoing messages are made one at a time, when the socket takes the next: answers first, then a heartbeat that is due,
//! then events, then logs. So a heartbeat never waits behind a log, whatever a job writes.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::{Sink as _, Stream as _};
use protocol::envelope::Outgoing;
use protocol::frame::LOG_STREAM;
use protocol::job::{CmdAck, CmdOutcome, RejectCode};
use protocol::session::{Bye, ByeCode, WireError};
use protocol::{BinaryFrame, EventId, JobId, Message, MessageId, Signed};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{self, Message as Frame};
use tokio_util::sync::CancellationToken;

use crate::events::Report;
use crate::link::beat::Beat;
use crate::link::followers::{Answer, Changes, MAX_STARTING, News};
use crate::link::guard::FrameGuard;
use crate::link::handshake::Welcomed;
use crate::link::liveness::Liveness;
use crate::link::outbox::{Outbox, Piece, end_of};
use crate::link::vitals::Vitals;
use crate::relay::Relay;
use crate::spool::SpooledJob;

/// A loop that has not come round for this long hangs.
const TURN: Duration = Duration::from_secs(90);
/// A job whose worker is not listened to, although it seems to run, is looked at this often.
const RECHECK: Duration = Duration::from_secs(5);
/// For the last words of a session.
const FAREWELL: Duration = Duration::from_secs(2);
/// Answers that wait for the socket. Beyond this complaints about the hub's messages are left out.
const MAX_ANSWERS: usize = 256;
/// Events sent and not acknowledged.
const MAX_EVENTS_IN_FLIGHT: usize = 16;

/// Why a session ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// The connection is gone or was given up.
    Lost(String),
    /// The hub closed it on purpose.
    Bye(Bye),
    /// This agent stops.
    Shutdown,
}

/// The state of one session.
pub(super) struct Session<S> {
    pub(super) socket: WebSocketStream<S>,
    pub(super) guard: FrameGuard,
    /// The signed welcome, which workers believe the time of.
    pub(super) welcome: Signed,
    pub(super) number: u64,
    pub(super) beat: Beat,
    pub(super) liveness: Liveness,
    pub(super) outbox: Outbox,
    answers: VecDeque<(Message, Option<MessageId>)>,
    outgoing: VecDeque<Frame>,
    unflushed: bool,
    last_event: Option<EventId>,
    pub(super) events_in_flight: usize,
    recheck_at: Option<Instant>,
}

/// What a turn of the socket brought.
enum Turn {
    /// It takes another frame.
    Writable,
    /// Everything was handed to the kernel.
    Flushed,
    /// A frame, or the end.
    Received(Option<Result<Frame, tungstenite::Error>>),
}

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    /// Begins where hello and welcome left off.
    pub(super) fn new(
        socket: WebSocketStream<S>,
        welcomed: Welcomed,
        spooled: Vec<SpooledJob>,
        relay: &mut Relay,
    ) -> Self {
        let mut outbox = Outbox::default();
        for job in spooled {
            let known = welcomed.body.jobs.iter().find(|known| known.job_id == job.job_id);
            if known.is_some_and(|known| known.done) {
                relay.forget(job.job_id);
                continue;
            }
            let done = end_of(job.phase);
            if done.is_none() {
                relay.followers.attach(job.job_id);
            }
            outbox.start(job.job_id, known.map_or(0, |known| known.next_offset), None, done);
        }
        relay.events.prepare_delivery();
        Self {
            socket,
            guard: welcomed.guard,
            welcome: welcomed.signed,
            number: relay.next_session(),
            beat: Beat::new(welcomed.body.heartbeat_interval_s),
            liveness: Liveness::new(),
            outbox,
            answers: VecDeque::new(),
            outgoing: VecDeque::new(),
            unflushed: false,
            last_event: None,
            events_in_flight: 0,
            recheck_at: None,
        }
    }

    /// Runs until the connection ends.
    pub(super) async fn run(mut self, relay: &mut Relay, shutdown: &CancellationToken, vitals: &Vitals) -> Ended {
        loop {
            vitals.expect_within(TURN);
            self.take_changes(relay);
            if let Err(why) = self.fill(relay) {
                return Ended::Lost(why);
            }
            // Orders wait in the socket while as many as allowed are on their way to workers.
            let read = relay.followers.starting() < MAX_STARTING;
            let wake = self.wake_at();
            tokio::select! {
                biased;
                () = shutdown.cancelled() => {
                    self.farewell(relay, Bye { code: ByeCode::Shutdown, retry_after_s: None }).await;
                    return Ended::Shutdown;
                }
                turn = self.turn(read) => match turn {
                    Ok(Turn::Writable) => if let Err(why) = self.write_one() { return Ended::Lost(why) },
                    Ok(Turn::Flushed) => self.unflushed = false,
                    Ok(Turn::Received(Some(Ok(frame)))) => {
                        self.liveness.heard();
                        if let Some(ended) = self.receive(frame, relay).await {
                            return ended;
                        }
                    }
                    Ok(Turn::Received(Some(Err(error)))) => return self.broken(error, relay).await,
                    Ok(Turn::Received(None)) => return Ended::Lost("the hub closed the connection".to_owned()),
                    Err(error) => return Ended::Lost(error.to_string()),
                },
                () = relay.followers.changed() => {}
                () = relay.events.added() => {}
                () = sleep_until(wake) => {
                    if self.liveness.is_dead() && read {
                        return Ended::Lost("nothing was heard of the hub for 35 s".to_owned());
                    }
                    if !read {
                        self.liveness.heard();
                    }
                    self.recheck(relay);
                }
            }
        }
    }

    fn wake_at(&self) -> Instant {
        let timers = [Some(self.beat.due()), Some(self.liveness.deadline()), self.recheck_at];
        timers.into_iter().flatten().min().unwrap_or_else(Instant::now)
    }

    /// Makes the next messages, unless some still wait for the socket.
    fn fill(&mut self, relay: &mut Relay) -> Result<(), String> {
        if !self.outgoing.is_empty() {
            return Ok(());
        }
        if let Some((message, reference)) = self.answers.pop_front() {
            return self.queue(&message, reference, relay);
        }
        if self.beat.due() <= Instant::now() {
            let seq = self.beat.sent();
            let beat = relay.sample(seq, !self.outbox.is_empty());
            return self.queue(&Message::Heartbeat(beat), None, relay);
        }
        if self.events_in_flight < MAX_EVENTS_IN_FLIGHT
            && let Some(event) = relay.events.next_after(self.last_event)
        {
            self.last_event = Some(event.event_id);
            self.events_in_flight += 1;
            return self.queue(&Message::Event(event), None, relay);
        }
        match self.outbox.next(&relay.spool) {
            Some((Piece::Log(log, bytes), reference)) => {
                self.queue(&Message::Log(log), reference, relay)?;
                if let Some(bytes) = bytes {
                    let frame = BinaryFrame { stream: LOG_STREAM, bytes: &bytes }.encode();
                    self.outgoing.push_back(Frame::binary(frame));
                }
                Ok(())
            }
            Some((Piece::Done(done), reference)) => self.queue(&Message::JobDone(done), reference, relay),
            None => Ok(()),
        }
    }

    fn queue(&mut self, message: &Message, reference: Option<MessageId>, relay: &Relay) -> Result<(), String> {
        let id = relay.ids.message().map_err(|error| error.to_string())?;
        let text = Outgoing::new(message, id, relay.clock.now_ms(), reference)
            .and_then(|outgoing| outgoing.to_text(None))
            .map_err(|error| format!("{} could not be written: {error}", message.kind()))?;
        self.outgoing.push_back(Frame::text(text));
        Ok(())
    }

    /// One step of the socket, writing before reading. Nothing is lost when the future is dropped.
    async fn turn(&mut self, read: bool) -> Result<Turn, tungstenite::Error> {
        let (write, flush) = (!self.outgoing.is_empty(), self.unflushed);
        poll_fn(|cx| self.poll_turn(cx, write, flush, read)).await
    }

    fn poll_turn(
        &mut self,
        cx: &mut Context<'_>,
        write: bool,
        flush: bool,
        read: bool,
    ) -> Poll<Result<Turn, tungstenite::Error>> {
        let mut socket = Pin::new(&mut self.socket);
        if write {
            if let Poll::Ready(ready) = socket.as_mut().poll_ready(cx) {
                return Poll::Ready(ready.map(|()| Turn::Writable));
            }
        } else if flush && let Poll::Ready(flushed) = socket.as_mut().poll_flush(cx) {
            return Poll::Ready(flushed.map(|()| Turn::Flushed));
        }
        if read { socket.poll_next(cx).map(|received| Ok(Turn::Received(received))) } else { Poll::Pending }
    }

    fn write_one(&mut self) -> Result<(), String> {
        let Some(frame) = self.outgoing.pop_front() else { return Ok(()) };
        self.unflushed = true;
        Pin::new(&mut self.socket).start_send(frame).map_err(|error| error.to_string())
    }

    /// Answers a message of the hub.
    pub(super) fn answer(&mut self, message: Message, reference: Option<MessageId>) {
        self.answers.push_back((message, reference));
    }

    /// Says that a message was not taken, unless the hub is told so faster than it reads.
    pub(super) fn complain(&mut self, error: WireError, reference: Option<MessageId>) {
        if self.answers.len() < MAX_ANSWERS {
            self.answer(Message::Error(error), reference);
        }
    }

    fn take_changes(&mut self, relay: &mut Relay) {
        let Changes { news, answers, refused } = relay.followers.take();
        for answer in answers {
            self.take_answer(answer, relay);
        }
        for (job_id, news) in news {
            self.take_news(job_id, news, relay);
        }
        for (job_id, rejected) in refused {
            report_rejection(relay, job_id, rejected.code, &rejected.message);
        }
    }

    fn take_answer(&mut self, answer: Answer, relay: &mut Relay) {
        let Answer { session, reference, ack } = answer;
        let reference = (session == self.number).then_some(reference);
        match &ack.outcome {
            CmdOutcome::Accepted(_) => self.outbox.start(ack.job_id, 0, reference, None),
            CmdOutcome::Already(_) => self.resend(ack.job_id, reference, relay),
            CmdOutcome::Rejected(rejected) => {
                log::warn!("job {} was refused: {}", ack.job_id, rejected.message);
                report_rejection(relay, ack.job_id, rejected.code, &rejected.message);
            }
        }
        // A hub that has reconnected asks again; an answer to an order of another connection would mean nothing to it.
        if reference.is_some() {
            self.answer(Message::CmdAck(CmdAck { ..ack }), reference);
        }
    }

    /// The hub asks again for a job that it had before: it is told everything again.
    fn resend(&mut self, job_id: JobId, reference: Option<MessageId>, relay: &mut Relay) {
        if self.outbox.contains(job_id) {
            return;
        }
        if let Ok(Some(job)) = relay.spool.job(job_id) {
            let done = end_of(job.phase);
            if done.is_none() {
                relay.followers.attach(job_id);
            }
            self.outbox.start(job_id, 0, reference, done);
        }
    }

    fn take_news(&mut self, job_id: JobId, news: News, relay: &mut Relay) {
        if let Some(done) = news.done {
            self.outbox.ended(job_id, done);
        } else if news.lost_sight {
            self.look_for_end(job_id, relay);
        }
        self.outbox.spooled(job_id);
    }

    /// A worker hung up without a word: the spool knows what became of the job.
    fn look_for_end(&mut self, job_id: JobId, relay: &mut Relay) {
        if !self.outbox.contains(job_id) {
            return;
        }
        match relay.spool.job(job_id).map(|job| job.map(|job| end_of(job.phase))) {
            Ok(Some(Some(done))) => {
                if done.state == protocol::job::EndState::Lost {
                    relay.sweep();
                }
                self.outbox.ended(job_id, done);
            }
            Ok(Some(None)) => self.recheck_at = Some(Instant::now() + RECHECK),
            Ok(None) => log::error!("job {job_id} has vanished from the spool"),
            Err(error) => {
                log::error!("job {job_id} cannot be read from the spool: {error}");
                self.recheck_at = Some(Instant::now() + RECHECK);
            }
        }
    }

    fn recheck(&mut self, relay: &mut Relay) {
        if self.recheck_at.is_none_or(|at| at > Instant::now()) {
            return;
        }
        self.recheck_at = None;
        let unseen: Vec<JobId> =
            self.outbox.running().filter(|job_id| !relay.followers.is_following(*job_id)).collect();
        for job_id in unseen {
            relay.followers.attach(job_id);
        }
    }

    /// What the WebSocket layer could not take is the hub's fault where it is not the line's.
    async fn broken(mut self, error: tungstenite::Error, relay: &Relay) -> Ended {
        let (code, close) = match &error {
            tungstenite::Error::Capacity(_) => (protocol::session::ErrorCode::TooLarge, 1009),
            tungstenite::Error::Utf8(_) => (protocol::session::ErrorCode::Malformed, 1007),
            tungstenite::Error::Protocol(_) => (protocol::session::ErrorCode::Malformed, 1002),
            _ => return Ended::Lost(error.to_string()),
        };
        let message = error.to_string();
        self.give_up(WireError { code, message: message.clone() }, None, close, relay).await;
        Ended::Lost(message)
    }

    /// Says why, closes, and waits a moment for both to leave.
    pub(super) async fn give_up(&mut self, error: WireError, reference: Option<MessageId>, close: u16, relay: &Relay) {
        let reason = error.message.chars().take(60).collect::<String>();
        if self.queue(&Message::Error(error), reference, relay).is_ok() {
            self.close(close, reason).await;
        }
    }

    async fn farewell(&mut self, relay: &Relay, bye: Bye) {
        if self.queue(&Message::Bye(bye), None, relay).is_ok() {
            self.close(1000, String::new()).await;
        }
    }

    async fn close(&mut self, code: u16, reason: String) {
        self.outgoing.push_back(Frame::Close(Some(CloseFrame { code: code.into(), reason: reason.into() })));
        let last_words = async {
            while !self.outgoing.is_empty() || self.unflushed {
                match self.turn(false).await {
                    Ok(Turn::Writable) if self.write_one().is_ok() => {}
                    Ok(Turn::Flushed) => self.unflushed = false,
                    _ => return,
                }
            }
            // To close with something unread resets the connection, and the other side may lose what was just said.
            let stream = self.socket.get_mut();
            let mut unread = [0; 4096];
            while matches!(stream.read(&mut unread).await, Ok(1..)) {}
        };
        // Whoever does not listen any more is not waited for.
        let _ = timeout(FAREWELL, last_words).await;
    }
}

/// A refusal for a reason of security is more than an answer to the hub: whoever owns the server must hear of it.
fn report_rejection(relay: &mut Relay, job_id: JobId, code: RejectCode, message: &str) {
    let name = match code {
        RejectCode::BadSignature => "bad_signature",
        RejectCode::WrongServer => "wrong_server",
        RejectCode::Expired => "expired",
        RejectCode::PolicyDenied => "policy_denied",
        _ => return,
    };
    relay.events.report(Report::rejected_command(job_id, name, message));
}
