//! Event streams that resume: ids, a retry hint, a comment every 15 seconds, an end when the hub stops.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt::Display;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::sse::{self, KeepAlive};
use axum::response::{IntoResponse as _, Response};
use futures_util::{Stream, StreamExt as _, stream};
use serde::Serialize;
use tokio::sync::watch;

use crate::access::Actor;
use crate::auth;
use crate::error::{Error, ErrorCode, Result};
use crate::hub::App;

const KEEP_ALIVE: Duration = Duration::from_secs(15);
const RETRY: Duration = Duration::from_secs(2);
/// A session that ends elsewhere, or by itself, ends its streams after this long at most.
const RECHECK: Duration = Duration::from_mins(1);
/// Streams that one caller may hold open: a browser needs one and one for every log it follows.
const MAX_PER_CALLER: usize = 64;
const MAX_LAST_EVENT_ID: usize = 64;

/// One event of a stream.
#[derive(Debug, Clone)]
pub struct Event(sse::Event);

impl Event {
    /// An event of a kind such as `job.state`, with `data` as JSON; only printable characters of the kind are kept.
    ///
    /// # Errors
    /// When `data` cannot be written as JSON.
    pub fn new(kind: &str, data: &impl Serialize) -> Result<Self> {
        let json = serde_json::to_string(data).map_err(Error::internal)?;
        Ok(Self(sse::Event::default().event(printable(kind)).data(json)))
    }

    /// Adds the id that the client sends back as `Last-Event-ID`; only printable characters of it are kept.
    #[must_use]
    pub fn with_id(self, id: impl Display) -> Self {
        Self(self.0.id(printable(id)))
    }
}

/// A line break in a field would end it.
fn printable(text: impl Display) -> String {
    text.to_string().chars().filter(char::is_ascii_graphic).collect()
}

/// Open streams per caller.
#[derive(Debug, Clone, Default)]
pub(crate) struct Streams {
    open: Arc<Mutex<HashMap<String, usize>>>,
    /// Tells every stream to look whether its session is still good.
    recheck: Arc<watch::Sender<()>>,
}

/// One open stream; dropping it gives the place back.
#[derive(Debug)]
struct Place {
    streams: Streams,
    caller: String,
}

impl Streams {
    fn take(&self, caller: String) -> Result<Place> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(caller.clone()).or_default();
        if *count >= MAX_PER_CALLER {
            let message = format!("you have {MAX_PER_CALLER} event streams open; close one first");
            return Err(Error::new(ErrorCode::RateLimited, message).retry_after(5));
        }
        *count += 1;
        Ok(Place { streams: self.clone(), caller })
    }

    /// Streams that are open now.
    pub(crate) fn open(&self) -> usize {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).values().sum()
    }

    pub(crate) fn recheck(&self) {
        self.recheck.send_replace(());
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.streams.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.caller) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.caller);
            }
        }
    }
}

/// Answers with a stream. It ends when `events` ends, the client leaves, the session ends or the hub stops.
///
/// # Errors
/// 429 when the caller has too many streams open.
pub fn respond(hub: &App, actor: &Actor, events: impl Stream<Item = Event> + Send + 'static) -> Result<Response> {
    let place = hub.http.streams.take(format!("{}:{}", actor.kind(), actor.id()))?;
    let over = over(App::clone(hub), actor.clone());
    let first = stream::once(async { sse::Event::default().retry(RETRY) });
    let events = first.chain(events.map(|event| event.0)).take_until(over).map(move |event| {
        // The place lives as long as the stream that this closure belongs to.
        let _ = &place;
        Ok::<_, Infallible>(event)
    });
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE);
    let mut response = sse::Sse::new(events).keep_alive(keep_alive).into_response();
    // Reverse proxies that buffer would hold events back.
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// Resolves when the hub stops or the actor's session is over.
async fn over(hub: App, actor: Actor) {
    let mut recheck = hub.http.streams.recheck.subscribe();
    loop {
        tokio::select! {
            () = hub.tasks.stopping() => return,
            // The sender lives as long as the hub.
            _ = recheck.changed() => {}
            () = tokio::time::sleep(RECHECK) => {}
        }
        // A database that is away for a moment ends no stream.
        if matches!(auth::is_still_good(&hub, &actor).await, Ok(false)) {
            return;
        }
    }
}

/// The id that a client which lost its connection goes on from.
#[must_use]
pub fn last_event_id(headers: &HeaderMap) -> Option<&str> {
    let id = headers.get("last-event-id")?.to_str().ok()?.trim();
    (!id.is_empty() && id.len() <= MAX_LAST_EVENT_ID).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_come_back() {
        let streams = Streams::default();
        let places: Vec<_> = (0..MAX_PER_CALLER).map(|_| streams.take("user:a".to_owned()).unwrap()).collect();
        assert_eq!(streams.take("user:a".to_owned()).unwrap_err().code(), ErrorCode::RateLimited);
        assert!(streams.take("user:b".to_owned()).is_ok());
        drop(places);
        assert_eq!(streams.open(), 0);
    }
}
