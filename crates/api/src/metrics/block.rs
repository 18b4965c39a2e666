//! Packed samples: one server, all series, evenly spaced points.
//!
//! Format 1: `1`, number of series (u8), number of points (u16 LE), then a zstd frame with one run per series: for each
//! point a varint, 0 for a gap, else one more than the zigzag difference from the last known code. Codes are what
//! [`Precision`] makes of a value. Metrics barely move, so most differences take one byte, and zstd halves those.

use super::series::{EMPTY, Precision, Row, Series};

const FORMAT: u8 = 1;
const HEADER: usize = 4;
/// Most points of one block.
pub(super) const MAX_POINTS: usize = 1024;
/// A varint of 64 bits.
const MAX_VARINT: usize = 10;
const ZSTD_LEVEL: i32 = 6;
/// Beyond this nothing is measured, and codes stay far from the ends of their type.
const MAX_VALUE: f64 = 1e16;

/// Why a block cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum BlockError {
    /// It ends too early, or holds what no block holds.
    #[error("damaged block of samples")]
    Damaged,
    /// Written by a newer hub.
    #[error("block of samples in the unknown format {0}")]
    UnknownFormat(u8),
    /// zstd failed.
    #[error("block of samples cannot be packed or unpacked: {0}")]
    Zstd(String),
}

/// Packs rows, at most [`MAX_POINTS`].
pub(super) fn encode(rows: &[Row]) -> Result<Vec<u8>, BlockError> {
    let points = u16::try_from(rows.len()).ok().filter(|points| usize::from(*points) <= MAX_POINTS);
    let points = points.ok_or(BlockError::Damaged)?;
    let mut runs = Vec::with_capacity(rows.len() * Series::COUNT + Series::COUNT);
    for (index, series) in Series::ALL.into_iter().enumerate() {
        let mut last = 0;
        for row in rows {
            let value = row.get(index).copied().unwrap_or(f32::NAN);
            match code_of(value, series.precision()) {
                None => runs.push(0),
                Some(code) => {
                    write_varint(&mut runs, zigzag(code.wrapping_sub(last)).saturating_add(1));
                    last = code;
                }
            }
        }
    }
    let packed = zstd::bulk::compress(&runs, ZSTD_LEVEL).map_err(|error| BlockError::Zstd(error.to_string()))?;
    let count = u8::try_from(Series::COUNT).map_err(|_| BlockError::Damaged)?;
    let [low, high] = points.to_le_bytes();
    Ok([[FORMAT, count, low, high].as_slice(), &packed].concat())
}

/// Unpacks a block.
pub(super) fn decode(block: &[u8]) -> Result<Vec<Row>, BlockError> {
    let (header, packed) = block.split_first_chunk::<HEADER>().ok_or(BlockError::Damaged)?;
    let [format, series, low, high] = *header;
    if format != FORMAT {
        return Err(BlockError::UnknownFormat(format));
    }
    let (series, points) = (usize::from(series), usize::from(u16::from_le_bytes([low, high])));
    if points > MAX_POINTS {
        return Err(BlockError::Damaged);
    }
    let capacity = series * points * MAX_VARINT;
    let runs = zstd::bulk::decompress(packed, capacity).map_err(|error| BlockError::Zstd(error.to_string()))?;
    let mut runs = runs.as_slice();
    let mut rows = vec![EMPTY; points];
    for index in 0..series {
        // A block of a newer hub may have series that this one does not know: they are read over.
        let precision = Series::ALL.get(index).map(|series| series.precision());
        let mut last = 0_i64;
        for row in &mut rows {
            let Some(difference) = read_varint(&mut runs)?.checked_sub(1) else { continue };
            last = last.wrapping_add(unzigzag(difference));
            if let (Some(slot), Some(precision)) = (row.get_mut(index), precision) {
                *slot = value_of(last, precision);
            }
        }
    }
    if runs.is_empty() { Ok(rows) } else { Err(BlockError::Damaged) }
}

/// The code of a value; `None` for a gap.
fn code_of(value: f32, precision: Precision) -> Option<i64> {
    if !value.is_finite() || value < 0.0 {
        return None;
    }
    let value = f64::from(value).min(MAX_VALUE);
    #[expect(clippy::cast_possible_truncation, reason = "checked to be small enough, divided by the smallest step too")]
    Some(match precision {
        Precision::Step(step) => (value / f64::from(step)).round() as i64,
        Precision::Bits(bits) => float_code(value.round() as i64, bits),
    })
}

fn value_of(code: i64, precision: Precision) -> f32 {
    let code = code.max(0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "this is what was kept of it")]
    match precision {
        Precision::Step(step) => (code as f64 * f64::from(step)) as f32,
        Precision::Bits(bits) => from_float_code(code, bits) as f32,
    }
}

/// Keeps `bits` significant bits of a number. Codes grow with the number, by one from each kept value to the next.
const fn float_code(number: i64, bits: u32) -> i64 {
    let length = i64::BITS - number.leading_zeros();
    if length <= bits {
        return number;
    }
    let shift = length - bits;
    // Rounded; a carry ends up exactly at the first code of the next size.
    let mantissa = (number >> shift) + (number >> (shift - 1) & 1);
    (shift as i64) * (1 << (bits - 1)) + mantissa
}

const fn from_float_code(code: i64, bits: u32) -> i64 {
    let half = 1_i64 << (bits - 1);
    if code < half * 2 {
        return code;
    }
    let shift = code / half - 1;
    if shift >= 62 {
        return i64::MAX;
    }
    let mantissa = code - shift * half;
    // A foreign code may be larger than any that was written.
    mantissa.saturating_mul(1 << shift)
}

const fn zigzag(number: i64) -> u64 {
    (number << 1 ^ number >> 63).cast_unsigned()
}

const fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -((number & 1).cast_signed())
}

fn write_varint(out: &mut Vec<u8>, mut number: u64) {
    loop {
        let [byte, ..] = (number & 0x7f).to_le_bytes();
        number >>= 7;
        if number == 0 {
            out.push(byte);
            return;
        }
        out.push(byte | 0x80);
    }
}

fn read_varint(bytes: &mut &[u8]) -> Result<u64, BlockError> {
    let mut number = 0_u64;
    for shift in (0..u64::BITS).step_by(7) {
        let (byte, rest) = bytes.split_first().ok_or(BlockError::Damaged)?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(BlockError::Damaged)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::series::set;
    use super::*;

    fn close(stored: f32, value: f32, precision: Precision) -> bool {
        let error = (f64::from(stored) - f64::from(value)).abs();
        match precision {
            Precision::Step(step) => error <= f64::from(step) * 0.51 + f64::from(value) * 1e-6,
            Precision::Bits(bits) => error <= 0.51_f64.max(f64::from(value) / f64::from(1_u32 << (bits - 1))),
        }
    }

    fn check(rows: &[Row]) {
        let decoded = decode(&encode(rows).unwrap()).unwrap();
        assert_eq!(decoded.len(), rows.len());
        for (decoded, row) in decoded.iter().zip(rows) {
            for ((stored, value), series) in decoded.iter().zip(row).zip(Series::ALL) {
                let gap = !value.is_finite() || *value < 0.0;
                assert_eq!(stored.is_nan(), gap, "{series:?} {value}");
                assert!(gap || close(*stored, value.min(1e16), series.precision()), "{series:?} {value} {stored}");
            }
        }
    }

    #[test]
    fn blocks_round_trip() {
        check(&[]);
        check(&[EMPTY; 60]);
        check(&[[0.0; Series::COUNT]; 3]);
        let mut rows = vec![EMPTY; MAX_POINTS];
        for (index, row) in rows.iter_mut().enumerate().filter(|(index, _)| index % 7 != 0) {
            for (series, step) in Series::ALL.into_iter().zip(1_u32..) {
                set(row, series, f64::from(step) * index as f64 * 1234.5);
            }
        }
        check(&rows);
        assert_eq!(encode(&vec![EMPTY; MAX_POINTS + 1]), Err(BlockError::Damaged));
    }

    #[test]
    fn codes_grow_with_numbers() {
        for bits in [2, 8, 11, 24] {
            let around = |exponent: u32| [(1_i64 << exponent) - 1, 1_i64 << exponent, (1_i64 << exponent) + 1];
            let mut numbers: Vec<_> = (0..5000).chain((12..61).flat_map(around)).collect();
            numbers.sort_unstable();
            let codes: Vec<_> = numbers.iter().map(|number| float_code(*number, bits)).collect();
            assert!(codes.is_sorted(), "{bits} bits");
        }
        assert_eq!(from_float_code(float_code(8 << 30, 24), 24), 8 << 30, "sizes are exact");
    }

    #[test]
    fn a_stored_block_stays_readable() {
        // Written by the first release; never to be changed.
        let block = protocol::hex::encode(&encode(&golden()).unwrap());
        assert_eq!(block, include_str!("golden/block-1.hex").trim());
    }

    fn golden() -> Vec<Row> {
        let mut rows = vec![EMPTY; 5];
        for (point, row) in rows.iter_mut().enumerate().filter(|(point, _)| *point != 2) {
            for (index, series) in Series::ALL.into_iter().enumerate() {
                set(row, series, (index * 1000 + point * point) as f64 / 3.0);
            }
        }
        rows
    }

    proptest! {
        #[test]
        fn any_rows_round_trip(values in prop::collection::vec(any::<f32>(), 0..500)) {
            let rows: Vec<Row> = values.chunks(Series::COUNT).map(|chunk| {
                let mut row = EMPTY;
                row[..chunk.len()].copy_from_slice(chunk);
                row
            }).collect();
            check(&rows);
        }

        #[test]
        fn rubbish_is_refused_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode(&bytes);
        }

        #[test]
        fn damage_never_panics(at: prop::sample::Index, byte: u8) {
            let mut block = encode(&golden()).unwrap();
            let at = at.index(block.len());
            block[at] = byte;
            let _ = decode(&block);
        }

        #[test]
        fn varints_round_trip(number: u64, signed: i64) {
            let mut bytes = Vec::new();
            write_varint(&mut bytes, number);
            prop_assert_eq!(read_varint(&mut bytes.as_slice()), Ok(number));
            prop_assert_eq!(unzigzag(zigzag(signed)), signed);
        }
    }
}
