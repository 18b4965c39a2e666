import { stripAnsi } from './ansi';
import { LineReader, type LogLine, type LogPiece, pieceFrom, type ReaderState } from './lines';

/** Lines kept in memory; older ones are fetched again when somebody scrolls to them. */
export const RING_LINES = 50_000;
/** Characters kept in memory, for logs of long lines. */
const RING_CHARS = 24_000_000;
/** Lines of one stretch that is fetched again at once. */
const BLOCK_LINES = 512;
const CACHED_BLOCKS = 24;
/** Blocks whose start is remembered, four million lines; beyond, the oldest cannot be fetched by line. */
const MAX_CHECKPOINTS = 8_192;

/** Where the first line of a block can be read again: at the piece that it begins in, as the reader stood before it. */
interface Checkpoint {
  /** Where that line itself begins: one piece can hold several blocks. */
  line: number;
  from: number;
  state: ReaderState;
  /** The end of that piece. */
  to: number;
}

/** Where a stretch of lines lies in the log, for fetching it again. */
export interface Block {
  index: number;
  from: number;
  to: number;
}

/**
 * A log of any length in constant memory: the newest lines, the place of every 512th line, and a few older
 * stretches that were looked at. Pieces may come twice or overlap; every byte counts once.
 */
export class LogBuffer {
  private reader: LineReader;
  private ring: LogLine[] = [];
  private dropped = 0;
  private chars = 0;
  private checkpoints: Checkpoint[] = [];
  private anchor: { from: number; state: ReaderState } | null = null;
  private firstCheckpoint = 0;
  private readonly blocks = new Map<number, LogLine[]>();
  private expected: number;
  private skippingPartLine: boolean;

  /** A log that is read from the middle starts with its first whole line. */
  constructor(readonly startOffset = 0) {
    this.reader = new LineReader();
    this.expected = startOffset;
    this.skippingPartLine = startOffset > 0;
  }

  /** Where to go on reading. */
  get nextOffset(): number {
    return this.expected;
  }

  /** Lines known so far, an unfinished last one included. */
  get lineCount(): number {
    return this.finishedCount + (this.reader.unfinished() ? 1 : 0);
  }

  /** Number of the oldest line in memory. */
  get firstInMemory(): number {
    return this.dropped + 1;
  }

  /** Number of the oldest line that can be shown at all. */
  get firstReachable(): number {
    return Math.min(this.firstInMemory, this.firstCheckpoint * BLOCK_LINES + 1);
  }

  private get finishedCount(): number {
    return this.dropped + this.ring.length;
  }

  push(piece: LogPiece): void {
    const end = piece.offset + piece.bytes;
    // A piece without bytes (a remark, a character that was never finished) belongs to the place where it stands.
    if (piece.bytes === 0 ? piece.offset < this.expected : end <= this.expected) return;
    if (piece.offset > this.expected) {
      // The hub never skips without saying so; should it, the reader sees that something is missing.
      const gap_bytes = piece.offset - this.expected;
      this.take({ ...piece, offset: this.expected, bytes: gap_bytes, stream: 'sys', text: '', gap_bytes });
    }
    let rest = pieceFrom(piece, this.expected);
    this.expected = Math.max(this.expected, end);
    if (rest && this.skippingPartLine && rest.stream !== 'sys') rest = this.skipPartLine(rest);
    if (rest) this.take(rest);
  }

  /** The line, or undefined when it is not in memory (see `blockOf`). */
  line(number: number): LogLine | undefined {
    if (number === this.finishedCount + 1) return this.reader.unfinished() ?? undefined;
    if (number > this.dropped) return this.ring[number - this.dropped - 1];
    const block = this.blocks.get(blockIndex(number));
    return block?.[(number - 1) % BLOCK_LINES];
  }

  /** The stretch to fetch so that this line can be shown; null when it is there or out of reach. */
  blockOf(number: number): Block | null {
    if (number > this.dropped || number < this.firstReachable) return null;
    const index = blockIndex(number);
    if (this.blocks.has(index)) return null;
    const start = this.checkpoints[index - this.firstCheckpoint];
    const end = this.checkpoints[index + 1 - this.firstCheckpoint];
    return start && end ? { index, from: start.from, to: end.to } : null;
  }

  /** Takes in a stretch that was fetched again. */
  fill(block: Block, pieces: readonly LogPiece[]): void {
    const start = this.checkpoints[block.index - this.firstCheckpoint];
    if (!start) return;
    const reader = new LineReader(start.state);
    const first = block.index * BLOCK_LINES + 1;
    const lines: LogLine[] = [];
    let expected = block.from;
    for (const piece of pieces) {
      const rest = pieceFrom(piece, expected);
      if (!rest) continue;
      expected = Math.max(expected, rest.offset + rest.bytes);
      for (const line of reader.read(rest)) {
        if (line.number >= first && lines.length < BLOCK_LINES) lines.push(line);
      }
    }
    this.blocks.delete(block.index);
    this.blocks.set(block.index, lines);
    for (const index of this.blocks.keys()) {
      if (this.blocks.size <= CACHED_BLOCKS) break;
      this.blocks.delete(index);
    }
  }

  /** The line that holds this byte; of lines that are not in memory, the first of their block. */
  lineAtOffset(offset: number): number | null {
    if (offset < this.startOffset || offset >= this.expected) return null;
    const inRing = lastAt(this.ring, offset);
    if (inRing >= 0) return this.dropped + inRing + 1;
    const block = this.blockAt(offset);
    if (block === null) return null;
    const inBlock = lastAt(this.blocks.get(block) ?? [], offset);
    return block * BLOCK_LINES + 1 + Math.max(0, inBlock);
  }

  /** Whether `lineAtOffset` knows the very line. */
  isExactAt(offset: number): boolean {
    const block = this.blockAt(offset);
    return lastAt(this.ring, offset) >= 0 || (block !== null && this.blocks.has(block));
  }

  private blockAt(offset: number): number | null {
    const at = this.checkpoints.findLastIndex((checkpoint) => checkpoint.line <= offset);
    return at < 0 ? null : at + this.firstCheckpoint;
  }

  /** Calls back with every line in memory from `number` on, until it says `false`. */
  scan(number: number, visit: (line: LogLine) => boolean): void {
    for (let n = Math.max(number, this.firstInMemory); n <= this.lineCount; n += 1) {
      const line = this.line(n);
      if (line && !visit(line)) return;
    }
  }

  private take(piece: LogPiece): void {
    // A piece without bytes is not sent again when one asks for its place, only with what stands before it.
    if (piece.bytes > 0 || !this.anchor) this.anchor = { from: piece.offset, state: this.reader.state() };
    for (const line of this.reader.read(piece)) {
      if ((line.number - 1) % BLOCK_LINES === 0) {
        this.checkpoints.push({ ...this.anchor, line: line.offset, to: piece.offset + piece.bytes });
      }
      this.ring.push(line);
      this.chars += line.text.length;
    }
    this.trim();
  }

  private trim(): void {
    let excess = Math.max(0, this.ring.length - RING_LINES);
    let chars = this.chars;
    for (let n = 0; n < this.ring.length && (n < excess || chars > RING_CHARS); n += 1) {
      chars -= this.ring[n]?.text.length ?? 0;
      excess = Math.max(excess, n + 1);
    }
    // Dropping moves the whole array, so it is done a block at a time.
    if (excess >= BLOCK_LINES || (excess > 0 && this.chars > RING_CHARS)) {
      this.ring.splice(0, excess);
      this.dropped += excess;
      this.chars = chars;
    }
    if (this.checkpoints.length > MAX_CHECKPOINTS) {
      const surplus = MAX_CHECKPOINTS / 2;
      this.checkpoints.splice(0, surplus);
      this.firstCheckpoint += surplus;
    }
  }

  private skipPartLine(piece: LogPiece): LogPiece | null {
    const feed = piece.text.indexOf('\n');
    if (feed < 0) return null;
    this.skippingPartLine = false;
    const skipped =
      piece.bytes === piece.text.length
        ? feed + 1
        : new TextEncoder().encode(piece.text.slice(0, feed + 1)).length;
    return pieceFrom(piece, piece.offset + skipped);
  }
}

/** Index of the last line that begins at `offset` or before it; −1 when all begin later. */
function lastAt(lines: readonly LogLine[], offset: number): number {
  let low = 0;
  let high = lines.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((lines[middle]?.offset ?? 0) <= offset) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

function blockIndex(number: number): number {
  return Math.floor((number - 1) / BLOCK_LINES);
}

/** Most matches that are kept. */
const MAX_MATCHES = 20_000;

/** Finds lines as they come; a query looks at each line in memory once. */
export class LogSearch {
  private matches: number[] = [];
  private next: number;
  private readonly needle: string;

  constructor(
    private readonly buffer: LogBuffer,
    query: string,
  ) {
    this.needle = query.toLowerCase();
    this.next = buffer.firstInMemory;
  }

  /** Line numbers that match, oldest first. */
  update(): readonly number[] {
    if (this.needle === '') return this.matches;
    const found: number[] = [];
    let last = this.next - 1;
    this.buffer.scan(this.next, (line) => {
      last = line.number;
      if (stripAnsi(line.text).toLowerCase().includes(this.needle)) found.push(line.number);
      return this.matches.length + found.length < MAX_MATCHES;
    });
    // The last line may still grow, so it is looked at again.
    this.next = Math.max(this.next, last);
    if (found.length > 0) {
      const known = this.matches.filter((number) => number < (found[0] ?? 0));
      this.matches = [...known, ...found];
    }
    return this.matches;
  }
}
