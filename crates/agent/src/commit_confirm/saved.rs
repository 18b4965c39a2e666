//! Files as they were, and files as they shall be: whole or not at all, with mode and owner.

use std::ffi::OsStr;
use std::fs::{File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use nix::fcntl::readlinkat;
use nix::sys::stat::{Mode, SFlag};
use nix::unistd::{Gid, Uid, fchown, symlinkat};
use protocol::JobId;
use serde::{Deserialize, Serialize};

use crate::host::files::Dir;
use crate::trust::check_owner;

/// Largest file that a change can replace.
pub const MAX_FILE: usize = 8 << 20;
/// Longest name, so that a temporary one beside it fits into a directory.
const MAX_NAME: usize = 200;

/// What a file shall be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A regular file.
    File {
        /// All of it.
        bytes: Vec<u8>,
        /// Permissions.
        mode: u32,
        /// User and group; absent: those of the file that is there, or this process's.
        owner: Option<(u32, u32)>,
    },
    /// A symbolic link to this target, which is not looked at.
    Link(String),
    /// Nothing.
    Absent,
}

/// What a file was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Before {
    /// A regular file, its content saved under this name of the journal's directory.
    File {
        /// Where its content is.
        saved: String,
        /// Its permissions.
        mode: u32,
        /// Its user.
        uid: u32,
        /// Its group.
        gid: u32,
    },
    /// A symbolic link to this target.
    Link(String),
    /// Nothing.
    Absent,
}

/// A file of a change, before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedFile {
    /// Absolute path.
    pub path: String,
    /// What was there.
    pub before: Before,
}

/// Directory and name of a file; the directory must be one that only root can redirect.
struct Place {
    dir: Dir,
    name: String,
}

impl Place {
    fn of(path: &Path) -> io::Result<Self> {
        let wrong =
            |problem: &str| io::Error::new(io::ErrorKind::InvalidInput, format!("{} {problem}", path.display()));
        let (Some(parent), Some(name)) = (path.parent(), path.file_name().and_then(OsStr::to_str)) else {
            return Err(wrong("is not the path of a file"));
        };
        if !path.is_absolute() || name.len() > MAX_NAME {
            return Err(wrong("is not an absolute path with a name of at most 200 bytes"));
        }
        let dir = Dir::open(parent).map_err(|error| at(path, &error))?;
        check_owner(parent, &dir.metadata()?).map_err(io::Error::other)?;
        Ok(Self { dir, name: name.to_owned() })
    }

    /// The same for every attempt of a change, so that a crash leaves nothing that the next one does not replace.
    fn temporary(&self, id: JobId) -> String {
        format!(".{}.{id}", self.name)
    }

    fn put_file(&self, id: JobId, bytes: &[u8], mode: u32, owner: Option<(u32, u32)>) -> io::Result<()> {
        let temporary = self.temporary(id);
        let _ = self.dir.remove(&temporary);
        let mut file = self.dir.create(&temporary, 0o600)?;
        let written = give(&file, mode, owner).and_then(|()| file.write_all(bytes)).and_then(|()| file.sync_all());
        self.put(&temporary, written)
    }

    fn put_link(&self, id: JobId, target: &str) -> io::Result<()> {
        let temporary = self.temporary(id);
        let _ = self.dir.remove(&temporary);
        let made = symlinkat(target, &self.dir, temporary.as_str()).map_err(io::Error::from);
        self.put(&temporary, made)
    }

    fn put(&self, temporary: &str, made: io::Result<()>) -> io::Result<()> {
        if let Err(error) = made.and_then(|()| self.dir.rename(temporary, &self.name)) {
            let _ = self.dir.remove(temporary);
            return Err(error);
        }
        self.dir.sync()
    }

    fn put_nothing(&self, id: JobId) -> io::Result<()> {
        let _ = self.dir.remove(self.temporary(id));
        match self.dir.remove(&self.name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => self.dir.sync(),
        }
    }
}

/// Saves what is at `path` into `journal`, on disk before it returns.
///
/// # Errors
/// When it cannot be read, is too long or is neither file nor link, or the journal's disk is full.
pub(super) fn save(path: &Path, journal: &Dir, number: usize) -> io::Result<(SavedFile, u64)> {
    let place = Place::of(path)?;
    let wrong = |problem: &str| io::Error::other(format!("{} {problem}", path.display()));
    let mut length = 0;
    let before = match place.dir.stat(&place.name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Before::Absent,
        Err(error) => return Err(at(path, &error)),
        Ok(stat) => match SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT {
            SFlag::S_IFREG => {
                let bytes = place.dir.read(&place.name, MAX_FILE).map_err(|error| at(path, &error))?;
                length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                let saved = format!("file-{number}");
                journal.write_atomic(&saved, &bytes, 0o600)?;
                let mode = Mode::from_bits_truncate(stat.st_mode).bits();
                Before::File { saved, mode, uid: stat.st_uid, gid: stat.st_gid }
            }
            SFlag::S_IFLNK => {
                let target = readlinkat(&place.dir, place.name.as_str())?.into_string();
                Before::Link(target.map_err(|_| wrong("is a link to a name that is no text"))?)
            }
            _ => return Err(wrong("is neither a file nor a link")),
        },
    };
    let path = path.to_str().ok_or_else(|| wrong("is not text"))?.to_owned();
    Ok((SavedFile { path, before }, length))
}

/// Makes a file what it shall be.
///
/// # Errors
/// When it cannot be written; it is then what it was.
pub(super) fn make(path: &Path, id: JobId, before: &Before, content: &Content) -> io::Result<()> {
    let place = Place::of(path)?;
    match content {
        Content::File { bytes, mode, owner } => {
            let kept = match before {
                Before::File { uid, gid, .. } => Some((*uid, *gid)),
                _ => None,
            };
            place.put_file(id, bytes, *mode, owner.or(kept))
        }
        Content::Link(target) => place.put_link(id, target),
        Content::Absent => place.put_nothing(id),
    }
    .map_err(|error| at(path, &error))
}

/// Makes a file what it was. Once is as good as twice.
///
/// # Errors
/// When it cannot be written.
pub(super) fn restore(file: &SavedFile, id: JobId, journal: &Dir) -> io::Result<()> {
    let path = PathBuf::from(&file.path);
    let place = Place::of(&path)?;
    match &file.before {
        Before::File { saved, mode, uid, gid } => {
            place.put_file(id, &journal.read(saved, MAX_FILE)?, *mode, Some((*uid, *gid)))
        }
        Before::Link(target) => place.put_link(id, target),
        Before::Absent => place.put_nothing(id),
    }
    .map_err(|error| at(&path, &error))
}

fn give(file: &File, mode: u32, owner: Option<(u32, u32)>) -> io::Result<()> {
    if let Some((uid, gid)) = owner {
        fchown(file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
    }
    // After the owner, who takes set-user-id bits away.
    file.set_permissions(Permissions::from_mode(mode & 0o7777))
}

fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
