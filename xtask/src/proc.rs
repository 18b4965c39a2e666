//! Running other programs, in the foreground.

use std::ffi::OsStr;
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::Signal;

use crate::interrupt::{self, Foreground};
use crate::{install, paths};

/// A command that runs in the repository's root with the tools that xtask installed in reach.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(paths::root()).stdin(Stdio::null()).env("PATH", install::search_path());
    command
}

/// Cargo, the one that started xtask.
pub(crate) fn cargo() -> Command {
    let mut cargo = command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // Set by the cargo that runs xtask; they would make an inner cargo look different and build everything again.
    for (name, _) in std::env::vars_os() {
        let name_text = name.to_string_lossy();
        if name_text.starts_with("CARGO_PKG_") || name_text.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(&name);
        }
    }
    cargo
}

/// Runs to the end; anything but success is an error that names the command.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = status(command)?;
    if !status.success() {
        bail!("`{}` ended with {status}", shown(command));
    }
    Ok(())
}

/// Runs to the end.
pub(crate) fn status(command: &mut Command) -> Result<ExitStatus> {
    interrupt::check()?;
    let mut child = command.process_group(0).spawn().with_context(|| format!("cannot start `{}`", shown(command)))?;
    let _foreground = Foreground::new(&child);
    let status = child.wait()?;
    interrupt::check()?;
    Ok(status)
}

/// Runs to the end; what it prints is shown only when it fails.
pub(crate) fn run_quietly(command: &mut Command) -> Result<()> {
    interrupt::check()?;
    let name = shown(command);
    let mut output = tempfile::tempfile()?;
    command.process_group(0).stdout(output.try_clone()?).stderr(output.try_clone()?);
    let mut child = command.spawn().with_context(|| format!("cannot start `{name}`"))?;
    let _foreground = Foreground::new(&child);
    let status = child.wait()?;
    interrupt::check()?;
    if !status.success() {
        output.rewind()?;
        std::io::copy(&mut output, &mut std::io::stderr())?;
        bail!("`{name}` ended with {status}");
    }
    Ok(())
}

/// Runs to the end and returns what it printed; what it says on stderr is shown.
pub(crate) fn capture(command: &mut Command) -> Result<String> {
    interrupt::check()?;
    let mut child = command
        .process_group(0)
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start `{}`", shown(command)))?;
    let _foreground = Foreground::new(&child);
    let mut output = Vec::new();
    if let Some(mut stdout) = child.stdout.take() {
        stdout.read_to_end(&mut output)?;
    }
    let status = child.wait()?;
    interrupt::check()?;
    if !status.success() {
        bail!("`{}` ended with {status}", shown(command));
    }
    String::from_utf8(output).with_context(|| format!("`{}` printed something that is not UTF-8", shown(command)))
}

/// Whether it runs and succeeds; what it prints is not shown.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// What [`tee`] saw.
pub(crate) struct Seen {
    /// How it ended.
    pub(crate) status: ExitStatus,
    /// Everything that it printed, without colours.
    pub(crate) output: String,
}

/// Runs to the end, shows everything that it prints, and returns it too. What takes longer than `limit` is ended: a run
/// that hangs must not take the others' results with it.
pub(crate) fn tee(command: &mut Command, limit: Duration) -> Result<Seen> {
    interrupt::check()?;
    let name = shown(command);
    let (mut reader, writer) = std::io::pipe()?;
    command.process_group(0).stdout(writer.try_clone()?).stderr(writer);
    let mut child = command.spawn().with_context(|| format!("cannot start `{name}`"))?;
    // Our copies of the pipe's end; while they are open the reader never sees its end.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let _foreground = Foreground::new(&child);

    let output = Arc::new(Mutex::new(Vec::new()));
    let copy = Arc::clone(&output);
    let (done, finished) = channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 8192];
        while let Ok(count @ 1..) = reader.read(&mut buffer) {
            let part = buffer.get(..count).unwrap_or_default();
            let _closed = std::io::stdout().write_all(part).and_then(|()| std::io::stdout().flush());
            copy.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(part);
        }
        let _nobody_waits = done.send(());
    });
    let group = interrupt::pid_of(&child);
    let (ended, in_time) = channel::<()>();
    let watchdog = std::thread::spawn(move || {
        for signal in [Signal::SIGTERM, Signal::SIGKILL] {
            let patience = if signal == Signal::SIGTERM { limit } else { Duration::from_secs(15) };
            if in_time.recv_timeout(patience) != Err(RecvTimeoutError::Timeout) {
                return;
            }
            eprintln!("`{name}` has not ended and gets {signal} (it may take {} s)", limit.as_secs());
            interrupt::signal_group(group, signal);
        }
    });
    let status = child.wait()?;
    drop(ended);
    let _ended = watchdog.join();
    // A process that the command left behind may hold the pipe open for ever.
    let _left_behind = finished.recv_timeout(Duration::from_secs(2));
    interrupt::check()?;
    let output = output.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(Seen { status, output: without_colours(&String::from_utf8_lossy(&output)) })
}

/// The command line as a person would type it.
pub(crate) fn shown(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|argument| argument.to_string_lossy().into_owned()));
    words.join(" ")
}

/// Finds a program in the search path.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    std::env::split_paths(&install::search_path()).map(|dir| dir.join(program)).find(|path| path.is_file())
}

fn without_colours(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character == '\u{1b}' {
            // A control sequence ends with its first letter.
            let _sequence = characters.by_ref().find(char::is_ascii_alphabetic);
        } else {
            plain.push(character);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_taken_out() {
        assert_eq!(without_colours("\u{1b}[32;1m  Summary\u{1b}[0m 3 passed\n"), "  Summary 3 passed\n");
        assert_eq!(without_colours("plain\u{1b}["), "plain");
    }

    #[test]
    fn tee_returns_both_streams() {
        let seen =
            tee(Command::new("sh").args(["-c", "echo out; echo err >&2; exit 3"]), Duration::from_secs(60)).unwrap();
        assert_eq!(seen.status.code(), Some(3));
        assert!(seen.output.contains("out") && seen.output.contains("err"));
    }

    #[test]
    fn tee_ends_what_hangs() {
        let mut command = Command::new("sh");
        let seen = tee(command.args(["-c", "echo begins; sleep 1000"]), Duration::from_millis(50)).unwrap();
        assert!(!seen.status.success());
        assert_eq!(seen.output, "begins\n");
    }
}
