//! The job's control socket: where a relay that was restarted finds its job again, and who may end a job by it.

use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};
use std::os::unix::net::UnixListener;

use nix::fcntl::AtFlags;
use nix::sys::stat::{FchmodatFlags, Mode, fchmodat};
use nix::unistd::{Gid, fchownat};
use protocol::JobId;
use protocol::job::{RejectCode, Rejected};

use crate::host::files::{self, Dir};
use crate::host::users;
use crate::paths::Paths;
use crate::trust::Trust;
use crate::work::peer::Peer;
use crate::work::wire::{CancelHere, MAX_CONTROL_REQUEST, Op};
use crate::{text, verify};

/// Longest name of a person, characters.
const MAX_NAME: usize = 64;

/// A listening control socket; gone when dropped.
#[derive(Debug)]
pub struct Control {
    listener: UnixListener,
    dir: Dir,
    name: String,
}

impl Control {
    /// Opens the socket of a job, for root and `group`.
    ///
    /// # Errors
    /// When the runtime directory cannot be written.
    pub fn open(paths: &Paths, job_id: JobId, group: u32) -> io::Result<Self> {
        files::make_dir(paths.runtime_dir(), 0o755)?;
        files::make_dir(&paths.job_sockets_dir(), 0o755)?;
        let dir = Dir::open(&paths.job_sockets_dir())?;
        let name = format!("{job_id}.sock");
        // By the open directory: a path of any depth fits into a socket address.
        let listener = UnixListener::bind(format!("/proc/self/fd/{}/{name}", dir.as_raw_fd()))?;
        let control = Self { listener, dir, name };
        control.listener.set_nonblocking(true)?;
        let name = control.name.as_str();
        fchownat(&control.dir, name, None, Some(Gid::from_raw(group)), AtFlags::AT_SYMLINK_NOFOLLOW)?;
        fchmodat(&control.dir, name, Mode::from_bits_truncate(0o660), FchmodatFlags::FollowSymlink)?;
        Ok(control)
    }

    /// The next one who wants to know, if anybody does.
    #[must_use]
    pub fn accept(&self) -> Option<Peer> {
        let (stream, _) = self.listener.accept().ok()?;
        Peer::new(stream, MAX_CONTROL_REQUEST).ok()
    }
}

/// Who ended a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Canceller {
    /// The hub, by a signed order.
    Hub,
    /// Somebody with root's rights on this server, by name.
    Here(String),
}

impl Canceller {
    /// What the job's log says of it.
    #[must_use]
    pub fn remark(&self) -> String {
        match self {
            Self::Hub => "[cancelled]\n".to_owned(),
            Self::Here(name) => format!("[cancelled by {name} on the server itself]\n"),
        }
    }
}

/// Whether what `peer` asks for ends the job.
///
/// # Errors
/// Why not.
pub fn cancels(op: Op, peer: &Peer, job_id: JobId, trust: &Trust) -> Result<Canceller, Rejected> {
    let outcome = match op {
        Op::Cancel(cancel) => verify::cancel(&cancel, job_id, trust).map(|()| Canceller::Hub),
        Op::CancelHere(CancelHere { by }) => may_cancel_here(peer).map(|uid| Canceller::Here(named(&by, uid))),
        _ => {
            let message = "this worker has its job already; only a cancel is taken".to_owned();
            return Err(Rejected { code: RejectCode::BadArguments, message });
        }
    };
    outcome.inspect_err(|rejected| log::warn!("job {job_id}: it was not cancelled: {}", rejected.message))
}

/// The relay's user has no say here: whoever owns the relay must not end jobs without the hub.
fn may_cancel_here(peer: &Peer) -> Result<u32, Rejected> {
    let refuse = |message| Rejected { code: RejectCode::PolicyDenied, message };
    match peer.uid() {
        Ok(uid) if uid == 0 || uid == nix::unistd::geteuid().as_raw() => Ok(uid),
        Ok(uid) => Err(refuse(format!("user {uid} may not cancel jobs on this server; root may"))),
        Err(error) => Err(refuse(format!("who asks cannot be told: {error}"))),
    }
}

/// The peer that makes room for a newcomer: never the first, which brought the job, and root last, so that whoever owns the
/// relay cannot keep root from being heard.
#[must_use]
pub fn makes_room(peers: &[Peer]) -> usize {
    peers.iter().skip(1).position(|peer| may_cancel_here(peer).is_err()).map_or(1, |index| index + 1)
}

fn named(by: &str, uid: u32) -> String {
    if !by.trim().is_empty() {
        return text::bounded(by.trim(), MAX_NAME);
    }
    users::with_uid(uid).map_or_else(|| format!("user {uid}"), |user| text::bounded(&user.name, MAX_NAME))
}

impl AsFd for Control {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        // A sweep removes it otherwise.
        let _ = self.dir.remove(&self.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_and_harmless() {
        assert_eq!(named(" ann ", 0), "ann");
        assert_eq!(named("", 0), "root");
        assert_eq!(named("", 4_000_000_000), "user 4000000000");
        assert_eq!(named("a\u{1b}b\n", 0), "a\\x1bb");
        assert_eq!(named(&"x".repeat(1000), 0).chars().count(), MAX_NAME);
    }
}
