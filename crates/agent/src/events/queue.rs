//! One file per event, named by id and severity, so that the order and what may be dropped show without reading any.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::PathBuf;

use protocol::EventId;
use protocol::event::{Event, Severity};

use crate::host::files::{self, Dir};

/// Events kept at most.
const MAX_EVENTS: usize = 1_000;
/// Events kept in memory while the disk takes none.
const MAX_UNWRITTEN: usize = 32;
const MAX_FILE: usize = 8 << 10;

/// Events on disk, in the order in which they were reported. Ids keep that order from one run to the next only as far as
/// the host's clock does, so within a run they are numbered.
#[derive(Debug)]
pub(super) struct Queue {
    path: PathBuf,
    entries: BTreeMap<u64, Entry>,
    next_number: u64,
    dropped: u64,
}

#[derive(Debug)]
struct Entry {
    id: EventId,
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
        let mut found: Vec<Entry> = names.iter().filter_map(|name| parse_name(name.to_str()?)).collect();
        found.sort_by_key(|entry| entry.id);
        let mut queue = Self { path, entries: BTreeMap::new(), next_number: 0, dropped: 0 };
        for entry in found {
            queue.insert(entry);
        }
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
        self.insert(Entry { id, severity, unwritten });
    }

    fn insert(&mut self, entry: Entry) {
        self.entries.insert(self.next_number, entry);
        self.next_number += 1;
    }

    /// The first event after the one with the number `last`. A damaged file is let go of: the ones behind it must not wait
    /// for ever.
    pub(super) fn next_after(&mut self, last: Option<u64>) -> Option<(u64, Event)> {
        let after = last.map_or(Bound::Unbounded, Bound::Excluded);
        loop {
            let (number, entry) = self.entries.range((after, Bound::Unbounded)).next()?;
            if let Some(event) = entry.unwritten.clone().or_else(|| self.read(entry)) {
                return Some((*number, event));
            }
            log::error!("event {} cannot be read and is dropped", entry.id);
            self.remove_number(*number);
            self.dropped += 1;
        }
    }

    pub(super) fn remove(&mut self, id: EventId) {
        if let Some(number) = self.entries.iter().find(|(_, entry)| entry.id == id).map(|(number, _)| *number) {
            self.remove_number(number);
        }
    }

    fn remove_number(&mut self, number: u64) {
        if let Some(Entry { id, severity, unwritten: None }) = self.entries.remove(&number) {
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
            let least = self.entries.iter().min_by_key(|(number, entry)| (rank(entry.severity), **number));
            let Some(number) = least.map(|(number, _)| *number) else { return };
            self.remove_number(number);
            self.dropped += 1;
        }
    }

    fn write(&self, event: &Event) -> std::io::Result<()> {
        let bytes = serde_json::to_vec(event)?;
        Dir::open(&self.path)?.write_atomic(name(event.event_id, event.severity), &bytes, 0o600)
    }

    fn read(&self, entry: &Entry) -> Option<Event> {
        let bytes = Dir::open(&self.path).and_then(|dir| dir.read(name(entry.id, entry.severity), MAX_FILE)).ok()?;
        serde_json::from_slice(&bytes).ok().filter(|event: &Event| event.event_id == entry.id)
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

fn parse_name(name: &str) -> Option<Entry> {
    let (id, severity) = name.split_once('.')?;
    let severity = match severity {
        "info" => Severity::Info,
        "warning" => Severity::Warning,
        "critical" => Severity::Critical,
        _ => return None,
    };
    Some(Entry { id: id.parse().ok()?, severity, unwritten: None })
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
        queue.entries.values().map(|entry| entry.id.uuid().as_u128()).collect()
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
    fn a_clock_that_runs_backwards_hides_no_event() {
        let directory = tempfile::tempdir().unwrap();
        let mut queue = Queue::open(directory.path().join("events"));
        queue.push(event(9, Severity::Info));
        let (last, _) = queue.next_after(None).unwrap();
        queue.push(event(3, Severity::Info));
        let (_, next) = queue.next_after(Some(last)).unwrap();
        assert_eq!(next.event_id.uuid().as_u128(), 3);
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
        let mut queue = Queue::open(path);
        assert_eq!(queue.next_after(None).unwrap().1.event_id.uuid().as_u128(), 2);
        assert_eq!((ids(&queue), queue.take_dropped()), (vec![2], 1));
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
