//! Tries what is due: a bounded number at once and of each destination, so that one that hangs holds up no other.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;
use tracing::Instrument as _;

use super::model::{Attempt, Channel, DeliveryState, Due, Tried, Verdict};
use super::store::{self, Settled};
use crate::background::{self, Wake};
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::hub::{App, Hub};
use crate::random::Random;
use crate::{mail, webhooks};

const EVERY: Duration = Duration::from_secs(2);
const SWEEP_EVERY: Duration = Duration::from_hours(1);
/// Attempts at once, of all destinations.
const AT_ONCE: usize = 256;
/// Attempts at once of one destination.
const PER_DESTINATION: usize = 2;
/// Rows that are read at once.
const READ: i64 = 64;
/// Longer than any attempt may take: afterwards somebody else may try.
const LEASE: Duration = Duration::from_secs(45);
const MAX_ATTEMPTS: i64 = 12;
/// For so long a delivery is tried.
const PATIENCE: Duration = Duration::from_hours(24);
const FIRST_WAIT_S: f64 = 10.0;
const LAST_WAIT_S: f64 = 6.0 * 3600.0;
/// How long what has ended can be looked at.
const KEEP: Duration = Duration::from_hours(30 * 24);

/// Destinations that are being tried, and how often at once.
#[derive(Debug, Default)]
pub struct State {
    /// Something was put into the queue.
    pub(crate) wake: Wake,
    busy: Arc<Mutex<HashMap<String, usize>>>,
}

/// Held while a destination is tried.
#[derive(Debug)]
struct Slot {
    busy: Arc<Mutex<HashMap<String, usize>>>,
    destination: String,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = busy.get_mut(&self.destination) {
            *count -= 1;
            if *count == 0 {
                busy.remove(&self.destination);
            }
        }
    }
}

impl State {
    /// A place for one more attempt at a destination; none when it, or everything, is busy.
    fn slot(&self, destination: &str) -> Option<Slot> {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        if busy.values().sum::<usize>() >= AT_ONCE {
            return None;
        }
        let count = busy.entry(destination.to_owned()).or_default();
        if *count >= PER_DESTINATION {
            return None;
        }
        *count += 1;
        Some(Slot { busy: Arc::clone(&self.busy), destination: destination.to_owned() })
    }

    /// Destinations without a place, and whether there is one anywhere.
    fn full(&self) -> (Vec<String>, bool) {
        let busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        let full = busy.iter().filter(|(_, count)| **count >= PER_DESTINATION);
        // Never empty: nothing is "not in" an empty list.
        let full = full.map(|(destination, _)| destination.clone()).chain([String::new()]).collect();
        (full, busy.values().sum::<usize>() < AT_ONCE)
    }
}

/// Starts the tasks.
pub fn start(app: &App) {
    let wake = app.deliveries.wake.clone();
    background::spawn(app, "deliveries", EVERY, wake, |app| async move { reconcile(&app).await.map(drop) });
    background::spawn(app, "deliveries.sweep", SWEEP_EVERY, Wake::default(), |app| async move { sweep(&app).await });
}

/// Starts an attempt at everything that is due and has a place; the attempts.
///
/// # Errors
/// When the database cannot be used; nothing is lost, the next run does it.
pub async fn reconcile(app: &App) -> Result<Vec<JoinHandle<()>>> {
    let mut attempts = Vec::new();
    loop {
        let (full, is_room) = app.deliveries.full();
        if !is_room || app.tasks.is_stopping() {
            return Ok(attempts);
        }
        let now = app.now();
        let due = {
            let mut session = app.db.read().await?;
            store::due(&mut session.conn(), now, full, READ).await?
        };
        let mut started = false;
        for due in due {
            let Some(slot) = app.deliveries.slot(&due.destination) else { continue };
            let mut tx = app.db.write().await?;
            let is_ours = store::lease(&mut tx.conn(), due.id, now, now.plus(LEASE)).await?;
            tx.commit().await?;
            if is_ours {
                started = true;
                attempts.push(spawn_attempt(app, due, slot));
            }
        }
        if !started {
            return Ok(attempts);
        }
    }
}

fn spawn_attempt(app: &App, due: Due, slot: Slot) -> JoinHandle<()> {
    let hub = Arc::clone(app);
    let span = tracing::info_span!("delivery", delivery.id = %due.id, delivery.event = due.event);
    let work = async move {
        let tried = tokio::select! {
            done = attempt(&hub, &due) => done,
            // Whether it arrived is unknown: it is sent again under the same id.
            () = hub.tasks.stopping() => release(&hub, &due).await,
        };
        if let Err(error) = tried {
            tracing::error!(error = %error.chain(), "an attempt could not be written down: {error}");
        }
        drop(slot);
        hub.deliveries.wake.wake();
    };
    app.tasks.spawn(work.instrument(span))
}

async fn release(hub: &Hub, due: &Due) -> Result<()> {
    let mut tx = hub.db.write().await?;
    store::release(&mut tx.conn(), due.id).await?;
    Ok(tx.commit().await?)
}

async fn attempt(hub: &Hub, due: &Due) -> Result<()> {
    let (at, started) = (hub.now(), Instant::now());
    let tried = match due.channel {
        Channel::Webhook => webhooks::send(hub, due).await?,
        Channel::Mail => mail::send(hub, due).await,
    };
    let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    write_down(hub, due, at, tried, duration_ms).await
}

async fn write_down(hub: &Hub, due: &Due, at: Timestamp, tried: Tried, duration_ms: u64) -> Result<()> {
    let Tried { verdict, status, error, excerpt } = tried;
    let mut attempts_made = due.attempts_made.0.clone();
    attempts_made.push(Attempt { at, status, error, duration_ms, response_excerpt: excerpt });
    let surplus = attempts_made.len().saturating_sub(usize::try_from(MAX_ATTEMPTS).unwrap_or(usize::MAX));
    attempts_made.drain(..surplus);
    let attempts = due.attempts + 1;
    let now = hub.now();
    let next = match verdict {
        Verdict::Again { after_s } => next_attempt(hub.random.as_ref(), due, attempts, now, after_s),
        Verdict::Done | Verdict::Never => None,
    };
    let state = match (verdict, next) {
        (Verdict::Done, _) => DeliveryState::Delivered,
        (_, Some(_)) => DeliveryState::Waiting,
        (_, None) => DeliveryState::Failed,
    };
    match state {
        DeliveryState::Delivered => tracing::debug!(attempts, duration_ms, "delivered"),
        DeliveryState::Waiting => tracing::info!(attempts, duration_ms, status, "not delivered, will be tried again"),
        DeliveryState::Failed => tracing::warn!(attempts, duration_ms, status, "not delivered, given up"),
    }
    let mut unit = hub.begin().await?;
    let settled = Settled {
        state,
        attempts,
        attempts_made,
        next_attempt_at: next,
        finished_at: (state != DeliveryState::Waiting).then_some(now),
        // A letter may hold a secret, and nobody sends one twice that has arrived.
        forget_payload: due.channel == Channel::Mail && state == DeliveryState::Delivered,
    };
    if store::settle(&mut unit.conn(), due, settled).await?
        && let Some(webhook) = due.webhook_id.as_deref()
    {
        let webhook = webhook.parse().map_err(|_| Error::internal("a webhook's id cannot be read"))?;
        webhooks::note(hub, &mut unit, webhook, verdict, status).await?;
    }
    unit.commit().await
}

/// When to try again: 10 seconds, then ever longer up to 6 hours, spread a little, and not before the other side wishes.
/// `None` after twelve attempts or a day.
fn next_attempt(random: &dyn Random, due: &Due, attempts: i64, now: Timestamp, after_s: u64) -> Option<Timestamp> {
    if attempts >= MAX_ATTEMPTS {
        return None;
    }
    let exponent = i32::try_from(attempts - 1).unwrap_or(i32::MAX);
    let wait = (FIRST_WAIT_S * 2.5_f64.powi(exponent)).min(LAST_WAIT_S);
    // From 0.8 to 1.2: what failed together must not come back together.
    let [byte] = random.bytes::<1>();
    let wait = Duration::from_secs_f64(wait * (0.8 + 0.4 * f64::from(byte) / 255.0));
    let wished = Duration::from_secs_f64(LAST_WAIT_S).min(Duration::from_secs(after_s));
    let next = now.plus(wait.max(wished));
    (next.since(due.waiting_since) < PATIENCE).then_some(next)
}

/// Forgets what ended long ago.
///
/// # Errors
/// When the database cannot be written.
pub async fn sweep(hub: &Hub) -> Result<()> {
    let mut tx = hub.db.write().await?;
    let deleted = store::delete_finished(&mut tx.conn(), hub.now().minus(KEEP)).await?;
    tx.commit().await?;
    if deleted > 0 {
        tracing::debug!(deleted, "old deliveries were deleted");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::JsonText;
    use crate::ids::DeliveryId;
    use crate::random::SeededRandom;

    fn due(waiting_since: Timestamp) -> Due {
        Due {
            id: DeliveryId::new(uuid::Uuid::nil()),
            channel: Channel::Webhook,
            destination: String::new(),
            webhook_id: None,
            event: String::new(),
            payload: None,
            attempts: 0,
            attempts_made: JsonText(Vec::new()),
            waiting_since,
        }
    }

    #[test]
    fn waits_grow_to_six_hours_and_end_within_a_day() {
        for seed in 0..50 {
            let random = SeededRandom::new(seed);
            let mut now = Timestamp::from_ms(0);
            let due = due(now);
            let mut waits = Vec::new();
            for attempts in 1.. {
                let Some(next) = next_attempt(&random, &due, attempts, now, 0) else { break };
                waits.push(next.since(now).as_secs());
                now = next;
            }
            assert!((8..=12).contains(&waits[0]), "{waits:?}");
            assert!(waits.len() >= 9 && waits.len() < 12 && now.as_s() < 24 * 3600, "{waits:?}");
            assert!(waits.iter().all(|wait| *wait <= 6 * 3600 * 12 / 10), "{waits:?}");
        }
    }

    #[test]
    fn the_other_side_may_ask_for_time_but_not_for_days() {
        let random = SeededRandom::new(1);
        let now = Timestamp::from_ms(0);
        assert_eq!(next_attempt(&random, &due(now), 1, now, 600).unwrap().as_s(), 600);
        assert_eq!(next_attempt(&random, &due(now), 1, now, u64::MAX).unwrap().as_s(), 6 * 3600);
    }

    #[test]
    fn a_destination_has_two_places_and_gives_them_back() {
        let state = State::default();
        let (first, second) = (state.slot("a").unwrap(), state.slot("a").unwrap());
        assert!(state.slot("a").is_none() && state.slot("b").is_some());
        assert_eq!(state.full().0, ["a", ""]);
        drop((first, second));
        assert!(state.slot("a").is_some());
        let _all: Vec<_> = (0..AT_ONCE).map(|n| state.slot(&n.to_string()).unwrap()).collect();
        assert!(state.slot("one more").is_none() && !state.full().1);
    }
}
