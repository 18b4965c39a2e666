//! History as a reconciler: minutes that are over go into the journal, hours that are over into blocks, and what is too
//! old goes.
//!
//! Killed at any point, the hub loses the minute that is not over yet and what ended within the last run, no more: a
//! journal entry is deleted only after the blocks that hold it are durable, and packing the same minutes twice gives the
//! same blocks. A disk that is full makes a run fail; the minutes stay in memory and the next run tries again.

use std::time::Duration;

use protocol::ServerId;

use super::ring::{Closed, Minute, SPARK_MINUTES, minute_of};
use super::series::EMPTY;
use super::state::Writer;
use super::tier::{self, Tier};
use super::{block, journal, store};
use crate::background;
use crate::db::Tx;
use crate::error::{Error, Result};
use crate::hub::{App, Hub};
use crate::servers;

const EVERY: Duration = Duration::from_secs(10);
/// Servers whose blocks are written in one transaction.
const BATCH: usize = 20;
/// A minute may be in the journal this long before its hour is packed: agents are a little late.
const GRACE_MINUTES: i64 = 1;

/// Starts the task.
pub fn start(app: &App) {
    background::spawn(app, "history", EVERY, app.metrics.wake.clone(), |hub| async move { write(&hub).await });
    let hub = App::clone(app);
    app.tasks.spawn(async move {
        hub.tasks.stopping().await;
        if let Err(error) = finish(&hub).await {
            tracing::error!(error = %error.chain(), "the last minute of samples is lost: {error}");
        }
    });
}

/// Writes down what is over.
///
/// # Errors
/// When history cannot be written; nothing is lost, the next run does it.
pub async fn write(hub: &Hub) -> Result<()> {
    let mut writer = hub.metrics.writer.lock().await;
    restore(hub, &mut writer).await?;
    let now = minute_of(hub.now());
    close_minutes(hub, now);
    write_journal(hub).await?;
    pack(hub, &mut writer, now).await?;
    retain(hub, &mut writer).await
}

/// Writes down what there is, the current minute too: the hub stops.
async fn finish(hub: &Hub) -> Result<()> {
    let _writer = hub.metrics.writer.lock().await;
    close_minutes(hub, Minute::MAX);
    write_journal(hub).await
}

/// Reads the journal back, once.
async fn restore(hub: &Hub, writer: &mut Writer) -> Result<()> {
    if writer.restored {
        return Ok(());
    }
    let mut entries = 0_usize;
    let mut damaged = 0_usize;
    let mut session = hub.history.read().await?;
    store::read_journal(&mut session.conn(), |minute, data| {
        entries += 1;
        match journal::decode(&data) {
            Ok(rows) => {
                let mut rings = hub.metrics.rings();
                for (server, row) in rows {
                    rings.entry(server).or_default().insert((minute, row));
                }
            }
            Err(_) => damaged += 1,
        }
    })
    .await?;
    tracing::info!(entries, damaged, "samples restored");
    writer.restored = true;
    Ok(())
}

fn close_minutes(hub: &Hub, now: Minute) {
    let mut closed = Vec::new();
    for (server, ring) in hub.metrics.rings().iter_mut() {
        closed.extend(ring.close_before(now).map(|minute| (*server, minute)));
    }
    for (server, minute) in closed {
        hub.metrics.push(server, minute);
    }
}

async fn write_journal(hub: &Hub) -> Result<()> {
    while let Some((minute, rows)) = hub.metrics.take_unwritten(journal::MAX_SERVERS) {
        let data = journal::encode(&rows).map_err(Error::internal)?;
        if let Err(error) = append(hub, minute, data).await {
            hub.metrics.put_back(minute, rows);
            return Err(error);
        }
    }
    Ok(())
}

async fn append(hub: &Hub, minute: Minute, data: Vec<u8>) -> Result<()> {
    let mut tx = hub.history.write().await?;
    store::add_to_journal(&mut tx.conn(), minute, hub.ids.uuid().to_string(), data).await?;
    Ok(tx.commit().await?)
}

/// Packs the hours that are over.
async fn pack(hub: &Hub, writer: &mut Writer, now: Minute) -> Result<()> {
    let until = (now - GRACE_MINUTES).div_euclid(60) * 60;
    let waiting: Vec<ServerId> = {
        let rings = hub.metrics.rings();
        let waits = rings.iter().filter(|(_, ring)| ring.unpacked(until).next().is_some());
        waits.map(|(server, _)| *server).collect()
    };
    for batch in waiting.chunks(BATCH) {
        let mut tx = hub.history.write().await?;
        for server in batch {
            let minutes: Vec<Closed> = match hub.metrics.rings().get(server) {
                Some(ring) => ring.unpacked(until).copied().collect(),
                None => continue,
            };
            pack_minutes(&mut tx, *server, &minutes).await?;
        }
        tx.commit().await?;
        let mut rings = hub.metrics.rings();
        for server in batch {
            if let Some(ring) = rings.get_mut(server) {
                ring.packed(until);
            }
        }
    }
    hub.metrics.rings().retain(|_, ring| {
        ring.forget_packed_before(now - SPARK_MINUTES);
        !ring.is_empty()
    });
    if writer.trimmed_to < until {
        let mut tx = hub.history.write().await?;
        store::trim_journal(&mut tx.conn(), until).await?;
        tx.commit().await?;
        writer.trimmed_to = until;
    }
    Ok(())
}

/// Puts minutes into the blocks of every tier.
async fn pack_minutes(tx: &mut Tx, server: ServerId, minutes: &[Closed]) -> Result<()> {
    for tier in Tier::ALL {
        for (start, points) in tier::points(tier, minutes) {
            let stored = store::blocks(&mut tx.conn(), server, tier.step_s(), start, start + 1).await?;
            let mut rows = match stored.first().map(|block| block::decode(&block.data)) {
                Some(Ok(rows)) => rows,
                Some(Err(error)) => {
                    tracing::error!(server.id = %server, start, %error, "a block of samples is replaced");
                    Vec::new()
                }
                None => Vec::new(),
            };
            rows.resize(tier.points(), EMPTY);
            for (index, row) in points {
                if let Some(slot) = rows.get_mut(index) {
                    *slot = row;
                }
            }
            let data = block::encode(&rows).map_err(Error::internal)?;
            store::put_block(&mut tx.conn(), server, tier.step_s(), start, data).await?;
        }
    }
    Ok(())
}

/// Deletes what is too old, and what belongs to servers that are not there any more; once an hour.
async fn retain(hub: &Hub, writer: &mut Writer) -> Result<()> {
    let now_s = hub.now().as_s();
    let hour = now_s.div_euclid(3600);
    if writer.retained_hour == hour {
        return Ok(());
    }
    let mut after = String::new();
    loop {
        let next = {
            let mut session = hub.history.read().await?;
            store::next_server(&mut session.conn(), &after).await?
        };
        let Some(next) = next else { break };
        if let Ok(server) = next.parse::<ServerId>() {
            retain_server(hub, server, now_s).await?;
        }
        after = next;
    }
    writer.retained_hour = hour;
    Ok(())
}

async fn retain_server(hub: &Hub, server: ServerId, now_s: i64) -> Result<()> {
    let exists = servers::exists(hub, server).await?;
    let mut tx = hub.history.write().await?;
    if exists {
        for tier in Tier::ALL {
            // A block goes when its last point is too old.
            let before = now_s - tier.kept_s(&hub.config.retention) - tier.span_s();
            store::trim_blocks(&mut tx.conn(), server, tier.step_s(), before).await?;
        }
    } else {
        store::delete_blocks(&mut tx.conn(), server).await?;
    }
    Ok(tx.commit().await?)
}
