//! Search within a log: every occurrence once, wherever answers and pieces are cut.

use axum::http::StatusCode;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use protocol::JobId;
use protocol::job::{EndState, Log, LogStream};
use serde_json::{Value, json};

use super::support::{Agent, World, id_of, worlds};
use crate::testing::TestHub;

async fn search(world: &World, id: JobId, query: &str) -> Value {
    let answer = world.owner.get(&format!("/v1/jobs/{id}/log/search?{query}")).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    answer.json()
}

/// A running job, and its agent.
async fn running(world: &World) -> (Agent, JobId) {
    let mut agent = Agent::new(world);
    agent.connect(&world.hub).await;
    let id = id_of(&world.create("log").await);
    agent.accept(&world.hub, id).await;
    (agent, id)
}

/// A piece of output of one stream, stored before this returns.
async fn write(agent: &mut Agent, world: &World, id: JobId, stream: LogStream, text: &[u8]) {
    let from = agent.append(id, text);
    let (log, bytes) = super::support::piece(id, from, text.to_vec());
    agent.send_log(&world.hub, (Log { s: stream, ..log }, bytes)).await;
    agent.until_acked(id, from + text.len()).await;
}

/// All offsets and texts, over as many answers as it takes.
async fn everything(world: &World, id: JobId, query: &str) -> Vec<(u64, String)> {
    let (mut from, mut found) = (0, Vec::new());
    loop {
        let page = search(world, id, &format!("{query}&from={from}")).await;
        for line in page["data"].as_array().unwrap() {
            let text = line["text"].as_str().unwrap();
            let offsets = line["matches"].as_array().unwrap().iter();
            found.extend(offsets.map(|offset| (offset.as_u64().unwrap(), text.to_owned())));
        }
        let next = page["next_from"].as_u64().unwrap();
        if page["complete"] == json!(true) {
            found.sort();
            return found;
        }
        assert!(next > from, "no progress: {page}");
        from = next;
    }
}

#[tokio::test]
async fn lines_are_found_with_their_places() {
    for world in worlds().await {
        let (mut agent, id) = running(&world).await;
        write(&mut agent, &world, id, LogStream::Out, b"one error\ntwo Err").await;
        // Another stream in the middle of the line.
        write(&mut agent, &world, id, LogStream::Err, "GRÖẞE: error\r\n".as_bytes()).await;
        write(&mut agent, &world, id, LogStream::Out, b"or error\nthree\n").await;
        agent.end(&world.hub, id, EndState::Succeeded, Some(0)).await;
        agent.until_forgotten(id).await;

        let page = search(&world, id, "q=error").await;
        assert_eq!(page["complete"], json!(true));
        let lines: Vec<_> = page["data"].as_array().unwrap().iter().collect();
        let short = |line: &Value| {
            (line["offset"].clone(), line["matches"].clone(), line["stream"].clone(), line["text"].clone())
        };
        assert_eq!(lines.len(), 3);
        assert_eq!(short(lines[0]), (json!(0), json!([4]), json!("out"), json!("one error")));
        assert_eq!(short(lines[1]), (json!(10), json!([14, 37]), json!("out"), json!("two Error error")));
        assert_eq!(short(lines[2]), (json!(17), json!([27]), json!("err"), json!("GRÖẞE: error")));
        assert!(lines.iter().all(|line| line["at"] == "2026-01-01T00:00:00.000Z" && line["truncated"] == json!(false)));

        assert_eq!(search(&world, id, "q=Error&case_sensitive=true").await["data"][0]["matches"], json!([14]));
        assert_eq!(search(&world, id, "q=error&stream=err").await["data"].as_array().unwrap().len(), 1);
        assert_eq!(search(&world, id, "q=gr%C3%B6").await["data"][0]["matches"], json!([17]), "letters have cases too");
        assert_eq!(search(&world, id, "q=error%5Cn").await["data"], json!([]));
        let rest = search(&world, id, "q=error&from=15").await;
        assert_eq!(rest["data"][0]["text"], "GRÖẞE: error");
        assert_eq!(rest["data"][1]["matches"], json!([37]), "the line has its beginning, the place before is left out");
        let beyond = search(&world, id, "q=error&from=1000").await;
        assert_eq!(
            (&beyond["data"], &beyond["next_from"], &beyond["complete"]),
            (&json!([]), &json!(1000), &json!(true))
        );
    }
}

#[tokio::test]
async fn a_running_job_can_be_searched_again_and_again() {
    let world = World::new(TestHub::sqlite().await).await;
    let (mut agent, id) = running(&world).await;
    write(&mut agent, &world, id, LogStream::Out, b"needle\nnee").await;
    let first = search(&world, id, "q=needle").await;
    assert_eq!((first["data"].as_array().unwrap().len(), &first["complete"]), (1, &json!(false)));
    assert_eq!(first["next_from"], 7, "what may be a beginning comes again");
    let again = search(&world, id, "q=needle&from=7").await;
    assert_eq!((&again["data"], &again["next_from"]), (&json!([]), &json!(7)));
    write(&mut agent, &world, id, LogStream::Out, b"dle").await;
    let second = search(&world, id, "q=needle&from=7").await;
    assert_eq!((&second["data"][0]["matches"], &second["next_from"]), (&json!([7]), &json!(13)));
    assert_eq!(second["data"][0]["truncated"], json!(true), "the line goes on");
}

#[tokio::test]
async fn long_lines_and_gaps_are_searched_as_far_as_they_are_there() {
    let world = World::new(TestHub::sqlite().await).await;
    let (mut agent, id) = running(&world).await;
    // One line of 200 KiB with the text across every kind of border.
    let mut line = vec![b'x'; 200 << 10];
    for at in [0, (16 << 10) - 3, (64 << 10) - 2, 100_000, (200 << 10) - 6] {
        line[at..at + 6].copy_from_slice(b"needle");
    }
    for part in line.chunks(10_007) {
        write(&mut agent, &world, id, LogStream::Out, part).await;
    }
    let gap = Log {
        job_id: id,
        offset: line.len() as u64,
        s: LogStream::Sys,
        at_ms: 1,
        text: Some("needle is missing here".to_owned()),
        bytes: None,
        gap_bytes: Some(50),
    };
    agent.append(id, b"needle is missing here");
    agent.send_log(&world.hub, (gap, None)).await;
    agent.end(&world.hub, id, EndState::Succeeded, Some(0)).await;
    agent.until_forgotten(id).await;
    let found = everything(&world, id, "q=NEEDLE").await;
    let places: Vec<_> = found.iter().map(|(at, _)| *at).collect();
    assert_eq!(places, [0, (16 << 10) - 3, (64 << 10) - 2, 100_000, (200 << 10) - 6]);
    assert!(found.iter().all(|(_, text)| text.len() <= 1024 && text.contains("needle")));
}

/// Writes a log of these pieces and compares what is found with what the whole has.
async fn compare(pieces: &[(LogStream, String)], limit: usize) {
    let world = World::new(TestHub::sqlite().await).await;
    let (mut agent, id) = running(&world).await;
    let mut places = Vec::new();
    for stream in [LogStream::Out, LogStream::Err] {
        let (mut text, mut offsets, mut at) = (String::new(), Vec::new(), 0);
        for (of, piece) in pieces {
            if *of == stream {
                text += piece;
                offsets.extend(at..at + piece.len());
            }
            at += piece.len();
        }
        places.extend(text.match_indices("ab").map(|(at, _)| offsets[at] as u64));
    }
    for (stream, piece) in pieces {
        write(&mut agent, &world, id, *stream, piece.as_bytes()).await;
    }
    agent.end(&world.hub, id, EndState::Succeeded, Some(0)).await;
    agent.until_forgotten(id).await;
    places.sort_unstable();
    let found: Vec<_> =
        everything(&world, id, &format!("q=ab&limit={limit}")).await.into_iter().map(|(at, _)| at).collect();
    assert_eq!(found, places, "{pieces:?}");
}

#[test]
fn answers_put_together_have_every_occurrence_once() {
    let stream = prop_oneof![Just(LogStream::Out), Just(LogStream::Err)];
    let pieces = proptest::collection::vec((stream, "[ab\\n]{1,6}"), 1..12);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    TestRunner::new(Config::with_cases(24))
        .run(&(pieces, 1_usize..4), |(pieces, limit)| {
            runtime.block_on(compare(&pieces, limit));
            Ok(())
        })
        .unwrap();
}

#[tokio::test]
async fn one_answer_looks_through_a_bounded_part() {
    let world = World::new(TestHub::sqlite().await).await;
    let (mut agent, id) = running(&world).await;
    let block = format!("{}\n", "y".repeat(1023)).repeat(60);
    for number in 0..700 {
        let from = agent.append(id, block.as_bytes());
        agent.send(&world.hub, id, from, from + block.len()).await;
        if number % 10 == 0 {
            agent.until_acked(id, from + block.len()).await;
        }
    }
    write(&mut agent, &world, id, LogStream::Out, b"needle\n").await;
    agent.end(&world.hub, id, EndState::Succeeded, Some(0)).await;
    agent.until_forgotten(id).await;
    let first = search(&world, id, "q=needle").await;
    let next = first["next_from"].as_u64().unwrap();
    assert!((32 << 20..34 << 20).contains(&next) && first["data"] == json!([]), "{first}");
    let found = everything(&world, id, "q=needle").await;
    assert_eq!(found, [(700 * 60 * 1024, "needle".to_owned())]);
}

#[tokio::test]
async fn bad_searches_and_strangers_are_refused() {
    for world in worlds().await {
        let (_agent, id) = running(&world).await;
        let long = format!("q={}", "x".repeat(257));
        for query in [
            "",
            "q=",
            "q=a%0Ab",
            "q=a&limit=0",
            "q=a&limit=201",
            "q=a&from=-1",
            "q=a&stream=all",
            "q=a&regex=1",
            "q=a&case_sensitive=maybe",
            &long,
        ] {
            let answer = world.owner.get(&format!("/v1/jobs/{id}/log/search?{query}")).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{query}: {}", answer.text());
        }
        let path = format!("/v1/jobs/{id}/log/search?q=a");
        assert_eq!(world.test.stranger().await.get(&path).await.status, StatusCode::NOT_FOUND);
        assert_eq!(world.test.anonymous().get(&path).await.status, StatusCode::UNAUTHORIZED);
        assert_eq!(search(&world, id, "q=a").await, json!({ "data": [], "next_from": 0, "complete": false }));
    }
}
