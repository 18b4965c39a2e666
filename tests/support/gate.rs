//! A place in a command where it waits until the test lets it go on.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

/// A named pipe that commands read a line from.
#[derive(Debug)]
pub struct Gate {
    path: PathBuf,
    pipe: File,
}

impl Gate {
    /// A closed gate.
    ///
    /// # Panics
    /// When `path` exists or cannot be made.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        mkfifo(path, Mode::S_IRWXU).unwrap_or_else(|errno| panic!("{}: {errno}", path.display()));
        // Open at both ends: nobody has to wait until the other side opens it.
        let pipe = File::options().read(true).write(true).open(path);
        Self { pipe: pipe.expect("a named pipe"), path: path.to_owned() }
    }

    /// What a shell runs to wait.
    #[must_use]
    pub fn wait(&self) -> String {
        format!("read -r _ <{}", self.path.display())
    }

    /// Lets one command pass, now or when it comes.
    ///
    /// # Panics
    /// When the pipe cannot be written.
    pub fn open(&mut self) {
        self.pipe.write_all(b"\n").expect("room in the pipe");
    }
}
