//! One file per event, named by id and severity, so that the order and what may be dropped show without reading any.

use std::collections::BTreeMap;
use std::path::PathBuf;

use protocol::EventId;
use protocol::event::{Event, Severity};

use crate::host::files::{self, Dir};

/// Events kept at most.
const MAX_EVENTS: usize = 1_000;
/// Events kept in memory while the disk takes none.
const MAX_UNWRITTEN: usize = 32;
const MAX_FILE: usize = 8 << 10;

/// Events on disk, in order of their ids, which is the order in which they happened.
#[derive(Debug)]
pub(super) struct Queue {
    path: PathBuf,
    entries: BTreeMap<EventId, Entry>,
    dropped: u64,
}

#[derive(Debug)]
struct Entry {
    severity: Severity,
    /// The event itself where the disk did not take it.
    unwritten: Option<Event>,
}

impl Queue {
    /// Lists what is there. A directory that cannot be used costs durability, not the reports.
    pub(super) fn open(path: PathBuf) -> Self {
        let dir = files::make_dir(&path, 0o700).and_then(|()| Dir::open(&path));
        let names = dir.and_then(|dir| dir.entries()).unwrap_or_else(|error| {
            log::error!("{} cannot be used, events will not survive a restart: {error}", path.display());
            Vec::new()
        });
        let entries = names.iter().filter_map(|name| parse_name(name.to_str()?)).collect();
        let mut queue = Self { path, entries, dropped: 0 };
        queue.make_room(MAX_EVENTS);
        queue
    }

    pub(super) fn push(&mut self, event: Event) {
        self.make_room(MAX_EVENTS - 1);
        let (id, severity) = (event.event_id, event.severity);
        let unwritten = match self.write(&event) {
            Ok(()) => None,
            Err(error) => {
                log::error!("event {} {id} cannot be stored: {error}", event.kind);
                if self.entries.values().filter(|entry| entry.unwritten.is_some()).count() >= MAX_UNWRITTEN {
                    self.dropped += 1;
                    return;
                }
                Some(event)
            }
        };
        self.entries.insert(id, Entry { severity, unwritten });
    }

    pub(super) fn next_after(&self, last: Option<EventId>) -> Option<Event> {
        let after = last.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
        // A damaged file is passed over: the ones behind it must not wait for ever.
        self.entries.range((after, std::ops::Bound::Unbounded)).find_map(|(id, entry)| match &entry.unwritten {
            Some(event) => Some(event.clone()),
            None => self.read(*id, entry.severity),
        })
    }

    pub(super) fn remove(&mut self, id: EventId) {
        if let Some(Entry { severity, unwritten: None }) = self.entries.remove(&id) {
            // A file that stays is delivered again, and the hub stores it once.
            let _ = Dir::open(&self.path).and_then(|dir| dir.remove(name(id, severity)));
        }
    }

    /// How many were dropped since the last call.
    pub(super) fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }

    /// Drops the oldest of the least severe.
    fn make_room(&mut self, most: usize) {
        while self.entries.len() > most {
            let least = self.entries.iter().min_by_key(|(id, entry)| (rank(entry.severity), **id)).map(|(id, _)| *id);
            let Some(id) = least else { return };
            self.remove(id);
            self.dropped += 1;
        }
    }

    fn write(&self, event: &Event) -> std::io::Result<()> {
        let bytes = serde_json::to_vec(event)?;
        Dir::open(&self.path)?.write_atomic(name(event.event_id, event.severity), &bytes, 0o600)
    }

    fn read(&self, id: EventId, severity: Severity) -> Option<Event> {
        let bytes = Dir::open(&self.path).and_then(|dir| dir.read(name(id, severity), MAX_FILE)).ok()?;
        serde_json::from_slice(&bytes).ok().filter(|event: &Event| event.event_id == id)
    }
}

const fn rank(severity: Severity) -> u8 {
    match severity {
        Severity::Info => 0,
        Severity::Warning => 1,
        Severity::Critical => 2,
    }
}

fn name(id: EventId, severity: Severity) -> String {
    let severity = match severity {
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::Critical => "critical",
    };
    format!("{id}.{severity}")
}

fn parse_name(name: &str) -> Option<(EventId, Entry)> {
    let (id, severity) = name.split_once('.')?;
    let severity = match severity {
        "info" => Severity::Info,
        "warning" => Severity::Warning,
        "critical" => Severity::Critical,
        _ => return None,
    };
    Some((id.parse().ok()?, Entry { severity, unwritten: None }))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use uuid::Uuid;

    use super::*;

    fn event(number: u128, severity: Severity) -> Event {
        Event {
            event_id: EventId::new(Uuid::from_u128(number)),
            kind: "test".into(),
            severity,
            subject: None,
            at_ms: 0,
            data: Value::Null,
        }
    }

    fn ids(queue: &Queue) -> Vec<u128> {
        queue.entries.keys().map(|id| id.uuid().as_u128()).collect()
    }

    #[test]
    fn the_oldest_of_the_least_severe_are_dropped_and_counted() {
        let directory = tempfile::tempdir().unwrap();
        let mut queue = Queue::open(directory.path().join("events"));
        for (number, severity) in
            [(1, Severity::Critical), (2, Severity::Info), (3, Severity::Warning), (4, Severity::Info)]
        {
            queue.push(event(number, severity));
        }
        queue.make_room(2);
        assert_eq!((ids(&queue), queue.take_dropped()), (vec![1, 3], 2));
        assert_eq!(queue.take_dropped(), 0);
        assert_eq!(ids(&Queue::open(directory.path().join("events"))), [1, 3], "on disk too");
    }

    #[test]
    fn a_damaged_file_does_not_hold_up_the_others() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("events");
        let mut queue = Queue::open(path.clone());
        queue.push(event(1, Severity::Info));
        queue.push(event(2, Severity::Info));
        let dir = Dir::open(&path).unwrap();
        dir.write_atomic(name(EventId::new(Uuid::from_u128(1)), Severity::Info), b"{", 0o600).unwrap();
        dir.write_atomic("stray", b"{", 0o600).unwrap();
        let queue = Queue::open(path);
        assert_eq!(queue.next_after(None).unwrap().event_id.uuid().as_u128(), 2);
    }

    #[test]
    fn a_full_disk_costs_durability_only() {
        let mut queue = Queue::open("/nonexistent/events".into());
        for number in 0..100 {
            queue.push(event(number, Severity::Info));
        }
        assert_eq!(ids(&queue).len(), MAX_UNWRITTEN);
        assert!(queue.next_after(None).is_some());
        assert_eq!(queue.take_dropped(), 100 - MAX_UNWRITTEN as u64);
        queue.remove(EventId::new(Uuid::from_u128(0)));
        assert_eq!(ids(&queue).len(), MAX_UNWRITTEN - 1);
    }
}
