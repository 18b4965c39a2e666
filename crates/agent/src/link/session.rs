//! One session: what goes out in which order, what comes in, until the connection ends.
//!
//! Outgoing messages are made one at a time, when the socket takes the next: answers first, then a heartbeat that is due,
//! then events, then logs. So a heartbeat never waits behind a log, whatever a job writes.

use std::collections::VecDeque;
use std::time::Duration;

use protocol::envelope::Outgoing;
use protocol::session::{Bye, ByeCode, ErrorCode, WireError as Complaint};
use protocol::{JobId, Message, MessageId, Signed};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep_until};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_util::sync::CancellationToken;

use crate::link::beat::Beat;
use crate::link::followers::{Changes, MAX_STARTING, News};
use crate::link::guard::FrameGuard;
use crate::link::handshake::Welcomed;
use crate::link::liveness::Liveness;
use crate::link::outbox::{Outbox, Piece, end_of};
use crate::link::vitals::Vitals;
use crate::link::wire::{Wire, WireError};
use crate::relay::Relay;
use crate::spool::SpooledJob;

/// A loop that has not come round for this long hangs.
const TURN: Duration = Duration::from_secs(90);
/// A job whose worker is not listened to, although it seems to run, is looked at this often.
const RECHECK: Duration = Duration::from_secs(5);
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
    /// The hub has given this agent a new credential.
    Renewed,
    /// This agent stops.
    Shutdown,
}

/// The state of one session.
pub(super) struct Session<S> {
    wire: Wire<S>,
    pub(super) guard: FrameGuard,
    /// The signed welcome, which workers believe the time of.
    pub(super) welcome: Signed,
    pub(super) number: u64,
    pub(super) beat: Beat,
    pub(super) liveness: Liveness,
    pub(super) outbox: Outbox,
    answers: VecDeque<(Message, Option<MessageId>)>,
    last_event: Option<u64>,
    pub(super) events_in_flight: usize,
    recheck_at: Option<Instant>,
    /// The hub's clock in the welcome, and when that came.
    hub_clock: (i64, Instant),
    renewed: bool,
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
            wire: Wire::new(socket),
            guard: welcomed.guard,
            welcome: welcomed.signed,
            number: relay.next_session(),
            beat: Beat::new(welcomed.body.heartbeat_interval_s),
            liveness: Liveness::new(),
            outbox,
            answers: VecDeque::new(),
            last_event: None,
            events_in_flight: 0,
            recheck_at: None,
            hub_clock: (welcomed.body.hub.time_ms, Instant::now()),
            renewed: false,
        }
    }

    /// Runs until the connection ends.
    pub(super) async fn run(mut self, relay: &mut Relay, shutdown: &CancellationToken, vitals: &Vitals) -> Ended {
        loop {
            vitals.expect_within(TURN);
            self.take_changes(relay);
            if self.renewed {
                return self.say_all_and_close(relay).await;
            }
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
                turn = self.wire.turn(read) => match turn {
                    Ok(None) => {}
                    Ok(Some(frame)) => {
                        self.liveness.heard();
                        if let Some(ended) = self.receive(frame, relay).await {
                            return ended;
                        }
                    }
                    Err(error) => return self.broken(error, relay).await,
                },
                () = relay.followers.changed() => {}
                () = relay.events.added() => {}
                () = relay.requests.changed() => {}
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
        if !self.wire.is_idle() {
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
            && let Some((number, event)) = relay.events.next_after(self.last_event)
        {
            self.last_event = Some(number);
            self.events_in_flight += 1;
            return self.queue(&Message::Event(event), None, relay);
        }
        match self.outbox.next(&relay.spool) {
            Some((Piece::Log(log, frame), reference)) => {
                self.queue(&Message::Log(log), reference, relay)?;
                if let Some(frame) = frame {
                    self.wire.push(Frame::Binary(frame));
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
        self.wire.push(Frame::text(text));
        Ok(())
    }

    /// Answers a message of the hub.
    pub(super) fn answer(&mut self, message: Message, reference: Option<MessageId>) {
        self.answers.push_back((message, reference));
    }

    /// As [`Session::answer`], unless the hub asks faster than it reads.
    pub(super) fn answer_if_room(&mut self, message: Message, reference: MessageId) {
        if self.answers.len() < MAX_ANSWERS {
            self.answer(message, Some(reference));
        }
    }

    /// The hub's time, as far as it is known: the hub signed it when the session began.
    pub(super) fn hub_now_ms(&self) -> i64 {
        let (then_ms, then) = self.hub_clock;
        then_ms.saturating_add(i64::try_from(then.elapsed().as_millis()).unwrap_or(i64::MAX))
    }

    /// The session ends as soon as the hub has been answered, and the next begins with the new credential.
    pub(super) const fn renew(&mut self) {
        self.renewed = true;
    }

    /// Says that a message was not taken, unless the hub is told so faster than it reads.
    pub(super) fn complain(&mut self, error: Complaint, reference: Option<MessageId>) {
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
            relay.report_rejection(job_id, rejected.code, &rejected.message);
        }
        self.take_restricted(relay);
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
    async fn broken(mut self, error: WireError, relay: &Relay) -> Ended {
        let message = error.to_string();
        let (code, close) = match error {
            WireError::TooLarge(_) => (ErrorCode::TooLarge, 1009),
            WireError::NotText(_) => (ErrorCode::Malformed, 1007),
            WireError::Protocol(_) => (ErrorCode::Malformed, 1002),
            WireError::Closed | WireError::Broken(_) => return Ended::Lost(message),
        };
        self.give_up(Complaint { code, message: message.clone() }, None, close, relay).await;
        Ended::Lost(message)
    }

    /// Says why, and closes.
    pub(super) async fn give_up(&mut self, error: Complaint, reference: Option<MessageId>, close: u16, relay: &Relay) {
        let reason = error.message.clone();
        if self.queue(&Message::Error(error), reference, relay).is_ok() {
            self.wire.close(close, &reason).await;
        }
    }

    async fn say_all_and_close(mut self, relay: &Relay) -> Ended {
        while let Some((message, reference)) = self.answers.pop_front() {
            if let Err(why) = self.queue(&message, reference, relay) {
                return Ended::Lost(why);
            }
        }
        self.wire.close(1000, "new credential").await;
        Ended::Renewed
    }

    async fn farewell(&mut self, relay: &Relay, bye: Bye) {
        if self.queue(&Message::Bye(bye), None, relay).is_ok() {
            self.wire.close(1000, "").await;
        }
    }
}

#[cfg(test)]
mod tests {
    use protocol::session::{Desired, HubInfo, WelcomeBody};
    use protocol::{Hex, ServerId, signing};
    use tokio::io::{DuplexStream, duplex};
    use tokio_tungstenite::tungstenite::protocol::Role;
    use uuid::Uuid;

    use super::*;
    use crate::fixture::Machine;
    use crate::host::random::Random;
    use crate::link::guard::Ephemeral;

    /// A session and the hub's end of its line.
    async fn session(machine: &Machine, relay: &mut Relay) -> (Session<DuplexStream>, WebSocketStream<DuplexStream>) {
        let (ours, theirs) = duplex(1 << 20);
        let socket = WebSocketStream::from_raw_socket(ours, Role::Client, None).await;
        let hub = WebSocketStream::from_raw_socket(theirs, Role::Server, None).await;
        let random = Random::system();
        let nonce = Hex([1; 32]);
        let body = WelcomeBody {
            server_id: ServerId::new(Uuid::from_u128(1)),
            protocol: 1,
            nonce,
            agent_ephemeral_key: Hex([0; 32]),
            ephemeral_key: Hex([0; 32]),
            hub: HubInfo { version: "1".into(), time_ms: 0 },
            heartbeat_interval_s: 30,
            license: machine.sign(signing::LICENSE, "{}".into()),
            jobs: vec![],
            desired: Desired::default(),
        };
        let hub_key = Ephemeral::generate(&random).unwrap().public();
        let guard = Ephemeral::generate(&random).unwrap().agree(nonce, hub_key).unwrap();
        let signed = machine.sign(signing::WELCOME, serde_json::to_string(&body).unwrap());
        (Session::new(socket, Welcomed { guard, body, signed, rotations: vec![] }, vec![], relay), hub)
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_line_is_given_up_and_a_ping_keeps_it() {
        use futures_util::SinkExt as _;
        let machine = Machine::new(7);
        let mut relay = machine.relay();
        let (session, mut hub) = session(&machine, &mut relay).await;
        let began = Instant::now();
        let pings = async {
            for _ in 0..6 {
                tokio::time::sleep(Duration::from_secs(10)).await;
                hub.send(Frame::Ping(Vec::new().into())).await.unwrap();
            }
        };
        let (shutdown, vitals) = (CancellationToken::new(), Vitals::new());
        let (ended, ()) = tokio::join!(session.run(&mut relay, &shutdown, &vitals), pings);
        assert!(matches!(&ended, Ended::Lost(why) if why.contains("35 s")), "{ended:?}");
        assert_eq!(began.elapsed().as_secs(), 95);
        assert!(vitals.are_good());
    }

    #[tokio::test]
    async fn a_hub_that_reads_nothing_does_not_hold_up_the_end() {
        let machine = Machine::new(7);
        let mut relay = machine.relay();
        let (session, _hub) = session(&machine, &mut relay).await;
        let shutdown = CancellationToken::new();
        shutdown.cancel();
        tokio::time::pause();
        let began = Instant::now();
        let ended = session.run(&mut relay, &shutdown, &Vitals::new()).await;
        assert!(matches!(ended, Ended::Shutdown));
        assert!(began.elapsed() <= Duration::from_secs(3));
    }
}
