//! Output arrives once, in order, complete, and grows nothing without bound.

use std::time::Duration;

use reqwest::Method;
use reqwest::header::ACCEPT;
use support::agent::Agent;
use support::hub::Hub;

const LONG: Duration = Duration::from_secs(120);

#[tokio::test]
async fn every_one_of_100_000_lines_arrives_once_and_in_order() {
    let hub = Hub::start().await;
    let owner = hub.owner().await;
    let agent = Agent::online(&hub, &owner).await;
    let job = owner.exec(agent.server_id(), "for i in $(seq 1 100000); do echo line $i; done").await;
    let id = job["id"].as_str().unwrap();

    let mut follow = owner.events(&format!("/v1/jobs/{id}/log?follow=true"), None).await;
    let mut followed = String::new();
    let mut last_id = None;
    loop {
        let event = follow.next(LONG).await.expect("the stream ends with `end`");
        match event.kind.as_str() {
            "log" => {
                followed += event.data["text"].as_str().unwrap();
                last_id = event.id;
                // Break off once in the middle and go on from where we were, as a browser does.
                if followed.len() > 300_000 && followed.len() < 400_000 {
                    follow = owner.events(&format!("/v1/jobs/{id}/log?follow=true"), last_id.as_deref()).await;
                }
            }
            "end" => break assert_eq!(event.data["state"], "succeeded"),
            _ => {}
        }
    }
    let expected: String = (1..=100_000).map(|n| format!("line {n}\n")).collect();
    assert!(followed == expected, "followed {} bytes, expected {}", followed.len(), expected.len());
    let text = owner.log_text(id).await;
    assert!(text == expected, "the text log has {} bytes, expected {}", text.len(), expected.len());
    assert_eq!(last_id.as_deref(), Some(expected.len().to_string().as_str()));
}

#[tokio::test]
async fn a_log_of_200_mb_grows_neither_hub_nor_agent() {
    let hub = Hub::start().await;
    let owner = hub.owner().await;
    let agent = Agent::online(&hub, &owner).await;
    let before = hub.process().rss_bytes();
    let line = "x".repeat(99);
    let job = owner.exec(agent.server_id(), &format!("yes {line} | head -c 200000000")).await;
    let id = job["id"].as_str().unwrap();
    // A follower that never reads must cost nobody anything.
    let request = owner.request(Method::GET, &format!("/v1/jobs/{id}/log?follow=true"));
    let _stalled = request.header(ACCEPT, "text/event-stream").timeout(LONG * 2).send().await.unwrap();
    let end = owner.job_end(id, LONG).await;
    assert_eq!(end["state"], "succeeded", "{end}");
    assert_eq!(end["log"]["bytes"], 200_000_000, "{end}");
    assert_eq!(end["log"]["truncated"], false);

    let request = owner.request(Method::GET, &format!("/v1/jobs/{id}/log")).header(ACCEPT, "text/plain");
    let mut response = request.timeout(LONG).send().await.unwrap();
    let (mut bytes, mut wrong) = (0_usize, 0_usize);
    while let Some(chunk) = response.chunk().await.unwrap() {
        let expected = |at: usize| if at % 100 == 99 { b'\n' } else { b'x' };
        wrong += chunk.iter().enumerate().filter(|(index, byte)| **byte != expected(bytes + index)).count();
        bytes += chunk.len();
    }
    assert_eq!((bytes, wrong), (200_000_000, 0));
    let grown = hub.process().rss_bytes().saturating_sub(before);
    assert!(grown < 96 << 20, "the hub grew by {} MiB", grown >> 20);
    let agent_size = agent.process().rss_bytes();
    assert!(agent_size < 48 << 20, "the agent (development build) holds {} MiB", agent_size >> 20);
}

/// A job is never slowed down by its log: where more comes than can be delivered, the middle is dropped, and it is said
/// how much.
#[tokio::test]
async fn of_a_gib_of_output_every_byte_is_there_or_counted_as_dropped() {
    const GIB: u64 = 1 << 30;
    let hub = Hub::start().await;
    let owner = hub.owner().await;
    let agent = Agent::online(&hub, &owner).await;
    let before = hub.process().rss_bytes();
    let job = owner.exec(agent.server_id(), &format!("yes {} | head -c {GIB}", "x".repeat(99))).await;
    let id = job["id"].as_str().unwrap();
    let end = owner.job_end(id, LONG).await;
    assert_eq!(end["state"], "succeeded", "{end}");

    let request = owner.request(Method::GET, &format!("/v1/jobs/{id}/log")).header(ACCEPT, "text/plain");
    let mut response = request.timeout(LONG).send().await.unwrap();
    let (mut written, mut dropped, mut length) = (0_u64, 0_u64, 0_u64);
    // The line that says so, as far as it has come.
    let mut note = None::<String>;
    while let Some(chunk) = response.chunk().await.unwrap() {
        length += chunk.len() as u64;
        for byte in chunk {
            match (&mut note, byte) {
                (Some(text), b'\n') => {
                    let number = text.split_whitespace().next().and_then(|number| number.parse::<u64>().ok());
                    dropped += number.unwrap_or_else(|| panic!("{text}"));
                    note = None;
                }
                (Some(text), byte) => text.push(char::from(byte)),
                (None, b'x' | b'\n') => written += 1,
                (None, b'[') => note = Some(String::new()),
                (None, other) => panic!("the job never wrote {other}"),
            }
        }
    }
    assert_eq!(written + dropped, GIB, "{written} there, {dropped} dropped");
    assert_eq!((&end["log"]["bytes"], &end["log"]["truncated"]), (&length.into(), &(dropped > 0).into()));
    let grown = hub.process().rss_bytes().saturating_sub(before);
    assert!(grown < 96 << 20, "the hub grew by {} MiB", grown >> 20);
    let agent_size = agent.process().rss_bytes();
    assert!(agent_size < 48 << 20, "the agent (development build) holds {} MiB", agent_size >> 20);
}

#[tokio::test]
async fn bytes_that_are_no_text_survive() {
    let hub = Hub::start().await;
    let owner = hub.owner().await;
    let agent = Agent::online(&hub, &owner).await;
    let job = owner.exec(agent.server_id(), "printf 'a\\377\\000\\303b\\n'; printf '\\303'; printf '\\244\\n'").await;
    let id = job["id"].as_str().unwrap();
    assert_eq!(owner.job_end(id, LONG).await["state"], "succeeded");
    let request = owner.request(Method::GET, &format!("/v1/jobs/{id}/log")).header(ACCEPT, "text/plain");
    let bytes = request.send().await.unwrap().bytes().await.unwrap();
    assert_eq!(bytes.as_ref(), b"a\xff\0\xc3b\n\xc3\xa4\n");
}
