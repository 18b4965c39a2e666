import type { LogBuffer } from './buffer';

/** What a link points at: lines counted from the log's start, or the line that holds a byte. */
export interface LineRange {
  unit: 'line' | 'byte';
  first: number;
  last: number;
}

/** Reads `#L12`, `#L12-L20` (lines) and `#B4096` (a byte, for logs that are not read from their start). */
export function parseHash(hash: string): LineRange | null {
  const match = /^#?([LB])(\d{1,15})(?:-L?(\d{1,15}))?$/.exec(hash);
  if (!match) return null;
  const start = Number(match[2]);
  if (match[1] === 'B') return { unit: 'byte', first: start, last: start };
  const end = match[3] === undefined ? start : Number(match[3]);
  if (start < 1 || end < 1) return null;
  return { unit: 'line', first: Math.min(start, end), last: Math.max(start, end) };
}

/** The hash (without `#`) of a stretch of lines. */
export function hashOf(first: number, last: number, buffer: LogBuffer): string {
  if (buffer.startOffset > 0) return `B${buffer.line(first)?.offset ?? buffer.startOffset}`;
  return first === last ? `L${first}` : `L${first}-L${last}`;
}
