/** One event of a `text/event-stream`. */
export interface SseEvent {
  id: string | null;
  event: string;
  data: string;
}

/** Longest field or line that is kept; a stream that sends more is not ours. */
const MAX_PENDING_CHARS = 8 * 1024 * 1024;

/**
 * Incremental parser of the event stream format. Text may be cut anywhere between two calls of `push`.
 * The browser's own EventSource is not used: it cannot resume from a chosen id, hides the status of a refusal and
 * takes everything in however slow the reader is.
 */
export class SseParser {
  private pending = '';
  private id: string | null = null;
  private event = '';
  private data: string[] = [];

  push(text: string): SseEvent[] {
    const events: SseEvent[] = [];
    this.pending += text;
    let start = 0;
    for (;;) {
      const end = this.pending.indexOf('\n', start);
      if (end < 0) break;
      const line = this.pending.slice(start, this.pending[end - 1] === '\r' ? end - 1 : end);
      start = end + 1;
      if (line === '') this.dispatch(events);
      else this.field(line);
    }
    this.pending = this.pending.slice(start);
    if (this.pending.length > MAX_PENDING_CHARS) throw new Error('an event of the stream is too long');
    return events;
  }

  private dispatch(events: SseEvent[]): void {
    if (this.data.length > 0) {
      events.push({ id: this.id, event: this.event || 'message', data: this.data.join('\n') });
    }
    this.event = '';
    this.data = [];
  }

  private field(line: string): void {
    const colon = line.indexOf(':');
    if (colon === 0) return; // a comment: keep-alive
    const name = colon < 0 ? line : line.slice(0, colon);
    let value = colon < 0 ? '' : line.slice(colon + 1);
    if (value.startsWith(' ')) value = value.slice(1);
    if (name === 'data') this.data.push(value);
    else if (name === 'event') this.event = value;
    else if (name === 'id') this.id = value;
  }
}

/** Longest silence before a stream counts as dead; the hub sends a comment every 15 s. */
const SILENCE_LIMIT_MS = 40_000;

/** Reads a response body as events until it ends, is aborted, or falls silent (then it throws). */
export async function readEvents(
  body: ReadableStream<Uint8Array>,
  onEvents: (events: SseEvent[]) => void | Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const parser = new SseParser();
  const decoder = new TextDecoder();
  const reader = body.getReader();
  const cancel = () => void reader.cancel().catch(() => {});
  signal.addEventListener('abort', cancel, { once: true });
  try {
    for (;;) {
      const { done, value } = await withinSilenceLimit(reader.read());
      if (done || signal.aborted) return;
      const events = parser.push(decoder.decode(value, { stream: true }));
      if (events.length > 0) await onEvents(events);
    }
  } finally {
    signal.removeEventListener('abort', cancel);
    cancel();
  }
}

async function withinSilenceLimit<T>(read: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const silence = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new TypeError('the stream fell silent')), SILENCE_LIMIT_MS);
  });
  try {
    return await Promise.race([read, silence]);
  } finally {
    clearTimeout(timer);
  }
}
