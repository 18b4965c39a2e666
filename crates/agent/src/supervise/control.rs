//! The job's control socket: where a relay that was restarted finds its job again.

use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};
use std::os::unix::net::UnixListener;

use nix::fcntl::AtFlags;
use nix::sys::stat::{FchmodatFlags, Mode, fchmodat};
use nix::unistd::{Gid, fchownat};
use protocol::JobId;

use crate::host::files::{self, Dir};
use crate::paths::Paths;
use crate::work::peer::Peer;
use crate::work::wire::MAX_CONTROL_REQUEST;

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
