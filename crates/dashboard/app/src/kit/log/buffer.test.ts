import { describe, expect, it } from 'vitest';
import { LogBuffer, LogSearch, RING_LINES } from './buffer';
import { LineReader, type LogPiece, MAX_LINE_CHARS, utf8Length } from './lines';

const piece = (offset: number, text: string, stream: LogPiece['stream'] = 'out'): LogPiece => ({
  offset,
  bytes: utf8Length(text),
  stream,
  at: '2026-01-01T00:00:00Z',
  text,
});

/** A log cut into pieces of `size` bytes (all of it ASCII). */
function pieces(log: string, size: number): LogPiece[] {
  const result: LogPiece[] = [];
  for (let at = 0; at < log.length; at += size) result.push(piece(at, log.slice(at, at + size)));
  return result;
}

function texts(buffer: LogBuffer): string[] {
  const result: string[] = [];
  buffer.scan(1, (line) => {
    result.push(line.text);
    return true;
  });
  return result;
}

describe('LineReader', () => {
  it('gives_the_same_lines_however_the_log_is_cut', () => {
    const long = 'x'.repeat(MAX_LINE_CHARS + 10);
    const log = `one\r\n\ntwo\nprogress 1\rprogress 2\r\rprogress 3\n${long}\rshort\n\x1b[31mred\nstill red\nend`;
    const expected = new LogBuffer();
    for (const p of pieces(log, log.length)) expected.push(p);
    for (const size of [1, 2, 3, 7, 64, 1_000, 4_097]) {
      const buffer = new LogBuffer();
      for (const p of pieces(log, size)) buffer.push(p);
      expect(texts(buffer)).toEqual(texts(expected));
      for (let n = 1; n <= buffer.lineCount; n += 1) expect(buffer.line(n)).toEqual(expected.line(n));
    }
    expect(texts(expected).slice(0, 4)).toEqual(['one', '', 'two', 'progress 3']);
    expect(expected.line(8)?.style.fg).toBe(1);
  });

  it('counts_bytes_not_characters', () => {
    const reader = new LineReader();
    const lines = reader.read(piece(10, 'äö\n€\nx\n'));
    expect(lines.map((line) => line.offset)).toEqual([10, 15, 19]);
  });

  it('starts_a_line_when_the_stream_changes', () => {
    const reader = new LineReader();
    const lines = [...reader.read(piece(0, 'half')), ...reader.read(piece(4, 'error\n', 'err'))];
    expect(lines.map((line) => [line.stream, line.text])).toEqual([
      ['out', 'half'],
      ['err', 'error'],
    ]);
  });
});

describe('LogBuffer', () => {
  it('takes_every_byte_once_when_pieces_overlap_or_repeat', () => {
    const buffer = new LogBuffer();
    buffer.push(piece(0, 'a\nb\n'));
    buffer.push(piece(0, 'a\nb\n'));
    buffer.push(piece(2, 'b\nc\n'));
    buffer.push(piece(6, 'd\n'));
    expect(texts(buffer)).toEqual(['a', 'b', 'c', 'd']);
    expect(buffer.nextOffset).toBe(8);
  });

  it('says_where_bytes_are_missing', () => {
    const buffer = new LogBuffer();
    buffer.push(piece(0, 'a\n'));
    buffer.push(piece(100, 'b\n'));
    expect(buffer.line(2)?.gap).toBe(98);
    expect(buffer.line(3)?.text).toBe('b');
  });

  it('shows_a_hole_that_takes_room_in_the_log', () => {
    const buffer = new LogBuffer();
    buffer.push(piece(0, 'a\n'));
    buffer.push({ ...piece(2, '', 'sys'), bytes: 500, gap_bytes: 500 });
    buffer.push(piece(502, 'b\n'));
    expect([buffer.line(2)?.gap, buffer.line(3)?.text, buffer.lineCount]).toEqual([500, 'b', 3]);
  });

  it('takes_a_remark_without_bytes_once', () => {
    const buffer = new LogBuffer();
    buffer.push(piece(0, 'a\n'));
    buffer.push({ ...piece(2, '', 'sys'), gap_bytes: 7 });
    buffer.push(piece(2, 'b\n'));
    buffer.push({ ...piece(2, '', 'sys'), gap_bytes: 7 });
    expect([buffer.line(2)?.gap, buffer.line(3)?.text, buffer.lineCount]).toEqual([7, 'b', 3]);
  });

  it('reads_old_lines_again_although_characters_are_split_over_pieces', () => {
    // The text of a split character stands in the later piece, as the hub does it.
    const lines = Array.from({ length: 60_000 }, (_, n) => `Zeile ${n} – äöü €\n`);
    const bytes = new TextEncoder().encode(lines.join(''));
    const cut = (from: number, to: number, size: number): LogPiece[] => {
      const decoder = new TextDecoder();
      // Characters that began before this place belong to what follows it.
      decoder.decode(bytes.subarray(Math.max(0, from - 8), from), { stream: true });
      const result: LogPiece[] = [];
      for (let at = from; at < to; at += size) {
        const end = Math.min(to, at + size);
        const text = decoder.decode(bytes.subarray(at, end), { stream: true });
        result.push({ offset: at, bytes: end - at, stream: 'out', at: '', text });
      }
      return result;
    };
    const buffer = new LogBuffer();
    for (const p of cut(0, bytes.length, 4_096)) buffer.push(p);
    expect(buffer.lineCount).toBe(60_000);
    for (let n = 1; n <= 60_000; n += 1) {
      const block = buffer.blockOf(n);
      if (block) buffer.fill(block, cut(block.from, block.to, 4_096));
      if (`${buffer.line(n)?.text}\n` !== lines[n - 1])
        throw new Error(`line ${n} is ${buffer.line(n)?.text}`);
    }
  });

  it('shows_the_unfinished_line_and_lets_it_grow', () => {
    const buffer = new LogBuffer();
    buffer.push(piece(0, 'wor'));
    expect(buffer.line(1)?.text).toBe('wor');
    buffer.push(piece(3, 'king'));
    expect(buffer.line(1)?.text).toBe('working');
    expect(buffer.lineCount).toBe(1);
  });

  it('keeps_100_000_lines_reachable_in_order_with_a_bounded_ring', () => {
    const log = Array.from({ length: 100_000 }, (_, n) => `line ${n + 1}\n`).join('');
    const buffer = new LogBuffer();
    for (const p of pieces(log, 8_192)) buffer.push(p);
    expect(buffer.lineCount).toBe(100_000);
    expect(buffer.firstInMemory).toBeGreaterThanOrEqual(100_000 - RING_LINES - 512);
    expect(buffer.firstInMemory).toBeLessThanOrEqual(100_000 - RING_LINES + 1);
    for (let n = 1; n <= 100_000; n += 1) {
      const block = buffer.blockOf(n);
      if (block)
        buffer.fill(
          block,
          pieces(log, 999).filter((p) => p.offset + p.bytes > block.from && p.offset < block.to),
        );
      if (buffer.line(n)?.text !== `line ${n}`) throw new Error(`line ${n} is ${buffer.line(n)?.text}`);
    }
  });

  it('bounds_memory_for_a_log_without_line_ends', () => {
    const buffer = new LogBuffer();
    const mebibyte = 'x'.repeat(1_048_576);
    for (let n = 0; n < 64; n += 1) buffer.push(piece(n * 1_048_576, mebibyte));
    let kept = 0;
    buffer.scan(1, (line) => {
      kept += line.text.length;
      return true;
    });
    expect(kept).toBeLessThan(26_000_000);
  });

  it('starts_with_a_whole_line_when_read_from_the_middle', () => {
    const buffer = new LogBuffer(5);
    buffer.push(piece(5, 'lf of a line\nwhole\n'));
    expect(texts(buffer)).toEqual(['whole']);
    expect(buffer.lineAtOffset(18)).toBe(1);
  });

  it('finds_the_line_of_an_offset_however_many_lines_a_piece_holds', () => {
    const lines = Array.from({ length: RING_LINES + 20_000 }, (_, i) => `line ${i + 1}\n`);
    const log = lines.join('');
    const wanted = 4_321;
    const offset = lines.slice(0, wanted - 1).join('').length;
    for (const size of [1_000, 64_000, 300_000]) {
      const buffer = new LogBuffer();
      for (const p of pieces(log, size)) buffer.push(p);
      expect(buffer.isExactAt(offset)).toBe(false);
      const near = buffer.lineAtOffset(offset) ?? 0;
      expect(near).toBe(Math.floor((wanted - 1) / 512) * 512 + 1);
      const block = buffer.blockOf(near);
      if (!block) throw new Error('the stretch can be fetched');
      buffer.fill(
        block,
        pieces(log, size).filter((p) => p.offset < block.to && p.offset + p.bytes > block.from),
      );
      expect(buffer.isExactAt(offset)).toBe(true);
      expect(buffer.lineAtOffset(offset)).toBe(wanted);
      expect(buffer.line(wanted)?.text).toBe(`line ${wanted}`);
    }
  });

  it('finds_the_line_of_an_offset', () => {
    const buffer = new LogBuffer();
    buffer.push(piece(0, 'aa\nbb\ncc\n'));
    expect([0, 2, 3, 7].map((offset) => buffer.lineAtOffset(offset))).toEqual([1, 1, 2, 3]);
    expect(buffer.lineAtOffset(9)).toBeNull();
  });
});

describe('LogSearch', () => {
  it('finds_text_under_colours_and_looks_at_new_lines_only', () => {
    const buffer = new LogBuffer();
    buffer.push(piece(0, 'an \x1b[31mER\x1b[0mROR\nfine\n'));
    const search = new LogSearch(buffer, 'error');
    expect(search.update()).toEqual([1]);
    buffer.push(piece(buffer.nextOffset, 'an error ag'));
    buffer.push(piece(buffer.nextOffset, 'ain\n'));
    expect(search.update()).toEqual([1, 3]);
    expect(search.update()).toEqual([1, 3]);
  });
});
