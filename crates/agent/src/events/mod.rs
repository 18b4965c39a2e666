//! What the agent reports on its own. An event is on disk until the hub has acknowledged it.
//!
//! The queue is bounded twice. Whoever can make the agent report something, a broken hub for example, gets a few reports
//! of each kind a minute and a count of the rest; and a hub that stays away for weeks finds the newest and worst events,
//! and how many were dropped.

mod queue;

use std::collections::HashMap;
use std::time::Duration;

use protocol::event::{Event, Severity};
use protocol::{EventId, Hex, JobId};
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::host::clock::Clock;
use crate::host::ids::Ids;
use crate::paths::Paths;

use queue::Queue;

/// Events of one kind taken within [`WINDOW`].
const PER_WINDOW: u32 = 10;
const WINDOW: Duration = Duration::from_secs(60);
/// Largest details of one event.
const MAX_DATA: usize = 2 << 10;

/// Events that the hub has not acknowledged.
#[derive(Debug)]
pub struct Events {
    queue: Queue,
    ids: Ids,
    clock: Clock,
    windows: HashMap<&'static str, Window>,
    added: Notify,
}

#[derive(Debug)]
struct Window {
    opened: Instant,
    taken: u32,
    suppressed: u64,
}

/// Something worth reporting.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    kind: &'static str,
    severity: Severity,
    subject: Option<String>,
    data: Value,
}

impl Report {
    /// A job that the worker refused for a reason that concerns security.
    #[must_use]
    pub fn rejected_command(job_id: JobId, code: &str, message: &str) -> Self {
        Self {
            kind: protocol::event::SECURITY_REJECTED_COMMAND,
            severity: Severity::Critical,
            subject: Some(job_id.to_string()),
            data: json!({"code": code, "job_id": job_id, "message": short(message)}),
        }
    }

    /// A frame that did not come from the hub of this session.
    #[must_use]
    pub fn bad_mac(frame: &str) -> Self {
        Self {
            kind: protocol::event::SECURITY_BAD_MAC,
            severity: Severity::Critical,
            subject: None,
            data: json!({"type": short(frame)}),
        }
    }

    /// A welcome that the pinned key did not sign for this connection.
    #[must_use]
    pub fn bad_welcome(key_id: Hex<8>, why: &str) -> Self {
        Self {
            kind: protocol::event::SECURITY_BAD_WELCOME,
            severity: Severity::Critical,
            subject: None,
            data: json!({"key_id": key_id, "message": why}),
        }
    }

    /// A licence that the pinned key did not sign for this server.
    #[must_use]
    pub fn bad_license(why: &str) -> Self {
        Self {
            kind: protocol::event::SECURITY_BAD_LICENSE,
            severity: Severity::Critical,
            subject: None,
            data: json!({"message": why}),
        }
    }

    /// A change of the hub's own restrictions that does not count.
    #[must_use]
    pub fn bad_restriction(code: &str, message: &str) -> Self {
        Self {
            kind: protocol::event::SECURITY_BAD_RESTRICTION,
            severity: Severity::Critical,
            subject: None,
            data: json!({"code": code, "message": short(message)}),
        }
    }

    /// The hub's key was replaced by the one that it had named.
    #[must_use]
    pub fn hub_key_rotated(old_key_id: Hex<8>, new_key_id: Hex<8>) -> Self {
        Self {
            kind: protocol::event::SECURITY_HUB_KEY_ROTATED,
            severity: Severity::Info,
            subject: None,
            data: json!({"old_key_id": old_key_id, "new_key_id": new_key_id}),
        }
    }

    /// A host's clock that is off by more than a minute.
    #[must_use]
    pub fn clock_skew(offset_ms: i64) -> Self {
        Self {
            kind: protocol::event::CLOCK_SKEW,
            severity: Severity::Warning,
            subject: None,
            data: json!({"offset_ms": offset_ms}),
        }
    }

    fn dropped(count: u64) -> Self {
        Self {
            kind: protocol::event::EVENTS_DROPPED,
            severity: Severity::Warning,
            subject: None,
            data: json!({"count": count}),
        }
    }
}

impl Events {
    /// Opens the queue with what earlier runs have left.
    #[must_use]
    pub fn open(paths: &Paths, ids: Ids, clock: Clock) -> Self {
        Self { queue: Queue::open(paths.events_dir()), ids, clock, windows: HashMap::new(), added: Notify::new() }
    }

    /// Takes a report, unless too many of its kind came within the last minute.
    pub fn report(&mut self, report: Report) {
        let Some(suppressed) = self.admit(report.kind) else { return };
        let Ok(event_id) = self.ids.event() else {
            log::error!("event {} is lost: the kernel gave no random bytes", report.kind);
            return;
        };
        let mut data = report.data;
        if let (Some(object), true) = (data.as_object_mut(), suppressed > 0) {
            object.insert("suppressed_before".to_owned(), suppressed.into());
        }
        if data.to_string().len() > MAX_DATA {
            data = Value::Null;
        }
        log::warn!("event {} {data}", report.kind);
        self.queue.push(Event {
            event_id,
            kind: report.kind.to_owned(),
            severity: report.severity,
            subject: report.subject,
            at_ms: self.clock.now_ms(),
            data,
        });
        self.added.notify_one();
    }

    /// How many of this kind were left out before this one, `None` when this one is to be left out too.
    fn admit(&mut self, kind: &'static str) -> Option<u64> {
        let now = Instant::now();
        let window = self.windows.entry(kind).or_insert(Window { opened: now, taken: 0, suppressed: 0 });
        if now.duration_since(window.opened) >= WINDOW {
            window.opened = now;
            window.taken = 0;
        }
        if window.taken >= PER_WINDOW {
            window.suppressed += 1;
            return None;
        }
        window.taken += 1;
        Some(std::mem::take(&mut window.suppressed))
    }

    /// Before a session delivers: makes a report of what had to be dropped.
    pub fn prepare_delivery(&mut self) {
        let dropped = self.queue.take_dropped();
        if dropped > 0 {
            self.report(Report::dropped(dropped));
        }
    }

    /// The first event after the one with the number `last`, and its own number.
    #[must_use]
    pub fn next_after(&mut self, last: Option<u64>) -> Option<(u64, Event)> {
        self.queue.next_after(last)
    }

    /// The hub has it.
    pub fn acknowledge(&mut self, event_id: EventId) {
        self.queue.remove(event_id);
    }

    /// Waits until something was reported.
    pub async fn added(&self) {
        self.added.notified().await;
    }
}

/// Foreign words in a report: short, whatever was sent.
fn short(text: &str) -> String {
    text.chars().take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::files;
    use crate::host::random::Random;

    fn open(directory: &tempfile::TempDir) -> Events {
        let paths = Paths::new(directory.path());
        files::make_dir(&paths.relay_dir(), 0o700).unwrap();
        Events::open(&paths, Ids::new(Clock::fixed(1_000), Random::system()), Clock::fixed(1_000))
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_one_kind_becomes_a_count() {
        let directory = tempfile::tempdir().unwrap();
        let mut events = open(&directory);
        for _ in 0..1_000 {
            events.report(Report::bad_mac("cmd"));
        }
        events.report(Report::clock_skew(70_000));
        let mut kinds = Vec::new();
        let mut last = None;
        while let Some((number, event)) = events.next_after(last) {
            last = Some(number);
            kinds.push(event.kind);
        }
        assert_eq!(kinds.len(), 11, "the other kind is not held back");
        tokio::time::advance(WINDOW).await;
        events.report(Report::bad_mac("cmd"));
        let (_, newest) = events.next_after(last).unwrap();
        assert_eq!(newest.data["suppressed_before"], 990);
    }

    #[tokio::test]
    async fn events_survive_until_they_are_acknowledged() {
        let directory = tempfile::tempdir().unwrap();
        let mut events = open(&directory);
        events.report(Report::rejected_command(JobId::new(uuid::Uuid::from_u128(7)), "bad_signature", "x"));
        drop(events);
        let mut events = open(&directory);
        let (_, event) = events.next_after(None).unwrap();
        assert_eq!((event.kind.as_str(), event.at_ms), ("security.rejected_command", 1_000));
        events.acknowledge(event.event_id);
        assert_eq!(events.next_after(None), None);
        drop(events);
        assert_eq!(open(&directory).next_after(None), None);
    }
}
