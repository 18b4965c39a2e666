//! Logs: every byte once and in order, and an honest word where bytes are missing.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests look at the machine directly, and fail loudly"
)]

mod support;

use std::time::Duration;

use agent::host::files::Dir;
use agent::spool::writer::SpoolWriter;
use agent::spool::{Limits, Meta, Phase, Spool};
use agent::work::wire::Note;
use proptest::prelude::*;
use protocol::JobId;
use protocol::job::{EndState, JobDone, LogStream, SpoolState};
use support::{Host, command, end_of, new_id, output};
use tempfile::TempDir;

#[tokio::test]
async fn a_hundred_thousand_lines_arrive_once_and_in_order() {
    let host = Host::new();
    let finished = host.sh("for i in $(seq 1 100000); do echo line $i; done").await;
    let expected: String = (1..=100_000).map(|number| format!("line {number}\n")).collect();
    assert!(finished.log.out() == expected, "{} bytes", finished.log.length);
    assert!(finished.log.chunks.len() < 20_000, "lines are collected: {} chunks", finished.log.chunks.len());
}

#[tokio::test]
async fn binary_output_is_kept_byte_for_byte() {
    let host = Host::new();
    let finished = host
        .sh(r"i=0; while [ $i -lt 256 ]; do printf \\$(printf %o $i); i=$((i+1)); done; head -c 300000 /dev/zero")
        .await;
    let bytes = finished.log.bytes(LogStream::Out);
    assert_eq!(bytes[..256], (0..=255).collect::<Vec<u8>>());
    assert!(bytes[256..].iter().all(|&byte| byte == 0) && bytes.len() == 300_256);
}

#[tokio::test]
async fn streams_keep_their_order_and_characters_stay_whole() {
    let host = Host::new();
    let finished = host.sh("for i in 1 2 3 4 5; do echo out $i; sleep 0.1; echo err $i >&2; sleep 0.1; done").await;
    let all: Vec<u8> = finished.log.chunks.iter().flat_map(|(_, bytes)| bytes.clone()).collect();
    let expected: String = (1..=5).map(|number| format!("out {number}\nerr {number}\n")).collect();
    assert_eq!(String::from_utf8(all).unwrap(), expected);

    let finished = host.sh("yes 'ä😀€' | head -c 1000000").await;
    let (last, whole) = finished.log.chunks.split_last().unwrap();
    assert!(whole.iter().all(|(_, bytes)| std::str::from_utf8(bytes).is_ok()));
    assert!(!last.1.is_empty());
}

#[tokio::test]
async fn output_is_visible_while_the_job_runs() {
    let host = Host::new();
    let body = host.body(&command("printf prompt; sleep 1000"));
    let mut job = host.start(&body).await;
    assert_eq!(output(&host, &mut job, "prompt").await, "prompt");
    job.cancel(&host.cancel(body.job_id)).await.unwrap();
    end_of(&mut job).await;
}

#[tokio::test]
async fn what_nobody_takes_in_time_is_dropped_in_the_middle_and_said() {
    let host = Host::new();
    host.policy("[limits]\njob_bytes = 6000000\n");
    let finished = host.sh("yes 0123456789abcdef | head -c 60000000; echo; echo the end").await;
    assert_eq!((finished.done.state, finished.done.exit_code), (EndState::Succeeded, Some(0)), "the job never noticed");
    let log = &finished.log;
    assert!(log.length < 12_000_000, "{}", log.length);
    assert_eq!(log.bytes(LogStream::Out).len() as u64 + log.gap_bytes, 60_000_000 + "\nthe end\n".len() as u64);
    assert!(log.out().starts_with("0123456789abcdef\n"));
    assert!(log.out().ends_with("\nthe end\n"), "the end matters most");
    assert!(log.sys().contains(&format!("{} bytes", log.gap_bytes)), "{}", log.sys());
}

#[tokio::test]
async fn a_reader_that_keeps_up_loses_nothing() {
    let host = Host::new();
    host.policy("[limits]\njob_bytes = 30000000\n");
    let body = host.body(&command("yes 0123456789abcdef | head -c 100000000"));
    let mut job = host.start(&body).await;
    let spool = host.spool();
    let mut reader = spool.reader(body.job_id, 0).unwrap();
    let (mut buffer, mut taken, mut done) = (Vec::new(), 0, None);
    while done.is_none() {
        match tokio::time::timeout(Duration::from_secs(60), job.next()).await.unwrap().unwrap() {
            Some(Note::Done(end)) => done = Some(end),
            Some(_) => {}
            None => panic!("no end"),
        }
        while let Some(chunk) = reader.next(&mut buffer).unwrap() {
            assert_eq!((chunk.offset, chunk.gap_bytes), (taken, None));
            taken += buffer.len() as u64;
            spool.free(body.job_id, taken).unwrap();
        }
    }
    assert_eq!((taken, done.unwrap().next_offset), (100_000_000, 100_000_000));
    let kept: u64 = spool.waiting_bytes();
    assert!(kept < 5_000_000, "{kept}: segments were freed");
}

#[tokio::test]
async fn no_job_starts_when_there_is_no_room_for_its_log() {
    let host = Host::new();
    host.policy(&format!("[limits]\nfree_bytes = {}\n", i64::MAX));
    let (ack, _) = host.submit(&host.body(&command("true"))).await;
    assert_eq!(support::rejection(&ack), Some(protocol::job::RejectCode::NoSpace), "{ack:?}");
    host.policy("[limits]\nfree_bytes = 0\n");
    assert_eq!(host.sh("echo ok").await.log.out(), "ok\n");
}

#[tokio::test]
async fn all_logs_together_are_limited_until_the_hub_has_them() {
    let host = Host::new();
    host.policy("[limits]\ntotal_bytes = 1000\n");
    host.sh("head -c 2000 /dev/zero").await;
    let finished = host.sh("head -c 1000000 /dev/zero; echo the end").await;
    assert_eq!(finished.done.state, EndState::Succeeded, "the job never noticed");
    assert!(finished.log.gap_bytes > 0 && finished.log.bytes(LogStream::Out).ends_with(b"the end\n"));
    let spool = host.spool();
    for job in spool.jobs().unwrap() {
        host.ended(job.job_id);
        spool.forget(job.job_id).unwrap();
    }
    assert_eq!(host.sh("head -c 1000000 /dev/zero").await.log.gap_bytes, 0, "there is room again");
}

#[tokio::test]
async fn a_full_disk_costs_output_but_neither_job_nor_end() {
    if !support::is_root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let _mount = support::SmallDisk::mount(dir.path(), "8m");
    let inner = tempfile::Builder::new().prefix("agent-").tempdir_in(dir.path()).unwrap();
    let host = Host::at(inner);
    host.policy("[limits]\nfree_bytes = 0\n");
    let filler = dir.path().join("filler");
    let other = tempfile::tempdir().unwrap();
    let gate = other.path().join("gate");
    let body = host.body(&command(&format!(
        "echo before; until [ -e {1} ]; do sleep 0.01; done; head -c 20000000 /dev/zero > {0}; yes x | head -c 3000000; \
         rm {0}; echo after",
        filler.display(),
        gate.display()
    )));
    let mut job = host.start(&body).await;
    output(&host, &mut job, "before\n").await;
    std::fs::write(&gate, "").unwrap();
    let finished = host.finish(&mut job).await;
    assert_eq!(finished.done.state, EndState::Succeeded);
    let log = &finished.log;
    assert!(log.gap_bytes > 0);
    assert!(log.out().starts_with("before\n") && log.out().ends_with("after\n"));
    assert_eq!(log.bytes(LogStream::Out).len() as u64 + log.gap_bytes, 3_000_013);

    // Full to the last: the end record has its room, and says what is missing.
    let finished = host
        .sh(&format!("echo before; head -c 20000000 /dev/zero > {}; yes x | head -c 3000000; exit 9", filler.display()))
        .await;
    assert_eq!((finished.done.state, finished.done.exit_code), (EndState::Failed, Some(9)));
    assert_eq!(finished.log.bytes(LogStream::Out).len() as u64 + finished.log.gap_bytes, 3_000_007);
    let ended = host.ended(finished.done.job_id);
    assert_eq!(ended.phase, Phase::Ended(finished.done));
    let (ack, _) = host.submit(&host.body(&command("true"))).await;
    assert_eq!(support::rejection(&ack), Some(protocol::job::RejectCode::NoSpace), "{ack:?}");
    std::fs::remove_file(&filler).unwrap();
    assert_eq!(host.sh("echo ok").await.log.out(), "ok\n");
}

struct Fixture {
    dir: TempDir,
    job_id: JobId,
}

impl Fixture {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), job_id: new_id().parse().unwrap() }
    }

    fn writer(&self, limits: Limits) -> SpoolWriter {
        let meta = Meta { job_id: self.job_id, started_at_ms: 1, expires_at_ms: 2, boot_id: "boot".to_owned() };
        SpoolWriter::create(Dir::open(self.dir.path()).unwrap(), &meta, limits).unwrap()
    }

    fn spool(&self) -> Spool {
        Spool::open(self.dir.path(), "boot").unwrap()
    }

    fn done(&self, next_offset: u64) -> JobDone {
        JobDone {
            job_id: self.job_id,
            state: EndState::Succeeded,
            exit_code: Some(0),
            signal: None,
            started_at_ms: 1,
            duration_ms: 2,
            next_offset,
            result: None,
            error: None,
        }
    }

    fn read(&self, offset: u64) -> Vec<(u64, LogStream, Vec<u8>, Option<u64>)> {
        let mut reader = self.spool().reader(self.job_id, offset).unwrap();
        let (mut chunks, mut buffer) = (Vec::new(), Vec::new());
        while let Some(chunk) = reader.next(&mut buffer).unwrap() {
            chunks.push((chunk.offset, chunk.stream, buffer.clone(), chunk.gap_bytes));
        }
        chunks
    }
}

fn stream() -> impl Strategy<Value = LogStream> {
    prop_oneof![Just(LogStream::Out), Just(LogStream::Err), Just(LogStream::Sys)]
}

fn chunks() -> impl Strategy<Value = Vec<(LogStream, Vec<u8>)>> {
    proptest::collection::vec((stream(), proptest::collection::vec(any::<u8>(), 1..200)), 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Any output, any segment size, read from any offset, with anything freed that was read.
    #[test]
    fn every_byte_comes_back_from_any_offset(chunks in chunks(), segment_bytes in 1_u64..2000, from in any::<prop::sample::Index>()) {
        let fixture = Fixture::new();
        let mut writer = fixture.writer(Limits { segment_bytes, free_bytes: 0, ..Limits::default() });
        let mut all = Vec::new();
        for (stream, bytes) in &chunks {
            writer.append(*stream, 5, bytes);
            all.extend(bytes.iter().map(|byte| (*stream, *byte)));
        }
        prop_assert_eq!(writer.finish(6), 0);
        prop_assert_eq!(writer.next_offset(), all.len() as u64);

        let from = if all.is_empty() { 0 } else { from.index(all.len()) };
        let mut expected = from as u64;
        let mut read = Vec::new();
        for (offset, stream, bytes, gap) in fixture.read(expected) {
            prop_assert_eq!((offset, gap), (expected, None));
            expected += bytes.len() as u64;
            read.extend(bytes.into_iter().map(|byte| (stream, byte)));
        }
        prop_assert_eq!(&read[..], &all[from..]);

        fixture.spool().free(fixture.job_id, from as u64).unwrap();
        let after: Vec<u8> = fixture.read(from as u64).into_iter().flat_map(|chunk| chunk.2).collect();
        prop_assert_eq!(after.len(), all.len() - from);
    }

    /// A machine that loses power leaves any part of the last segment, and rubbish perhaps.
    #[test]
    fn a_torn_end_is_left_out_and_nothing_else(chunks in chunks(), cut in any::<prop::sample::Index>(), rubbish in any::<Vec<u8>>()) {
        let fixture = Fixture::new();
        let mut writer = fixture.writer(Limits { free_bytes: 0, ..Limits::default() });
        for (stream, bytes) in &chunks {
            writer.append(*stream, 5, bytes);
        }
        drop(writer);
        let path = fixture.dir.path().join(fixture.job_id.to_string()).join("v1.log-00000000000000000000.seg");
        let whole = std::fs::read(&path).unwrap_or_default();
        let mut torn = whole[..if whole.is_empty() { 0 } else { cut.index(whole.len()) }].to_vec();
        torn.extend(&rubbish);
        std::fs::write(&path, &torn).unwrap();
        let read = fixture.read(0);
        let intact = read.iter().zip(&chunks).take_while(|((_, stream, bytes, _), chunk)| (*stream, bytes) == (chunk.0, &chunk.1)).count();
        prop_assert!(read.len() <= intact + 1 + rubbish.len(), "only what rubbish could form");
        let job = fixture.spool().job(fixture.job_id).unwrap().unwrap();
        prop_assert_eq!(job.state(), SpoolState::Lost);
        let length: u64 = read.iter().map(|chunk| chunk.2.len() as u64).sum();
        prop_assert_eq!(job.next_offset, length, "the end that is told is the one that can be read");
    }

    /// However little is allowed: what is kept and what is said to be missing add up.
    #[test]
    fn gaps_account_for_every_byte(chunks in chunks(), job_bytes in 0_u64..3000, segment_bytes in 1_u64..1000) {
        let fixture = Fixture::new();
        let mut writer = fixture.writer(Limits { job_bytes, segment_bytes, free_bytes: 0, ..Limits::default() });
        let total: usize = chunks.iter().map(|(_, bytes)| bytes.len()).sum();
        for (stream, bytes) in &chunks {
            writer.append(*stream, 5, bytes);
        }
        let lost = writer.finish(6);
        writer.write_end(&fixture.done(writer.next_offset()), lost).unwrap();
        drop(writer);
        let read = fixture.read(0);
        let kept: usize = read.iter().filter(|chunk| chunk.3.is_none()).map(|chunk| chunk.2.len()).sum();
        let gaps: u64 = read.iter().filter_map(|chunk| chunk.3).sum();
        prop_assert_eq!(kept as u64 + gaps, total as u64);
        let job = fixture.spool().job(fixture.job_id).unwrap().unwrap();
        let length: u64 = read.iter().map(|chunk| chunk.2.len() as u64).sum();
        prop_assert_eq!(job.next_offset, length);
    }
}

#[test]
fn a_big_gap_is_in_the_middle_and_what_found_no_room_is_said_at_the_end() {
    let fixture = Fixture::new();
    let mut writer =
        fixture.writer(Limits { job_bytes: 100_000, segment_bytes: 10_000, free_bytes: 0, ..Limits::default() });
    let chunk = [b'x'; 1000];
    for _ in 0..2000 {
        writer.append(LogStream::Out, 5, &chunk);
    }
    writer.append(LogStream::Out, 5, b"end\n");
    assert_eq!(writer.finish(6), 0);
    let read = fixture.read(0);
    let position = read.iter().position(|chunk| chunk.3.is_some()).unwrap();
    let (offset, stream, text, gap) = &read[position];
    assert_eq!(*stream, LogStream::Sys);
    assert!(*offset > 90_000 && position + 1 < read.len());
    assert!(String::from_utf8_lossy(text).contains(&gap.unwrap().to_string()));
    assert_eq!(read.last().unwrap().2, b"end\n");
}

#[test]
fn fifty_logs_stay_for_local_inspection() {
    let dir = tempfile::tempdir().unwrap();
    let ids: Vec<JobId> = (0..60)
        .map(|number: u128| JobId::new(uuid::Uuid::from_u128(0x019a_1f2e_7c55_7d3a_9f10_0000_0000_0000 + number)))
        .collect();
    let spool = Spool::open(dir.path(), "boot").unwrap();
    for job_id in &ids {
        let fixture = Meta { job_id: *job_id, started_at_ms: 1, expires_at_ms: 2, boot_id: "boot".to_owned() };
        let mut writer = SpoolWriter::create(
            Dir::open(dir.path()).unwrap(),
            &fixture,
            Limits { free_bytes: 0, ..Limits::default() },
        )
        .unwrap();
        writer.append(LogStream::Out, 1, b"text");
        drop(writer);
    }
    assert_eq!(spool.jobs().unwrap().len(), 60);
    for job_id in &ids {
        spool.forget(*job_id).unwrap();
        spool.forget(*job_id).unwrap();
    }
    assert_eq!(spool.jobs().unwrap(), [], "nothing waits for the hub");
    assert_eq!(spool.waiting_bytes(), 0);
    let kept: Vec<bool> = ids.iter().map(|id| spool.job(*id).unwrap().is_some()).collect();
    assert_eq!(kept.iter().filter(|kept| **kept).count(), 50);
    assert!(!kept[9] && kept[10], "the newest stay");
    let mut buffer = Vec::new();
    assert!(spool.reader(ids[59], 0).unwrap().next(&mut buffer).unwrap().is_some());
}
