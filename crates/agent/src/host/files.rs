//! Files, opened so that nobody who can write in the same directory can redirect us.
//!
//! Workers are root and work in directories that the relay, which is on the network, can write. So they hold a directory
//! open and name single entries in it ([`Dir`]), never follow a symbolic link and never open what they did not make where
//! they make something.

use std::ffi::{OsStr, OsString};
use std::fs::{File, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use nix::fcntl::{AT_FDCWD, AtFlags, Flock, FlockArg, OFlag, openat, renameat};
use nix::sys::stat::{FileStat, Mode, fstatat, mkdirat};
use nix::unistd::{UnlinkatFlags, unlinkat};

/// Reads a whole file of at most `limit` bytes.
///
/// # Errors
/// When it cannot be read or is longer.
pub fn read(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    read_file(&open(path)?, limit)
}

/// Opens a regular file for reading. Never waits, as for the other end of a pipe.
///
/// # Errors
/// When it is not there, not regular or cannot be opened.
pub fn open(path: &Path) -> io::Result<File> {
    regular(openat(AT_FDCWD, path, OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK, Mode::empty())?)
}

/// Reads all of `file`, at most `limit` bytes.
///
/// # Errors
/// When it cannot be read or is longer.
pub fn read_file(file: &File, limit: usize) -> io::Result<Vec<u8>> {
    // Files of /proc say that they are empty.
    let length = file.metadata().map_or(0, |metadata| metadata.len()).max(500);
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(limit).min(limit).saturating_add(1));
    let bound = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    file.take(bound).read_to_end(&mut bytes)?;
    if bytes.len() > limit {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("longer than {limit} bytes")));
    }
    Ok(bytes)
}

/// Opens /dev/null for reading.
///
/// # Errors
/// When the machine has none.
pub fn open_null() -> io::Result<File> {
    Ok(openat(AT_FDCWD, "/dev/null", OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?.into())
}

/// Opens the list of processes of a cgroup, to enter it.
///
/// # Errors
/// When it is no cgroup or may not be written.
pub fn open_cgroup_procs(cgroup: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    Ok(openat(cgroup, "cgroup.procs", OFlag::O_WRONLY | OFlag::O_CLOEXEC, Mode::empty())?)
}

/// Puts `bytes` in place of the file at `path`, whole or not at all, and on disk before it returns.
///
/// # Errors
/// When the directory cannot be written; the old file is untouched then.
pub fn write_atomic(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not the path of a file"));
    };
    Dir::open(dir)?.write_atomic(name, bytes, mode)
}

/// Makes a directory with exactly this mode, or takes the one that is there.
///
/// # Errors
/// When its parent does not exist or cannot be written.
pub fn make_dir(path: &Path, mode: u32) -> io::Result<()> {
    #[expect(clippy::create_dir, reason = "a missing parent is a mistake of the caller")]
    match std::fs::create_dir(path) {
        Ok(()) => std::fs::set_permissions(path, Permissions::from_mode(mode)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
}

/// An open directory. Every name is one entry of it; names with `/` are refused.
#[derive(Debug)]
pub struct Dir(OwnedFd);

impl Dir {
    /// Opens a directory by path. The path must be one that only its owner can redirect.
    ///
    /// # Errors
    /// When it is not a directory or cannot be opened.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(openat(AT_FDCWD, path, DIRECTORY, Mode::empty())?))
    }

    /// Opens a directory in this one; a symbolic link is refused.
    ///
    /// # Errors
    /// When it is not a directory or cannot be opened.
    pub fn open_dir(&self, name: impl AsRef<OsStr>) -> io::Result<Self> {
        let name = single(name.as_ref())?;
        Ok(Self(openat(&self.0, name, DIRECTORY | OFlag::O_NOFOLLOW, Mode::empty())?))
    }

    /// Makes a new directory in this one and opens it.
    ///
    /// # Errors
    /// `AlreadyExists` when the name is taken, by whatever.
    pub fn make_dir(&self, name: impl AsRef<OsStr>, mode: u32) -> io::Result<Self> {
        let name = single(name.as_ref())?;
        mkdirat(&self.0, name, Mode::from_bits_truncate(mode))?;
        let made = self.open_dir(name)?;
        let file = File::from(made.0);
        let metadata = file.metadata()?;
        // Between the two calls somebody else may have put another directory in its place.
        if metadata.uid() != nix::unistd::geteuid().as_raw() {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, "the new directory was replaced"));
        }
        // The mode of mkdir is cut by the umask and loses the set-group-id bit.
        file.set_permissions(Permissions::from_mode(mode))?;
        Ok(Self(file.into()))
    }

    /// Makes a new file, open for reading and writing. Never opens one that exists.
    ///
    /// # Errors
    /// `AlreadyExists` when the name is taken, by whatever.
    pub fn create(&self, name: impl AsRef<OsStr>, mode: u32) -> io::Result<File> {
        let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let fd = openat(&self.0, single(name.as_ref())?, flags, Mode::from_bits_truncate(mode))?;
        let file = File::from(fd);
        file.set_permissions(Permissions::from_mode(mode))?;
        Ok(file)
    }

    /// Opens a regular file for reading; a symbolic link, a pipe or a device is refused.
    ///
    /// # Errors
    /// When it is not there, not regular or cannot be opened.
    pub fn open_file(&self, name: impl AsRef<OsStr>) -> io::Result<File> {
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        regular(openat(&self.0, single(name.as_ref())?, flags, Mode::empty())?)
    }

    /// Opens a regular file for writing, for the files of the kernel; others are made anew.
    ///
    /// # Errors
    /// When it is not there, not regular or cannot be opened.
    pub fn open_for_writing(&self, name: impl AsRef<OsStr>) -> io::Result<File> {
        let flags = OFlag::O_WRONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        regular(openat(&self.0, single(name.as_ref())?, flags, Mode::empty())?)
    }

    /// Reads a regular file of at most `limit` bytes.
    ///
    /// # Errors
    /// As [`Dir::open_file`], or when it is longer.
    pub fn read(&self, name: impl AsRef<OsStr>, limit: usize) -> io::Result<Vec<u8>> {
        read_file(&self.open_file(name)?, limit)
    }

    /// Puts `bytes` in place of an entry, whole or not at all, and on disk before it returns.
    ///
    /// # Errors
    /// When the directory cannot be written; the old file is untouched then.
    pub fn write_atomic(&self, name: impl AsRef<OsStr>, bytes: &[u8], mode: u32) -> io::Result<()> {
        let name = name.as_ref();
        let mut temporary = OsString::from(".");
        temporary.push(name);
        temporary.push(format!(".{}", std::process::id()));
        // Left by a process of the same number that was killed here.
        let _ = self.remove(&temporary);
        let mut file = self.create(&temporary, mode)?;
        let written = file.write_all(bytes).and_then(|()| file.sync_all());
        if let Err(error) = written.and_then(|()| self.rename(&temporary, name)) {
            let _ = self.remove(&temporary);
            return Err(error);
        }
        self.sync()
    }

    /// Renames an entry over another.
    ///
    /// # Errors
    /// When the directory cannot be written.
    pub fn rename(&self, from: impl AsRef<OsStr>, to: impl AsRef<OsStr>) -> io::Result<()> {
        Ok(renameat(&self.0, single(from.as_ref())?, &self.0, single(to.as_ref())?)?)
    }

    /// Removes an entry that is not a directory.
    ///
    /// # Errors
    /// When it is not there or the directory cannot be written.
    pub fn remove(&self, name: impl AsRef<OsStr>) -> io::Result<()> {
        Ok(unlinkat(&self.0, single(name.as_ref())?, UnlinkatFlags::NoRemoveDir)?)
    }

    /// Removes an empty directory in this one.
    ///
    /// # Errors
    /// When it is not there, not empty or may not be removed.
    pub fn remove_dir(&self, name: impl AsRef<OsStr>) -> io::Result<()> {
        Ok(unlinkat(&self.0, single(name.as_ref())?, UnlinkatFlags::RemoveDir)?)
    }

    /// Removes a directory in this one with everything that lies directly in it.
    ///
    /// # Errors
    /// When something in it is itself a directory, or nothing may be removed.
    pub fn remove_flat_dir(&self, name: impl AsRef<OsStr>) -> io::Result<()> {
        let name = single(name.as_ref())?;
        let inner = self.open_dir(name)?;
        for entry in inner.entries()? {
            inner.remove(&entry)?;
        }
        self.remove_dir(name)
    }

    /// Facts about an entry itself, not about what a link points to.
    ///
    /// # Errors
    /// When it is not there.
    pub fn stat(&self, name: impl AsRef<OsStr>) -> io::Result<FileStat> {
        Ok(fstatat(&self.0, single(name.as_ref())?, AtFlags::AT_SYMLINK_NOFOLLOW)?)
    }

    /// The names in it, unsorted.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn entries(&self) -> io::Result<Vec<OsString>> {
        std::fs::read_dir(format!("/proc/self/fd/{}", self.as_raw_fd()))?
            .map(|entry| entry.map(|entry| entry.file_name()))
            .collect()
    }

    /// Brings the names in it onto the disk.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn sync(&self) -> io::Result<()> {
        Ok(nix::unistd::fsync(&self.0)?)
    }

    /// Waits until no other process holds this directory, and holds it until the lock is dropped. For directories that
    /// only those can open who may wait for each other.
    ///
    /// # Errors
    /// When the file system knows no locks.
    pub fn lock(&self) -> io::Result<Flock<File>> {
        // A lock belongs to what was opened: a clone of the descriptor would share one.
        let again = openat(&self.0, ".", DIRECTORY, Mode::empty())?;
        Ok(Flock::lock(File::from(again), FlockArg::LockExclusive).map_err(|(_, errno)| errno)?)
    }

    /// Facts about the directory itself.
    ///
    /// # Errors
    /// When the file system fails.
    pub fn metadata(&self) -> io::Result<std::fs::Metadata> {
        File::from(self.0.try_clone()?).metadata()
    }
}

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Dir {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// When a file's content was last changed, Unix milliseconds.
#[must_use]
pub fn changed_at_ms(stat: &FileStat) -> i64 {
    stat.st_mtime.saturating_mul(1000).saturating_add(stat.st_mtime_nsec / 1_000_000)
}

const DIRECTORY: OFlag = OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_CLOEXEC);

fn regular(fd: OwnedFd) -> io::Result<File> {
    let file = File::from(fd);
    if file.metadata()?.is_file() {
        return Ok(file);
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"))
}

/// One path component that stays in its directory.
fn single(name: &OsStr) -> io::Result<&OsStr> {
    let bytes = name.as_encoded_bytes();
    if bytes.is_empty() || bytes == b"." || bytes == b".." || bytes.contains(&b'/') {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not the name of a directory entry"));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_are_never_followed() {
        let temporary = tempfile::tempdir().unwrap();
        let dir = Dir::open(temporary.path()).unwrap();
        dir.write_atomic("victim", b"original", 0o600).unwrap();
        symlink("victim", temporary.path().join("link")).unwrap();
        symlink(temporary.path(), temporary.path().join("dirlink")).unwrap();

        assert!(dir.create("link", 0o600).is_err());
        assert!(dir.open_file("link").is_err());
        assert!(dir.open_dir("dirlink").is_err());
        dir.write_atomic("link", b"new", 0o600).unwrap();
        assert_eq!(dir.read("victim", 100).unwrap(), b"original");
        assert_eq!(dir.read("link", 100).unwrap(), b"new");
    }

    #[test]
    fn names_stay_in_their_directory() {
        let temporary = tempfile::tempdir().unwrap();
        let dir = Dir::open(temporary.path()).unwrap();
        for name in ["", ".", "..", "a/b", "/etc/passwd", "../x"] {
            assert!(dir.create(name, 0o600).is_err(), "{name}");
            assert!(dir.open_file(name).is_err(), "{name}");
        }
    }

    #[test]
    fn reading_is_bounded_and_never_waits() {
        let temporary = tempfile::tempdir().unwrap();
        let dir = Dir::open(temporary.path()).unwrap();
        dir.write_atomic("file", b"12345", 0o640).unwrap();
        assert_eq!(dir.read("file", 5).unwrap(), b"12345");
        assert!(dir.read("file", 4).is_err());
        nix::unistd::mkfifo(&temporary.path().join("pipe"), Mode::from_bits_truncate(0o600)).unwrap();
        assert!(dir.open_file("pipe").is_err());
    }

    #[test]
    fn modes_are_exact_whatever_the_umask() {
        let temporary = tempfile::tempdir().unwrap();
        let dir = Dir::open(temporary.path()).unwrap();
        dir.make_dir("group", 0o2770).unwrap();
        assert_eq!(dir.stat("group").unwrap().st_mode & 0o7777, 0o2770);
        dir.create("file", 0o640).unwrap();
        assert_eq!(dir.stat("file").unwrap().st_mode & 0o7777, 0o640);
        assert_eq!(dir.make_dir("group", 0o700).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        dir.remove_flat_dir("group").unwrap();
    }
}
