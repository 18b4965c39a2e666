//! One job from its main process to the end of its tree. One thread, one loop, bounded steps: a job that floods its log,
//! a relay that does not listen and a process that does not want to die all wait for nobody but themselves.
//!
//! The end of a job is an empty process tree, never a closed pipe: as the subreaper of all its descendants the worker is
//! told by the kernel when none is left.

pub mod cgroup;
pub mod control;
pub mod ending;
pub mod limits;
pub mod mask;
pub mod output;
pub mod tree;
pub mod unit;

use std::os::fd::AsFd as _;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::Pid;
use protocol::JobId;
use tokio::time::Instant;

use crate::host::commands::{self, ProcessEnd, Reaped};
use crate::trust::Trust;
use crate::trust::claims::Claims;
use crate::work::peer::Peer;
use crate::work::wire::Note;
use cgroup::JobCgroup;
use control::{Canceller, Control};
use ending::{Cause, Ending, Step};
use output::{Output, PACE};
use tree::Process;

/// What a finished job left behind may end by itself within this time, as the last part of a pipeline does.
const LEFTOVER_PATIENCE: Duration = Duration::from_secs(1);
/// Relays that listen to one job; the oldest newcomer makes room, see [`control::makes_room`].
const MAX_PEERS: usize = 4;
/// Where nothing else holds a job's processes together, they are noted: first after this time, then ever more rarely.
const FIRST_NOTE: Duration = Duration::from_secs(1);
const RAREST_NOTE: Duration = Duration::from_secs(30);
/// Longest sleep; nothing depends on it.
const IDLE: Duration = Duration::from_secs(3600);

/// How a job went.
#[derive(Debug)]
pub struct Outcome {
    /// How its main process ended; `None` for one that could not be killed.
    pub main: Option<ProcessEnd>,
    /// Why it was ended, if it did not end by itself.
    pub cause: Option<Cause>,
    /// Who cancelled it, if somebody did.
    pub canceller: Option<Canceller>,
    /// Processes that the kernel did not let go of.
    pub immortal: Vec<String>,
}

/// Signals that a worker hears.
#[derive(Debug)]
pub struct Signals(SignalFd);

impl Signals {
    /// Begins to listen. From now on none of them ends this process.
    ///
    /// # Errors
    /// When the kernel has no descriptor left.
    pub fn listen() -> nix::Result<Self> {
        let heard: SigSet = [Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP].into_iter().collect();
        heard.thread_block()?;
        SignalFd::with_flags(&heard, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC).map(Self)
    }

    /// Takes all that came; true when this process was asked to end.
    fn take(&self) -> bool {
        let mut asked_to_end = false;
        while let Ok(Some(signal)) = self.0.read_signal() {
            let number = i32::try_from(signal.ssi_signo).unwrap_or(0);
            asked_to_end |= number == Signal::SIGTERM as i32 || number == Signal::SIGINT as i32;
        }
        asked_to_end
    }
}

/// What a supervisor needs to know about its job.
#[derive(Debug)]
pub struct Job<'a> {
    /// The job.
    pub id: JobId,
    /// Its main process.
    pub main: Pid,
    /// When it was claimed.
    pub started: Instant,
    /// How long it may take.
    pub timeout: Duration,
    /// Who may cancel it.
    pub trust: &'a Trust,
    /// Where its processes are noted.
    pub claims: &'a Claims,
    /// Users that may connect to it.
    pub relays: &'a [u32],
}

/// Everything about a running job.
#[derive(Debug)]
pub struct Supervisor<'a> {
    job: Job<'a>,
    signals: &'a Signals,
    output: &'a mut Output,
    peers: &'a mut Vec<Peer>,
    control: Option<Control>,
    cgroup: Option<JobCgroup>,
    main_end: Option<ProcessEnd>,
    /// Decided before the main process ended.
    cause: Option<Cause>,
    canceller: Option<Canceller>,
    ending: Option<Ending>,
    leftovers_at: Option<Instant>,
    progress: Progress,
    noting: Option<(Instant, Duration)>,
}

/// What the peers were last told.
#[derive(Debug, Default)]
struct Progress {
    told: u64,
    at: Option<Instant>,
}

/// What the loop woke up for.
enum Woken {
    Signals,
    Control,
    Peer(usize),
    Pipe(usize),
}

impl<'a> Supervisor<'a> {
    /// Takes over a job that has just been started.
    #[must_use]
    pub fn new(
        job: Job<'a>,
        signals: &'a Signals,
        output: &'a mut Output,
        peers: &'a mut Vec<Peer>,
        control: Option<Control>,
        cgroup: Option<JobCgroup>,
    ) -> Self {
        // systemd ends what is left of a unit whose worker died; elsewhere a sweep has to find it.
        let noting = cgroup.is_none().then(|| (job.started + FIRST_NOTE, FIRST_NOTE));
        Self {
            job,
            signals,
            output,
            peers,
            control,
            cgroup,
            main_end: None,
            cause: None,
            canceller: None,
            ending: None,
            leftovers_at: None,
            progress: Progress::default(),
            noting,
        }
    }

    /// Waits until no process of the job is left, whatever that takes.
    pub fn run(mut self) -> Outcome {
        let mut immortal = Vec::new();
        while self.reap() {
            let now = Instant::now();
            if let Some(left) = self.act(now) {
                immortal = left;
                break;
            }
            self.tell(now);
            self.sleep(now);
        }
        // The machine goes down: TERM reaches job and worker together, and the job may be the faster one.
        if self.signals.take() && self.main_end.is_some_and(|end| end == ProcessEnd::Signaled(Signal::SIGTERM as i32)) {
            self.cause.get_or_insert(Cause::Interrupted);
        }
        Outcome { main: self.main_end, cause: self.cause, canceller: self.canceller, immortal }
    }

    /// Takes note of everything that has ended; false when nothing is left.
    fn reap(&mut self) -> bool {
        loop {
            match commands::reap() {
                Reaped::Alive => return true,
                Reaped::Nobody => return false,
                Reaped::Ended(pid, end) if pid == self.job.main => {
                    self.main_end = Some(end);
                    if self.ending.is_none() {
                        self.leftovers_at = Some(Instant::now() + LEFTOVER_PATIENCE);
                    }
                }
                Reaped::Ended(..) => {}
            }
        }
    }

    /// Does what is due. Returns the names of processes that have to be given up, once that is so.
    fn act(&mut self, now: Instant) -> Option<Vec<String>> {
        self.output.tick(now);
        if self.ending.is_none() && self.main_end.is_none() && now >= self.job.started + self.job.timeout {
            self.output.say(&format!("[the time limit of {} s is reached]\n", self.job.timeout.as_secs()), now);
            self.end(Cause::TimedOut, now);
        }
        if self.ending.is_none() && self.leftovers_at.is_some_and(|at| now >= at) {
            self.end(Cause::Leftovers, now);
        }
        if let Some((at, pause)) = self.noting
            && now >= at
        {
            self.note_tree();
            let pause = (pause * 2).min(RAREST_NOTE);
            self.noting = Some((now + pause, pause));
        }
        match self.ending.as_mut()?.step(now)? {
            Step::Terminate => {
                let processes = tree::own();
                if self.ending.as_ref().is_some_and(|ending| ending.cause() == Cause::Leftovers) {
                    let text =
                        format!("[the job has ended; what it left running is ended too: {}]\n", names(&processes));
                    self.output.say(&text, now);
                }
                tree::terminate(&processes);
                None
            }
            Step::Kill => {
                if let Some(cgroup) = &self.cgroup {
                    cgroup.kill();
                }
                for process in tree::own() {
                    process.signal(Signal::SIGKILL);
                }
                None
            }
            Step::GiveUp => {
                let left = tree::own();
                self.output.say(&format!("[these processes cannot be killed: {}]\n", names(&left)), now);
                Some(left.iter().map(name).collect())
            }
        }
    }

    fn end(&mut self, cause: Cause, now: Instant) {
        if self.ending.is_some() {
            return;
        }
        if self.main_end.is_none() {
            self.cause = Some(cause);
        }
        self.ending = Some(Ending::begin(cause, now));
    }

    fn note_tree(&self) {
        let main = tree::find(self.job.main.as_raw());
        let processes = main.into_iter().chain(tree::own()).map(|process| process.id).collect::<Vec<_>>();
        if let Err(error) = self.job.claims.note_tree(self.job.id, &processes) {
            log::warn!("job {}: its processes cannot be noted: {error}", self.job.id);
        }
    }

    /// Tells everybody how far the log is, at the pace of the log itself.
    fn tell(&mut self, now: Instant) {
        let spooled = self.output.spooled();
        if spooled == self.progress.told || self.progress.at.is_some_and(|at| now < at + PACE) {
            return;
        }
        self.progress = Progress { told: spooled, at: Some(now) };
        for peer in self.peers.iter_mut() {
            peer.send_progress(spooled);
        }
    }

    fn sleep(&mut self, now: Instant) {
        let woken = self.wait(now);
        let now = Instant::now();
        for woken in woken {
            match woken {
                Woken::Signals if self.signals.take() => {
                    self.output.say("[the machine or the agent's unit is being stopped]\n", now);
                    self.end(Cause::Interrupted, now);
                }
                Woken::Signals => {}
                Woken::Control => self.accept(),
                Woken::Peer(index) => self.hear(index, now),
                Woken::Pipe(index) => self.output.read(index, now),
            }
        }
        self.peers.retain(|peer| !peer.is_closed());
    }

    fn wait(&self, now: Instant) -> Vec<Woken> {
        let mut meanings = vec![Woken::Signals];
        let mut waiting = vec![PollFd::new(self.signals.0.as_fd(), PollFlags::POLLIN)];
        if let Some(control) = &self.control {
            meanings.push(Woken::Control);
            waiting.push(PollFd::new(control.as_fd(), PollFlags::POLLIN));
        }
        for (index, peer) in self.peers.iter().enumerate() {
            let writing = if peer.has_unsent() { PollFlags::POLLOUT } else { PollFlags::empty() };
            meanings.push(Woken::Peer(index));
            waiting.push(PollFd::new(peer.as_fd(), PollFlags::POLLIN | writing));
        }
        for (index, pipe) in self.output.waiting(now) {
            meanings.push(Woken::Pipe(index));
            waiting.push(PollFd::new(pipe, PollFlags::POLLIN));
        }
        // A full millisecond for each that has begun: waking up too early would be waking up twice.
        let millis = self.next_at(now).saturating_duration_since(now).as_nanos().div_ceil(1_000_000);
        let timeout = i32::try_from(millis).ok().and_then(|millis| PollTimeout::try_from(millis).ok());
        if poll(&mut waiting, timeout.unwrap_or(PollTimeout::MAX)).is_err() {
            return Vec::new();
        }
        let woken = meanings.into_iter().zip(&waiting).filter(|(_, fd)| fd.any() == Some(true));
        woken.map(|(meaning, _)| meaning).collect()
    }

    fn next_at(&self, now: Instant) -> Instant {
        let time_limit = self.main_end.is_none().then(|| self.job.started + self.job.timeout);
        let ending = self.ending.as_ref().map(Ending::next_at);
        let progress = self.progress.at.filter(|_| self.output.spooled() != self.progress.told).map(|at| at + PACE);
        let due = match ending {
            Some(at) => vec![at],
            None => time_limit.into_iter().chain(self.leftovers_at).collect(),
        };
        let notes = self.noting.map(|(at, _)| at);
        due.into_iter().chain(progress).chain(notes).chain(self.output.next_at()).fold(now + IDLE, Instant::min)
    }

    fn accept(&mut self) {
        while let Some(mut peer) = self.control.as_ref().and_then(Control::accept) {
            if !peer.uid().is_ok_and(|uid| self.job.relays.contains(&uid)) {
                continue;
            }
            if self.peers.len() >= MAX_PEERS {
                self.peers.remove(control::makes_room(self.peers));
            }
            peer.send_progress(self.output.spooled());
            self.peers.push(peer);
        }
    }

    fn hear(&mut self, index: usize, now: Instant) {
        let Some(peer) = self.peers.get_mut(index) else { return };
        peer.flush();
        peer.receive();
        let mut canceller = None;
        while let Some(line) = peer.take_line() {
            let answer = line.and_then(|request| control::cancels(request.op, peer, self.job.id, self.job.trust));
            match answer {
                Ok(by) => canceller = canceller.or(Some(by)),
                Err(rejected) => peer.send(&Note::Refused(rejected)),
            }
        }
        if self.ending.is_none()
            && let Some(by) = canceller
        {
            self.output.say(&by.remark(), now);
            self.canceller = Some(by);
            self.end(Cause::Cancelled, now);
        }
    }
}

fn names(processes: &[Process]) -> String {
    const SHOWN: usize = 20;
    let mut text = processes.iter().take(SHOWN).map(name).collect::<Vec<_>>().join(", ");
    if processes.len() > SHOWN {
        text.push_str(&format!(" and {} more", processes.len() - SHOWN));
    }
    text
}

fn name(process: &Process) -> String {
    format!("{} ({})", process.name, process.id.pid)
}
