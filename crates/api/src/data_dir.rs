//! The one door to files: private by default, written whole or not at all.

use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, Result, bail};

/// Makes a directory that only its owner can enter, with its parents; an existing one is left as it is.
///
/// # Errors
/// When it cannot be made or is not a directory.
pub fn ensure_private_dir(path: &Path) -> Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.with_context(|| format!("cannot make the directory {}", path.display()))
}

/// Refuses a file or directory that other users can read or change.
///
/// # Errors
/// When others can, with the command that closes it.
pub fn require_private(path: &Path) -> Result<()> {
    let metadata = path.metadata().with_context(|| format!("cannot look at {}", path.display()))?;
    if metadata.mode() & 0o077 == 0 {
        return Ok(());
    }
    bail!("other users can reach {0}; close it with: chmod go= {0}", path.display())
}

/// Makes an empty file that only its owner can read, unless there is one: what a library then writes into it stays
/// private.
///
/// # Errors
/// When it cannot be made.
pub fn ensure_private_file(path: &Path) -> Result<()> {
    let made = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
    made.map(drop).with_context(|| format!("cannot write {}", path.display()))
}

/// Refuses a directory that belongs to another user: what this process makes there the owner could not use.
///
/// # Errors
/// When it belongs to another user.
pub fn require_own(path: &Path) -> Result<()> {
    let owner = path.metadata().with_context(|| format!("cannot look at {}", path.display()))?.uid();
    // A process is a directory of its user; without /proc nothing is known and nothing refused.
    let Ok(process) = Path::new("/proc/self").metadata() else { return Ok(()) };
    if owner == process.uid() {
        return Ok(());
    }
    bail!(
        "{0} belongs to user number {owner}; run this command as that user, for example with: sudo -u '#{owner}' …",
        path.display()
    )
}

/// The content of a file of at most `limit` bytes, `None` when there is none.
///
/// # Errors
/// When it cannot be read or is longer.
pub fn read(path: &Path, limit: u64) -> Result<Option<Vec<u8>>> {
    let Some(file) = open(path)? else { return Ok(None) };
    let mut content = Vec::new();
    let length = file.take(limit.saturating_add(1)).read_to_end(&mut content);
    let length = length.with_context(|| format!("cannot read {}", path.display()))?;
    if u64::try_from(length).map_or(true, |length| length > limit) {
        bail!("{} is longer than {limit} bytes, which cannot be right", path.display());
    }
    Ok(Some(content))
}

/// A file of any length to be read piece by piece, `None` when there is none.
///
/// # Errors
/// When it cannot be opened.
#[expect(clippy::disallowed_methods, reason = "this is the replacement that the ban names")]
pub fn open(path: &Path) -> Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot open {}", path.display())),
    }
}

/// As [`read`], for text.
///
/// # Errors
/// When it cannot be read, is longer, or is not UTF-8.
pub fn read_text(path: &Path, limit: u64) -> Result<Option<String>> {
    let Some(content) = read(path, limit)? else { return Ok(None) };
    let text = String::from_utf8(content);
    text.map(Some).with_context(|| format!("{} is not UTF-8 text", path.display()))
}

/// Writes a file that only its owner can read: after a power cut it holds the old content or the new.
///
/// # Errors
/// When it could not be made durable; the old content is still there.
pub fn write_private(path: &Path, content: &[u8]) -> Result<()> {
    // Two writers at once must not write into each other's half-done file.
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let beside = path.with_extension(format!("{}-{number}.new", std::process::id()));
    let written = write_beside(&beside, content).and_then(|()| std::fs::rename(&beside, path));
    if written.is_err() {
        // The error below says more than a failed clean-up would.
        let _ = std::fs::remove_file(&beside);
    }
    written.and_then(|()| sync_dir_of(path)).with_context(|| format!("cannot write {}", path.display()))
}

fn write_beside(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    // A leftover of an earlier crash may have other permissions.
    file.set_permissions(Permissions::from_mode(0o600))?;
    file.write_all(content)?;
    file.sync_all()
}

/// Makes the rename durable.
#[expect(clippy::disallowed_methods, reason = "this is the replacement that the ban names")]
fn sync_dir_of(path: &Path) -> std::io::Result<()> {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => File::open(dir)?.sync_all(),
        _ => Ok(()),
    }
}

/// Says that this process is the one that uses the data directory, until it is dropped or the process ends.
#[derive(Debug)]
#[must_use = "the directory is free again as soon as this is dropped"]
pub struct DataDirLock(#[expect(dead_code, reason = "held, not read: closing the file frees the lock")] File);

/// Takes a data directory for this process.
///
/// # Errors
/// When another process has it, or it cannot be written.
pub fn lock(data_dir: &Path) -> Result<DataDirLock> {
    let path = data_dir.join("hub.lock");
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
    let file = file.with_context(|| format!("cannot write in the data directory {}", data_dir.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(DataDirLock(file)),
        Err(TryLockError::WouldBlock) => {
            bail!(
                "another hub runs on the data directory {}; stop it first, or give this one its own",
                data_dir.display()
            )
        }
        Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("cannot lock {}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().mode() & 0o777
    }

    #[test]
    fn files_are_private_and_replaced_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key.pk8");
        assert_eq!(read(&path, 10).unwrap(), None);
        write_private(&path, b"one").unwrap();
        assert_eq!(mode(&path), 0o600);
        require_private(&path).unwrap();
        write_private(&path, b"two").unwrap();
        assert_eq!(read(&path, 3).unwrap().unwrap(), b"two");
        assert!(read(&path, 2).unwrap_err().to_string().contains("longer than 2 bytes"));
        assert_eq!(dir.path().read_dir().unwrap().count(), 1);

        std::fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        assert!(require_private(&path).unwrap_err().to_string().contains("chmod go="));
    }

    #[test]
    fn directories_are_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        ensure_private_dir(&path).unwrap();
        ensure_private_dir(&path).unwrap();
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o700, 0o700));
        write_private(&dir.path().join("file"), b"").unwrap();
        assert!(ensure_private_dir(&dir.path().join("file")).is_err());
    }

    #[test]
    fn a_data_directory_has_one_hub() {
        let dir = tempfile::tempdir().unwrap();
        let first = lock(dir.path()).unwrap();
        assert!(lock(dir.path()).unwrap_err().to_string().contains("another hub runs"));
        drop(first);
        let _second = lock(dir.path()).unwrap();
        assert!(lock(&dir.path().join("missing")).unwrap_err().to_string().contains("cannot write"));
    }
}
