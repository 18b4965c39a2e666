//! A file of /proc that is read again and again.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

/// No file read here grows beyond this: /proc/stat of 1 024 processors and as many interrupts has 200 KiB.
const LIMIT: usize = 1 << 20;
/// What most of them need.
const USUAL: usize = 4096;

/// Stays open; each read starts at its beginning, which makes the kernel write it anew.
#[derive(Debug)]
pub(super) struct ProcFile {
    path: PathBuf,
    file: Option<File>,
    buffer: Vec<u8>,
}

impl ProcFile {
    pub(super) fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), file: None, buffer: Vec::new() }
    }

    /// The text now, `None` where there is none on this host.
    pub(super) fn read(&mut self) -> Option<&str> {
        if self.file.is_none() {
            #[expect(clippy::disallowed_methods, reason = "kept open and read in place, which host::files does not do")]
            let opened = File::open(&self.path);
            self.file = Some(opened.ok()?);
        }
        let file = self.file.as_ref()?;
        let mut length = 0;
        loop {
            if self.buffer.len() == length {
                if length >= LIMIT {
                    return None;
                }
                self.buffer.resize((length * 2).max(USUAL), 0);
            }
            let offset = u64::try_from(length).ok()?;
            match file.read_at(self.buffer.get_mut(length..)?, offset) {
                Ok(0) => break,
                Ok(count) => length += count,
                Err(_) => {
                    self.file = None;
                    return None;
                }
            }
        }
        std::str::from_utf8(self.buffer.get(..length)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_read_is_current_and_whole() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let mut file = ProcFile::new(&path);
        assert_eq!(file.read(), None, "a missing file is no reason to fail for ever");
        crate::host::files::write_atomic(&path, b"short", 0o600).unwrap();
        assert_eq!(file.read(), Some("short"));
        let mut fresh = ProcFile::new(&path);
        crate::host::files::write_atomic(&path, "x".repeat(USUAL * 3).as_bytes(), 0o600).unwrap();
        assert_eq!(fresh.read().map(str::len), Some(USUAL * 3));
    }

    #[test]
    fn a_kernel_file_changes_while_it_is_open() {
        let mut uptime = ProcFile::new("/proc/uptime");
        assert!(uptime.read().is_some());
        assert!(uptime.read().is_some());
    }
}
