//! The worker: one process for one job, from the hub's signed order to the end of the process tree.
//!
//! It is started ahead of its job and waits for one line. What it then believes is the hub's signature and files that
//! only root can write; the relay that hands over the order could be anybody's.

pub mod peer;
pub mod wire;

mod job;
mod journal;
mod sweep;

use std::io::{self, stdin};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

use protocol::Signed;
use protocol::job::{RejectCode, Rejected};
use protocol::policy::PolicySummary;
use protocol::session::WelcomeBody;
use protocol::signing;

use crate::commit_confirm;
use crate::host::clock::Clock;
use crate::host::files;
use crate::paths::Paths;
use crate::policy::{Policy, restrictions};
use crate::supervise::cgroup::JobCgroup;
use crate::trust::Trust;
use crate::trust::hub_time::{HubTime, Moment};
use crate::trust::rotation::{self, RotationError};
use peer::Peer;
use wire::{Description, MAX_REQUEST, Note, Op};

/// Exit code of a worker that nobody with the right to do so connected to.
const NO_RELAY: u8 = 2;

/// Runs a worker on the connection that is its standard input.
#[must_use]
pub fn main(paths: &Paths) -> ExitCode {
    match serve(paths) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::error!("no job was run: {error}");
            ExitCode::from(NO_RELAY)
        }
    }
}

fn serve(paths: &Paths) -> io::Result<()> {
    // A worker has its own session and name, whoever started it; systemd has seen to that already.
    let _ = nix::unistd::setsid();
    let _ = nix::sys::prctl::set_name(c"roadstead-work");
    let stream = UnixStream::from(stdin().as_fd().try_clone_to_owned()?);
    // What this process starts must not find the connection there.
    nix::unistd::dup2_stdin(files::open_null()?)?;
    let relays = relays(paths);
    let mut peer = Peer::new(stream, MAX_REQUEST)?;
    let uid = peer.uid().map_err(|_| io::Error::other("standard input is not a connection from the relay"))?;
    if !relays.contains(&uid) {
        return Err(io::Error::other(format!("user {uid} may not give orders here")));
    }
    // While there is time: the first thing the job will need.
    let cgroup = JobCgroup::make();
    match peer.wait()? {
        // The relay went away before it had a job.
        None => Ok(()),
        Some(Err(rejected)) => {
            answer(&mut peer, &Note::Refused(rejected));
            Ok(())
        }
        Some(Ok(request)) => {
            match request.op {
                Op::Job(order) => job::run(paths, peer, &order, &relays, cgroup),
                Op::Welcome(welcome) => {
                    learn_time(paths, &welcome);
                    answer(&mut peer, &Note::Described(Box::new(describe(paths))));
                }
                Op::Describe => answer(&mut peer, &Note::Described(Box::new(describe(paths)))),
                Op::Restrict(order) => answer(&mut peer, &described(paths, restrict(paths, &order))),
                Op::Rotate(rotations) => answer(&mut peer, &described(paths, rotate(paths, &rotations))),
                Op::Sweep => {
                    let swept = sweep::run(paths);
                    answer(&mut peer, &Note::Swept(swept));
                    // Commands of these may take longer than the relay waits for an answer.
                    commit_confirm::revert::sweep(paths);
                }
                Op::Cancel(_) | Op::CancelHere(_) => {
                    let message = "this worker has no job yet".to_owned();
                    answer(&mut peer, &Note::Refused(Rejected { code: RejectCode::BadArguments, message }));
                }
            }
            Ok(())
        }
    }
}

/// Users that may hand over orders: root, this one, and the owner of the relay's directory, which only root can make.
fn relays(paths: &Paths) -> Vec<u32> {
    use std::os::unix::fs::MetadataExt as _;
    let relay = files::Dir::open(&paths.relay_dir()).and_then(|dir| dir.metadata()).map(|metadata| metadata.uid());
    [0, nix::unistd::geteuid().as_raw()].into_iter().chain(relay.ok()).collect()
}

/// What the host allows after a change, or why there was none.
fn described(paths: &Paths, changed: Result<(), Rejected>) -> Note {
    match changed {
        Ok(()) => Note::Described(Box::new(describe(paths))),
        Err(rejected) => {
            log::warn!("a change was refused: {:?}: {}", rejected.code, rejected.message);
            Note::Refused(rejected)
        }
    }
}

fn restrict(paths: &Paths, order: &Signed) -> Result<(), Rejected> {
    let trust =
        Trust::load(paths).map_err(|error| Rejected { code: RejectCode::Unavailable, message: error.to_string() })?;
    restrictions::take(paths, &trust, order)
}

fn rotate(paths: &Paths, rotations: &[Signed]) -> Result<(), Rejected> {
    rotation::take(paths, rotations).map_err(|error| {
        let code = match error {
            RotationError::Trust(_) | RotationError::Store(_) => RejectCode::Unavailable,
            RotationError::NoSuccessor | RotationError::Broken(_) | RotationError::TooLong => RejectCode::BadSignature,
        };
        Rejected { code, message: error.to_string() }
    })
}

fn describe(paths: &Paths) -> Description {
    let boot_id = Moment::now(Clock::system()).map(|moment| moment.boot_id).unwrap_or_default();
    let policy = match Trust::load(paths) {
        Ok(trust) => Policy::in_force(paths, trust.server_id()).summary(),
        Err(error) => PolicySummary::unusable(error.to_string()),
    };
    Description { version: env!("CARGO_PKG_VERSION").to_owned(), policy, boot_id }
}

/// Says one thing and sees it off.
fn answer(peer: &mut Peer, note: &Note) {
    peer.send(note);
    job::see_off(std::slice::from_mut(peer));
}

/// Takes note of the hub's time, if it is the hub that says so.
fn learn_time(paths: &Paths, welcome: &Signed) {
    let Ok(trust) = Trust::load(paths) else { return };
    if trust.verify(signing::WELCOME, welcome).is_err() {
        log::warn!("a welcome that the hub did not sign was handed over; its time is not believed");
        return;
    }
    let Ok(body) = serde_json::from_str::<WelcomeBody>(&welcome.body) else { return };
    if body.server_id != trust.server_id() {
        return;
    }
    let Ok(moment) = Moment::now(Clock::system()) else { return };
    if let Some(record) = HubTime::learn(HubTime::load(paths).as_ref(), body.hub.time_ms, &moment)
        && let Err(error) = record.save(paths)
    {
        log::warn!("the hub's time cannot be kept: {error}");
    }
}
