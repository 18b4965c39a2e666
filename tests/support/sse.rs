//! Reads `text/event-stream` (WHATWG HTML, section 9.2) as a browser would.

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use serde_json::Value;

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub struct SseEvent {
    /// `event:`, `message` when absent.
    pub kind: String,
    /// `id:`.
    pub id: Option<String>,
    /// `data:` as JSON.
    pub data: Value,
}

/// An open stream.
pub struct EventStream {
    bytes: BoxStream<'static, reqwest::Result<Vec<u8>>>,
    buffer: Vec<u8>,
}

impl std::fmt::Debug for EventStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventStream").field("buffered", &self.buffer.len()).finish_non_exhaustive()
    }
}

impl EventStream {
    pub(crate) fn new(response: reqwest::Response) -> Self {
        let bytes = response.bytes_stream().map(|chunk| chunk.map(|bytes| bytes.to_vec())).boxed();
        Self { bytes, buffer: Vec::new() }
    }

    /// The next event, `None` when the stream has ended or broken off.
    ///
    /// # Panics
    /// When none comes within `limit`.
    pub async fn next(&mut self, limit: Duration) -> Option<SseEvent> {
        let next = async {
            loop {
                while let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\n\n") {
                    let block: Vec<u8> = self.buffer.drain(..end + 2).collect();
                    if let Some(event) = parse(&String::from_utf8(block).expect("UTF-8")) {
                        return Some(event);
                    }
                }
                match self.bytes.next().await {
                    Some(Ok(bytes)) => self.buffer.extend_from_slice(&bytes),
                    Some(Err(_)) | None => return None,
                }
            }
        };
        tokio::time::timeout(limit, next).await.unwrap_or_else(|_| panic!("no event within {limit:?}"))
    }

    /// Skips events until one satisfies `wanted`.
    ///
    /// # Panics
    /// When the stream ends before, or nothing comes for `limit`.
    pub async fn find(&mut self, limit: Duration, wanted: impl Fn(&SseEvent) -> bool) -> SseEvent {
        loop {
            let event = self.next(limit).await.expect("the stream ended before the event came");
            if wanted(&event) {
                return event;
            }
        }
    }
}

fn parse(block: &str) -> Option<SseEvent> {
    let mut kind = "message".to_owned();
    let mut id = None;
    let mut data = Vec::new();
    for line in block.lines() {
        match line.split_once(':').map(|(field, value)| (field, value.strip_prefix(' ').unwrap_or(value))) {
            Some(("event", value)) => kind = value.to_owned(),
            Some(("id", value)) => id = Some(value.to_owned()),
            Some(("data", value)) => data.push(value),
            _ => {}
        }
    }
    if data.is_empty() {
        return None;
    }
    let data = serde_json::from_str(&data.join("\n")).expect("JSON in data");
    Some(SseEvent { kind, id, data })
}
