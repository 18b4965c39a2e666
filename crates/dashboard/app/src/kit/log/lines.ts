import { type AnsiStyle, PLAIN, styleAfter } from './ansi';

/** A piece of a log as the API gives it. */
export interface LogPiece {
  offset: number;
  bytes: number;
  stream: 'out' | 'err' | 'sys';
  at: string;
  text: string;
  gap_bytes?: number | null;
}

export interface LogLine {
  /** Counts from 1 at the first line that was read. */
  readonly number: number;
  /** Where it starts in the log, in bytes. */
  readonly offset: number;
  readonly at: string;
  readonly stream: LogPiece['stream'];
  readonly text: string;
  /** The look that it starts with, left over from the line before. */
  readonly style: AnsiStyle;
  /** Bytes of output that are missing at this place. */
  readonly gap: number | null;
}

/** Longer lines are broken, so that one line without an end cannot fill the memory. */
export const MAX_LINE_CHARS = 4_096;

interface Open {
  offset: number;
  at: string;
  stream: LogPiece['stream'];
  text: string;
  /** A carriage return was read: what comes next, unless it is a line feed, overwrites the line. */
  returned: boolean;
}

/** What a reader knows between two pieces. */
export interface ReaderState {
  readonly open: Readonly<Open> | null;
  readonly nextNumber: number;
  readonly style: AnsiStyle;
}

const START: ReaderState = { open: null, nextNumber: 1, style: PLAIN };

/**
 * Turns pieces, cut anywhere, into lines. It reads character by character in effect, so that reading a stretch again
 * from the start of a line gives the same lines however it is cut that time.
 */
export class LineReader {
  private open: Open | null;
  private nextNumber: number;
  private style: AnsiStyle;

  constructor(from: ReaderState = START) {
    this.open = from.open && { ...from.open };
    this.nextNumber = from.nextNumber;
    this.style = from.style;
  }

  /** Where it stands, for another reader to go on from there. */
  state(): ReaderState {
    return { open: this.open && { ...this.open }, nextNumber: this.nextNumber, style: this.style };
  }

  /** The lines that the piece finished. */
  read(piece: LogPiece): LogLine[] {
    const lines: LogLine[] = [];
    if (this.open && this.open.stream !== piece.stream) lines.push(this.finish(this.open));
    if (piece.stream === 'sys') {
      this.readNotice(piece, lines);
      return lines;
    }
    // One character is one byte in nearly all output; only then are offsets free.
    const isAscii = piece.bytes === piece.text.length;
    let start = 0;
    let offset = piece.offset;
    while (start < piece.text.length) {
      const feed = piece.text.indexOf('\n', start);
      const end = feed < 0 ? piece.text.length : feed;
      const part = piece.text.slice(start, end);
      this.append(part, offset, piece, isAscii, lines);
      offset += (isAscii ? part.length : utf8Length(part)) + 1;
      if (feed >= 0) lines.push(this.finish(this.open ?? emptyLine(piece, offset - 1)));
      start = end + 1;
    }
    return lines;
  }

  /** The line that has no end yet, as it stands. */
  unfinished(): LogLine | null {
    return this.open && (this.open.text !== '' || this.open.returned) ? this.toLine(this.open) : null;
  }

  private append(part: string, offset: number, piece: LogPiece, isAscii: boolean, lines: LogLine[]): void {
    let at = offset;
    let isFirst = true;
    for (const run of part.includes('\r') ? part.split('\r') : [part]) {
      if (!isFirst) {
        this.open ??= emptyLine(piece, at);
        this.open.returned = true;
        at += 1;
      }
      isFirst = false;
      if (run !== '') at = this.appendRun(run, at, piece, isAscii, lines);
    }
  }

  private appendRun(
    text: string,
    offset: number,
    piece: LogPiece,
    isAscii: boolean,
    lines: LogLine[],
  ): number {
    let rest = text;
    let at = offset;
    this.open ??= emptyLine(piece, at);
    if (this.open.returned) {
      this.open.returned = false;
      this.open.text = '';
    }
    while (this.open.text.length + rest.length > MAX_LINE_CHARS) {
      const head = rest.slice(0, cutBetweenCharacters(rest, MAX_LINE_CHARS - this.open.text.length));
      this.open.text += head;
      rest = rest.slice(head.length);
      at += isAscii ? head.length : utf8Length(head);
      lines.push(this.finish(this.open));
      this.open = emptyLine(piece, at);
    }
    this.open.text += rest;
    return at + (isAscii ? rest.length : utf8Length(rest));
  }

  private readNotice(piece: LogPiece, lines: LogLine[]): void {
    let gap = piece.gap_bytes ?? null;
    for (const text of piece.text.replace(/\n$/, '').split('\n')) {
      lines.push({
        number: this.nextNumber,
        offset: piece.offset,
        at: piece.at,
        stream: 'sys',
        text,
        style: PLAIN,
        gap,
      });
      gap = null;
      this.nextNumber += 1;
    }
  }

  private finish(open: Open): LogLine {
    const line = this.toLine(open);
    this.nextNumber += 1;
    this.style = styleAfter(line.text, this.style);
    this.open = null;
    return line;
  }

  private toLine(open: Open): LogLine {
    const { offset, at, stream, text } = open;
    return { number: this.nextNumber, offset, at, stream, text, style: this.style, gap: null };
  }
}

function emptyLine(piece: LogPiece, offset: number): Open {
  return { offset, at: piece.at, stream: piece.stream, text: '', returned: false };
}

function cutBetweenCharacters(text: string, length: number): number {
  const code = text.charCodeAt(length - 1);
  // The first half of a surrogate pair stays with its second half.
  return code >= 0xd800 && code <= 0xdbff ? (length > 1 ? length - 1 : length + 1) : length;
}

const encoder = new TextEncoder();

export function utf8Length(text: string): number {
  return encoder.encode(text).length;
}

/** The piece without its first `from - offset` bytes; null when nothing of it is left. */
export function pieceFrom(piece: LogPiece, from: number): LogPiece | null {
  if (piece.offset >= from) return piece;
  const skip = from - piece.offset;
  if (skip >= piece.bytes) return null;
  const rest =
    piece.bytes === piece.text.length
      ? piece.text.slice(skip)
      : new TextDecoder().decode(encoder.encode(piece.text).subarray(skip));
  return { ...piece, offset: from, bytes: piece.bytes - skip, text: rest };
}
