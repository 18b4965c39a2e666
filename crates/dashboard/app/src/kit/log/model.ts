import { stripAnsi } from './ansi';
import { type Block, LogBuffer } from './buffer';
import type { LogLine, LogPiece } from './lines';

export interface LogFeed {
  phase: 'connecting' | 'live' | 'lost' | 'ended';
  retryAt: number | null;
}

export interface LogSnapshot {
  version: number;
  feed: LogFeed;
}

/** Reads bytes `from` to `to` of the log again. */
export type FetchRange = (from: number, to: number) => Promise<LogPiece[]>;

/** A log buffer that React can watch: however much arrives, one change per animation frame. */
export class LogModel {
  readonly buffer: LogBuffer;
  private snapshot: LogSnapshot = { version: 0, feed: { phase: 'connecting', retryAt: null } };
  private readonly listeners = new Set<() => void>();
  private readonly fetching = new Set<number>();
  private scheduled = false;

  constructor(
    private readonly fetchRange: FetchRange,
    startOffset = 0,
  ) {
    this.buffer = new LogBuffer(startOffset);
  }

  subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  read = (): LogSnapshot => this.snapshot;

  push(piece: LogPiece): void {
    this.buffer.push(piece);
    this.changed();
  }

  setFeed(feed: LogFeed): void {
    this.snapshot = { ...this.snapshot, feed };
    this.changed();
  }

  /** The line, or undefined while it is being fetched. */
  line(number: number): LogLine | undefined {
    const line = this.buffer.line(number);
    if (!line) {
      const block = this.buffer.blockOf(number);
      if (block) void this.fetch(block);
    }
    return line;
  }

  /** The text of a stretch of lines, for the clipboard; fetches what is not in memory. */
  async textOf(first: number, last: number): Promise<string> {
    const lines: string[] = [];
    for (let number = first; number <= last; number += 1) {
      if (!this.buffer.line(number)) {
        const block = this.buffer.blockOf(number);
        if (block) await this.fetch(block);
      }
      lines.push(stripAnsi(this.buffer.line(number)?.text ?? ''));
    }
    return lines.join('\n');
  }

  private async fetch(block: Block): Promise<void> {
    if (this.fetching.has(block.index)) return;
    this.fetching.add(block.index);
    try {
      this.buffer.fill(block, await this.fetchRange(block.from, block.to));
      this.changed();
    } catch {
      // The row stays grey; scrolling to it again asks again.
    } finally {
      this.fetching.delete(block.index);
    }
  }

  private changed(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    const flush = () => {
      this.scheduled = false;
      this.snapshot = { version: this.snapshot.version + 1, feed: this.snapshot.feed };
      for (const listener of this.listeners) listener();
    };
    if (document.visibilityState === 'visible') requestAnimationFrame(flush);
    else setTimeout(flush, 500);
  }
}
