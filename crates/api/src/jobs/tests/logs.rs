//! Logs: once, in order, byte for byte, in every form.

use axum::http::StatusCode;
use bytes::Bytes;
use protocol::job::{EndState, Log, LogStream};
use serde_json::{Value, json};

use super::support::{Agent, World, id_of, piece, worlds};
use crate::testing::TestHub;
use protocol::{JobId, Message};

async fn page(world: &World, id: JobId, query: &str) -> Value {
    let answer = world.owner.get(&format!("/v1/jobs/{id}/log?{query}")).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    answer.json()
}

fn text_of(page: &Value) -> String {
    page["data"].as_array().unwrap().iter().map(|chunk| chunk["text"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_hundred_thousand_lines_arrive_once_and_in_order() {
    for world in worlds().await {
        let mut agent = Agent::new(&world);
        agent.connect(&world.hub).await;
        let id = id_of(&world.create("for i in …").await);
        agent.accept(&world.hub, id).await;
        let output: String = (1..=100_000).map(|line| format!("line {line}\n")).collect();
        let follower = world.follow(id, "", None).await;
        let following = world.hub.tasks.spawn(follower.rest());
        // Pieces of all sizes, some twice, as after a lost connection.
        let (mut at, mut size) = (0, 1);
        agent.append(id, output.as_bytes());
        while at < output.len() {
            size = (size * 7 + 3) % (64 << 10);
            let to = (at + size.max(1)).min(output.len());
            agent.send(&world.hub, id, at, to).await;
            if size % 5 == 0 {
                agent.send(&world.hub, id, at, to).await;
            }
            agent.drain();
            at = to;
        }
        agent.end(&world.hub, id, EndState::Succeeded, Some(0)).await;
        agent.until_forgotten(id).await;
        assert!(world.text_log(id).await == output.as_bytes(), "the text log differs");
        let (followed, end) = following.await.unwrap();
        assert!(followed == output, "the followed log differs");
        assert_eq!((&end["state"], &end["log"]["bytes"]), (&json!("succeeded"), &json!(output.len())));
        let (mut from, mut read) = (0, String::new());
        loop {
            let page = page(&world, id, &format!("from={from}&limit=100000")).await;
            read += &text_of(&page);
            from = page["next_offset"].as_u64().unwrap();
            if page["complete"] == json!(true) {
                break;
            }
        }
        assert!(read == output, "the paged log differs");
    }
}

#[tokio::test]
async fn pages_start_anywhere_and_keep_characters_whole() {
    for world in worlds().await {
        let mut agent = Agent::new(&world);
        agent.connect(&world.hub).await;
        let id = id_of(&world.create("echo").await);
        agent.accept(&world.hub, id).await;
        let text = "aé€😀ü".repeat(6);
        let bytes = text.as_bytes();
        agent.append(id, bytes);
        for at in 0..bytes.len() {
            agent.send(&world.hub, id, at, at + 1).await;
        }
        agent.end(&world.hub, id, EndState::Succeeded, Some(0)).await;
        agent.until_forgotten(id).await;
        let whole = page(&world, id, "").await;
        assert_eq!((text_of(&whole), &whole["complete"]), (text.clone(), &json!(true)));
        for limit in [1, 2, 3, 7] {
            let (mut from, mut read) = (0, String::new());
            while from < bytes.len() {
                let page = page(&world, id, &format!("from={from}&limit={limit}")).await;
                read += &text_of(&page);
                from = usize::try_from(page["next_offset"].as_u64().unwrap()).unwrap();
            }
            assert_eq!(read, text, "limit {limit}");
        }
        let tail = page(&world, id, "tail=6").await;
        assert_eq!((text_of(&tail).as_str(), &tail["data"][0]["offset"]), ("😀ü", &json!(bytes.len() - 6)));
        assert_eq!(text_of(&page(&world, id, "from=100000").await), "");
        for query in ["limit=0", "limit=1048577", "from=1&tail=1", "from=-1", "follow=perhaps", "form=1"] {
            let answer = world.owner.get(&format!("/v1/jobs/{id}/log?{query}")).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{query}");
        }
    }
}

#[tokio::test]
async fn streams_gaps_and_bytes_that_are_no_text_are_shown_as_what_they_are() {
    for world in worlds().await {
        let mut agent = Agent::new(&world);
        agent.connect(&world.hub).await;
        let id = id_of(&world.create("noise").await);
        agent.accept(&world.hub, id).await;
        let base = Log {
            job_id: id,
            offset: 0,
            s: LogStream::Err,
            at_ms: 1_767_225_600_123,
            text: Some("warn\n".to_owned()),
            bytes: None,
            gap_bytes: None,
        };
        agent.send_log(&world.hub, (base.clone(), None)).await;
        let binary = Log { offset: 5, s: LogStream::Out, text: None, bytes: Some(3), ..base.clone() };
        agent.send_log(&world.hub, (binary, Some(Bytes::from_static(&[0xff, 0, b'x'])))).await;
        let gap = Log {
            offset: 8,
            s: LogStream::Sys,
            text: Some("dropped\n".to_owned()),
            gap_bytes: Some(999),
            ..base.clone()
        };
        agent.send_log(&world.hub, (gap, None)).await;
        agent.append(id, &[0; 16]);
        agent.end(&world.hub, id, EndState::Succeeded, Some(0)).await;
        agent.until_forgotten(id).await;
        let page = page(&world, id, "").await;
        let expected = json!([
            { "offset": 0, "bytes": 5, "stream": "err", "at": "2026-01-01T00:00:00.123Z", "text": "warn\n" },
            { "offset": 5, "bytes": 3, "stream": "out", "at": "2026-01-01T00:00:00.123Z", "text": "\u{fffd}\0x" },
            { "offset": 8, "bytes": 8, "stream": "sys", "at": "2026-01-01T00:00:00.123Z", "text": "dropped\n", "gap_bytes": 999 },
        ]);
        assert_eq!(page["data"], expected);
        assert_eq!(world.job(id).await["log"], json!({ "bytes": 16, "truncated": true, "removed_at": null }));
        assert_eq!(world.text_log(id).await, b"warn\n\xff\0xdropped\n");
        let download = world.owner.get(&format!("/v1/jobs/{id}/log?download=1")).await;
        assert!(download.header("content-disposition").starts_with("attachment; filename=\"job-"));
        assert_eq!(download.header("content-type"), "text/plain; charset=utf-8");
        assert_eq!(download.header("x-content-type-options"), "nosniff");
    }
}

#[tokio::test]
async fn a_gap_is_refused_unless_the_agent_has_nothing_to_fill_it_with() {
    for world in worlds().await {
        let mut agent = Agent::new(&world);
        agent.connect(&world.hub).await;
        let id = id_of(&world.create("ls").await);
        agent.accept(&world.hub, id).await;
        agent.write(&world.hub, id, b"abc").await;
        agent.until_acked(id, 3).await;
        agent.append(id, b"defghi");
        agent.send(&world.hub, id, 6, 9).await;
        let answers = agent.drain();
        assert!(answers.iter().any(|answer| matches!(answer, Message::Error(_))), "{answers:?}");
        assert_eq!(agent.spool[&id].acked, 3);
        // It goes on where it should, and then the same place is no gap.
        agent.send(&world.hub, id, 3, 6).await;
        agent.send(&world.hub, id, 6, 9).await;
        agent.until_acked(id, 9).await;
        // This one lost bytes with its disk: whatever it is told, it begins behind them, and the hole is shown.
        agent.append(id, b"jklmno");
        for from in [12, 13, 14] {
            agent.send(&world.hub, id, from, from + 1).await;
        }
        agent.drain();
        assert_eq!(agent.spool[&id].acked, 9);
        agent.disconnect(&world.hub).await;
        assert_eq!(agent.connect(&world.hub).await[0].next_offset, 9);
        agent.send(&world.hub, id, 12, 15).await;
        agent.end(&world.hub, id, EndState::Succeeded, Some(0)).await;
        agent.until_forgotten(id).await;
        let page = page(&world, id, "").await;
        let hole = page["data"].as_array().unwrap().iter().find(|chunk| chunk["stream"] == "sys").unwrap().clone();
        assert_eq!((&hole["offset"], &hole["bytes"], &hole["gap_bytes"]), (&json!(9), &json!(3), &json!(3)));
        assert_eq!(world.job(id).await["log"], json!({ "bytes": 15, "truncated": true, "removed_at": null }));
        assert_eq!(
            String::from_utf8(world.text_log(id).await).unwrap(),
            "abcdefghi\n[3 bytes of output are missing here]\nmno"
        );
    }
}

#[tokio::test]
async fn an_offset_beyond_all_bounds_breaks_nothing() {
    let world = World::new(TestHub::sqlite().await).await;
    let mut agent = Agent::new(&world);
    agent.connect(&world.hub).await;
    let id = id_of(&world.create("ls").await);
    agent.accept(&world.hub, id).await;
    for _ in 0..3 {
        let (log, bytes) = piece(id, usize::MAX - 1, b"abc".to_vec());
        agent.send_log(&world.hub, (log, bytes)).await;
    }
    agent.drain();
    assert_eq!(agent.spool[&id].acked, 0);
    agent.write(&world.hub, id, b"fine").await;
    agent.end(&world.hub, id, EndState::Succeeded, Some(0)).await;
    agent.until_forgotten(id).await;
    assert_eq!(world.text_log(id).await, b"fine");
}

#[tokio::test]
async fn a_log_beyond_the_limit_keeps_its_beginning_and_its_end() {
    for world in worlds().await {
        let mut agent = Agent::new(&world);
        agent.connect(&world.hub).await;
        let id = id_of(&world.create("flood").await);
        agent.accept(&world.hub, id).await;
        let mut kept = 0;
        for number in 0..200 {
            agent.write(&world.hub, id, format!("{number:>99}\n").as_bytes()).await;
            agent.until_acked(id, (number + 1) * 100).await;
            kept += 100;
            let dropped = crate::jobs::log::shorten(&world.hub, id, 8000).await;
            kept -= dropped;
            assert!(kept <= 8000);
        }
        agent.end(&world.hub, id, EndState::Succeeded, Some(0)).await;
        agent.until_forgotten(id).await;
        let page = page(&world, id, "").await;
        let chunks = page["data"].as_array().unwrap();
        let gaps: Vec<_> = chunks.iter().filter(|chunk| chunk["gap_bytes"].is_u64()).collect();
        assert_eq!((gaps.len(), page["next_offset"].as_u64()), (1, Some(20_000)));
        assert_eq!(gaps[0]["gap_bytes"].as_u64().unwrap() + kept, 20_000);
        let text = text_of(&page);
        assert!(text.starts_with(&format!("{:>99}\n", 0)) && text.ends_with(&format!("{:>99}\n", 199)));
        // A follower that comes back inside the gap is told how much of it is left.
        let gap_start = gaps[0]["offset"].as_u64().unwrap();
        let mut follower = world.follow(id, "", Some(&(gap_start + 50).to_string())).await;
        let rest = follower.next().await.unwrap().data;
        assert_eq!(rest["bytes"].as_u64().unwrap() + 50, gaps[0]["bytes"].as_u64().unwrap());
    }
}
