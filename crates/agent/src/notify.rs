//! What systemd wants to hear from a service: that it is ready, that it still works, what it is doing.

use std::ffi::{OsStr, OsString};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::time::Duration;

/// The way to the service manager, or nowhere when there is none.
#[derive(Debug, Clone)]
pub struct Notifier {
    target: Option<Arc<(UnixDatagram, SocketAddr)>>,
    watchdog: Option<Duration>,
}

impl Notifier {
    /// The manager that started this process, by `NOTIFY_SOCKET` and `WATCHDOG_USEC`.
    #[must_use]
    pub fn from_environment() -> Self {
        Self::new(std::env::var_os("NOTIFY_SOCKET"), std::env::var("WATCHDOG_USEC").ok())
    }

    /// A manager that does not exist.
    #[must_use]
    pub const fn none() -> Self {
        Self { target: None, watchdog: None }
    }

    fn new(socket: Option<OsString>, watchdog_us: Option<String>) -> Self {
        let target = socket.and_then(|name| {
            let address = address(&name)?;
            let datagram = UnixDatagram::unbound().ok()?;
            // A manager that does not read must not stop us.
            datagram.set_nonblocking(true).ok()?;
            Some(Arc::new((datagram, address)))
        });
        let watchdog = watchdog_us.and_then(|text| text.parse().ok()).filter(|us| *us > 0).map(Duration::from_micros);
        Self { watchdog: watchdog.filter(|_| target.is_some()), target }
    }

    /// How often [`Notifier::alive`] must be called: half of what the manager allows. `None`: nobody watches.
    #[must_use]
    pub fn watchdog_interval(&self) -> Option<Duration> {
        self.watchdog.map(|allowed| allowed / 2)
    }

    /// The service runs; it may not be connected yet, a hub can be away for days.
    pub fn ready(&self) {
        self.send("READY=1");
    }

    /// The main loop turns.
    pub fn alive(&self) {
        self.send("WATCHDOG=1");
    }

    /// One line for `systemctl status`.
    pub fn status(&self, text: &str) {
        self.send(&format!("STATUS={}", text.replace('\n', " ")));
    }

    /// The service ends on purpose.
    pub fn stopping(&self) {
        self.send("STOPPING=1");
    }

    fn send(&self, state: &str) {
        if let Some((datagram, address)) = self.target.as_deref() {
            // There is nobody else to tell.
            let _ = datagram.send_to_addr(state.as_bytes(), address);
        }
    }
}

/// A path, or with `@` a name in the abstract namespace.
fn address(name: &OsStr) -> Option<SocketAddr> {
    match name.as_bytes().split_first() {
        Some((b'@', abstract_name)) => SocketAddr::from_abstract_name(abstract_name).ok(),
        Some((b'/', _)) => SocketAddr::from_pathname(name).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manager_hears_what_is_said() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let notifier = Notifier::new(Some(path.into()), Some("60000000".to_owned()));
        assert_eq!(notifier.watchdog_interval(), Some(Duration::from_secs(30)));
        notifier.ready();
        notifier.status("connected\nto X");
        notifier.alive();
        let mut heard = Vec::new();
        for _ in 0..3 {
            let mut buffer = [0; 64];
            let length = manager.recv(&mut buffer).unwrap();
            heard.push(String::from_utf8(buffer[..length].to_vec()).unwrap());
        }
        assert_eq!(heard, ["READY=1", "STATUS=connected to X", "WATCHDOG=1"]);
    }

    #[test]
    fn without_a_manager_nothing_happens() {
        let nobody = Notifier::new(None, Some("60000000".to_owned()));
        assert_eq!(nobody.watchdog_interval(), None);
        nobody.ready();
        assert!(Notifier::new(Some("relative".into()), None).target.is_none());
    }
}
