//! The chain: every record is hashed together with the hash before it, and the last hash is signed and kept outside the
//! database, so that a record cannot be changed or removed unnoticed.

use std::path::{Path, PathBuf};

use protocol::Signed;
use serde::{Deserialize, Serialize};

use super::{checkpoint, store};
use crate::clock::Timestamp;
use crate::data_dir;
use crate::error::{Error, Result};
use crate::hub::Hub;
use crate::keys::Keys;

/// Under this prefix heads are signed.
pub(super) const SIGNATURE_PREFIX: &str = "roadstead-audit-head-v1\0";
/// Records that one transaction chains.
const BATCH: i64 = 500;
const MAX_FILE_BYTES: u64 = 4096;

/// The end of the chain.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(super) struct Head {
    /// How many records there are.
    pub(super) position: i64,
    /// Hash of the last.
    pub(super) hash: String,
}

impl Head {
    /// Before the first record.
    pub(super) fn start() -> Self {
        Self { position: 0, hash: "0".repeat(64) }
    }
}

/// The signed head in the data directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct HeadFile {
    pub(super) position: i64,
    pub(super) hash: String,
    pub(super) at: Timestamp,
}

/// Chains every record that is not yet in the chain, then signs the head. May run twice, and on several hubs at once.
pub(super) async fn extend(hub: &Hub) -> Result<()> {
    let mut newest = None;
    loop {
        let mut tx = hub.db.write().await?;
        let mut head = store::lock_head(&mut tx.conn()).await?;
        let entries = store::unchained(&mut tx.conn(), BATCH).await?;
        let more = i64::try_from(entries.len()).map_or(true, |count| count == BATCH);
        if entries.is_empty() {
            newest.get_or_insert(head);
            break;
        }
        for entry in entries {
            let position = head.position + 1;
            let hash = entry.link(&head.hash, position).map_err(Error::internal)?;
            let prev_hash = std::mem::replace(&mut head.hash, hash.clone());
            head.position = position;
            store::set_link(&mut tx.conn(), entry.id, position, prev_hash, hash).await?;
        }
        store::set_head(&mut tx.conn(), &head).await?;
        tx.commit().await?;
        newest = Some(head);
        if !more {
            break;
        }
    }
    match newest {
        Some(head) if head.position > 0 => keep(hub, head).await,
        _ => Ok(()),
    }
}

/// Signs the head and writes it outside the database, unless it is there already.
///
/// A head that is there must be part of what this one ends: else records were removed or rewritten since, and the old
/// head is the evidence. It stays then, and every verification fails on it, until somebody takes it away.
async fn keep(hub: &Hub, head: Head) -> Result<()> {
    let _alone = hub.audit.keeping.lock().await;
    let path = path(&hub.config.data_dir);
    let kept = read_kept(hub).await?.map_err(Error::internal)?;
    if let Some(kept) = kept {
        if kept.position >= head.position {
            return Ok(());
        }
        if !is_in_chain(hub, &kept).await? {
            tracing::error!(
                position = kept.position,
                "the audit log does not hold the record that {} was signed for: records were removed or rewritten, or \
                 the database is an older copy; roadstead audit verify says more",
                path.display()
            );
            return Ok(());
        }
    }
    let file = HeadFile { position: head.position, hash: head.hash, at: hub.now() };
    let signed = hub.keys.sign(SIGNATURE_PREFIX, serde_json::to_string(&file).map_err(Error::internal)?);
    let content = serde_json::to_vec_pretty(&signed).map_err(Error::internal)?;
    let write = move || data_dir::write_private(&path, &content);
    let written = tokio::task::spawn_blocking(write).await.map_err(Error::internal)?;
    written.map_err(|error| Error::internal(error.into_boxed_dyn_error()))
}

async fn is_in_chain(hub: &Hub, kept: &HeadFile) -> Result<bool> {
    let mut database = hub.db.read().await?;
    if let Some(hash) = store::hash_at(&mut database.conn(), kept.position).await? {
        return Ok(hash == kept.hash);
    }
    // Removed because it was old; the checkpoint is signed.
    let begin = checkpoint::read(&mut database.conn(), &hub.keys).await?;
    Ok(begin.is_ok_and(|begin| kept.position == 0 || begin.position >= kept.position))
}

/// The head that this hub keeps.
pub(super) async fn read_kept(hub: &Hub) -> Result<Result<Option<HeadFile>, HeadFileError>> {
    let (path, keys) = (path(&hub.config.data_dir), hub.keys.clone());
    tokio::task::spawn_blocking(move || read(&path, &keys)).await.map_err(Error::internal)
}

pub(super) fn path(data_dir: &Path) -> PathBuf {
    data_dir.join("audit-head.json")
}

/// The kept head, `None` when there is none.
pub(super) fn read(path: &Path, keys: &Keys) -> Result<Option<HeadFile>, HeadFileError> {
    let problem = || HeadFileError(path.to_owned());
    let content = data_dir::read(path, MAX_FILE_BYTES).map_err(|_| problem())?;
    let Some(content) = content else { return Ok(None) };
    let signed: Signed = serde_json::from_slice(&content).map_err(|_| problem())?;
    if !keys.has_signed(SIGNATURE_PREFIX, &signed) {
        return Err(problem());
    }
    serde_json::from_str(&signed.body).map(Some).map_err(|_| problem())
}

/// A head that cannot be read, or that this hub did not sign.
#[derive(Debug, thiserror::Error)]
#[error("{} is damaged or was not signed by this hub", .0.display())]
pub(super) struct HeadFileError(PathBuf);
