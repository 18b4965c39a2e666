//! Minutes that are over, of many servers at once, as they are written down before they are in a block.
//!
//! Format 1: `1`, number of series (u8), then a zstd frame with one entry per server: 16 bytes of its id and each value
//! as f32 LE.

use protocol::ServerId;
use uuid::Uuid;

use super::block::BlockError;
use super::series::{EMPTY, Row, Series};

const FORMAT: u8 = 1;
const HEADER: usize = 2;
const ID: usize = 16;
const VALUE: usize = 4;
const ZSTD_LEVEL: i32 = 1;
/// Most servers in one entry of the journal.
pub(super) const MAX_SERVERS: usize = 512;

/// Packs one minute of up to [`MAX_SERVERS`] servers.
pub(super) fn encode(rows: &[(ServerId, Row)]) -> Result<Vec<u8>, BlockError> {
    let mut entries = Vec::with_capacity(rows.len() * (ID + Series::COUNT * VALUE));
    for (server, row) in rows {
        entries.extend_from_slice(server.uuid().as_bytes());
        entries.extend(row.iter().flat_map(|value| value.to_le_bytes()));
    }
    let packed = zstd::bulk::compress(&entries, ZSTD_LEVEL).map_err(|error| BlockError::Zstd(error.to_string()))?;
    let count = u8::try_from(Series::COUNT).map_err(|_| BlockError::Damaged)?;
    Ok([[FORMAT, count].as_slice(), &packed].concat())
}

/// Unpacks one minute.
pub(super) fn decode(bytes: &[u8]) -> Result<Vec<(ServerId, Row)>, BlockError> {
    let (header, packed) = bytes.split_first_chunk::<HEADER>().ok_or(BlockError::Damaged)?;
    let [format, series] = *header;
    if format != FORMAT {
        return Err(BlockError::UnknownFormat(format));
    }
    let entry = ID + usize::from(series) * VALUE;
    let entries = zstd::bulk::decompress(packed, MAX_SERVERS * entry);
    let entries = entries.map_err(|error| BlockError::Zstd(error.to_string()))?;
    let chunks = entries.chunks_exact(entry);
    if !chunks.remainder().is_empty() {
        return Err(BlockError::Damaged);
    }
    chunks.map(|entry| decode_entry(entry).ok_or(BlockError::Damaged)).collect()
}

fn decode_entry(entry: &[u8]) -> Option<(ServerId, Row)> {
    let (id, values) = entry.split_first_chunk::<ID>()?;
    let mut row = EMPTY;
    for (slot, bytes) in row.iter_mut().zip(values.as_chunks::<VALUE>().0) {
        *slot = f32::from_le_bytes(*bytes);
    }
    Some((ServerId::new(Uuid::from_bytes(*id)), row))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn minutes_round_trip(ids in prop::collection::vec(any::<u128>(), 0..MAX_SERVERS), value in -1e9_f32..1e9) {
            let rows: Vec<_> =
                ids.into_iter().map(|id| (ServerId::new(Uuid::from_u128(id)), [value; Series::COUNT])).collect();
            prop_assert_eq!(decode(&encode(&rows).unwrap()).unwrap(), rows);
        }

        #[test]
        fn rubbish_is_refused_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode(&bytes);
        }
    }
}
