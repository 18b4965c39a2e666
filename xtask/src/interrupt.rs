//! Ctrl-C and TERM. Children run in groups of their own, so only this process is told, and it decides who stops when.

use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

static INTERRUPTED: AtomicBool = AtomicBool::new(false);
static FOREGROUND: Mutex<Vec<Pid>> = Mutex::new(Vec::new());
static LISTENERS: Mutex<Vec<Sender<()>>> = Mutex::new(Vec::new());

/// Starts to listen; call once, first.
pub(crate) fn listen() -> Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).context("cannot listen for signals")?;
    std::thread::spawn(move || {
        for _ in signals.forever() {
            // The second time nobody is asked any more.
            let again = INTERRUPTED.swap(true, Ordering::SeqCst);
            let signal = if again { Signal::SIGKILL } else { Signal::SIGTERM };
            for group in lock(&FOREGROUND).iter() {
                signal_group(*group, signal);
            }
            lock(&LISTENERS).retain(|listener| listener.send(()).is_ok());
        }
    });
    Ok(())
}

/// Whether somebody wants this to end.
pub(crate) fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::SeqCst)
}

/// An error once somebody wants this to end.
pub(crate) fn check() -> Result<()> {
    if interrupted() {
        bail!("interrupted");
    }
    Ok(())
}

/// Receives one message per signal.
pub(crate) fn subscribe() -> Receiver<()> {
    let (sender, receiver) = channel();
    lock(&LISTENERS).push(sender);
    receiver
}

/// A step that a signal ends at once, until it is dropped.
pub(crate) struct Foreground(Pid);

impl Foreground {
    /// Registers a child that leads its own group.
    pub(crate) fn new(child: &Child) -> Self {
        let group = pid_of(child);
        lock(&FOREGROUND).push(group);
        // The signal may have come between the start of the child and its registration.
        if interrupted() {
            signal_group(group, Signal::SIGTERM);
        }
        Self(group)
    }
}

impl Drop for Foreground {
    fn drop(&mut self) {
        lock(&FOREGROUND).retain(|group| *group != self.0);
    }
}

/// The process id of a child.
pub(crate) fn pid_of(child: &Child) -> Pid {
    Pid::from_raw(child.id().cast_signed())
}

/// Sends `signal` to a group; one that is gone already is no error.
pub(crate) fn signal_group(group: Pid, signal: Signal) {
    let _gone = killpg(group, signal);
}

fn lock<T>(mutex: &'static Mutex<T>) -> MutexGuard<'static, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
