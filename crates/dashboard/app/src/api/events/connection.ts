import { api, checked } from '../client';
import { ApiError } from '../error';
import { readEvents } from '../sse';
import { backoffMs } from './backoff';
import { type ConnectionState, type HubEvent, parseEvent } from './message';

export interface ConnectionSinks {
  onEvent(event: HubEvent): void;
  onState(state: ConnectionState): void;
}

/** Holds one event stream open, resuming after the last event seen, until it is closed. */
export class EventConnection {
  private readonly closing = new AbortController();
  private wake: (() => void) | null = null;
  private attempt: AbortController | null = null;

  constructor(
    private readonly sinks: ConnectionSinks,
    private lastEventId: string | null,
  ) {
    void this.run();
  }

  close(): void {
    this.closing.abort();
    this.attempt?.abort();
    this.wake?.();
  }

  /** Ends the current wait, if any. */
  retryNow(): void {
    this.wake?.();
  }

  private async run(): Promise<void> {
    let failures = 0;
    while (!this.closing.signal.aborted) {
      const opened = await this.readOnce();
      if (this.closing.signal.aborted || opened === 'refused') return;
      failures = opened === 'opened' ? 0 : failures + 1;
      const wait = backoffMs(failures);
      this.sinks.onState({ phase: 'lost', retryAt: Date.now() + wait, since: Date.now() });
      await this.sleep(wait);
    }
  }

  private async readOnce(): Promise<'opened' | 'failed' | 'refused'> {
    this.attempt = new AbortController();
    const { signal } = this.attempt;
    let opened = false;
    try {
      const headers: Record<string, string> = { accept: 'text/event-stream' };
      if (this.lastEventId) headers['last-event-id'] = this.lastEventId;
      const { response } = await checked(api.GET('/v1/events', { parseAs: 'stream', headers, signal }));
      if (!response.body) return 'failed';
      opened = true;
      this.sinks.onState({ phase: 'open', retryAt: null, since: Date.now() });
      await readEvents(
        response.body,
        (events) => {
          for (const raw of events) {
            const event = parseEvent(raw.event, raw.id, raw.data);
            if (!event) continue;
            if (event.id) this.lastEventId = event.id;
            this.sinks.onEvent(event);
          }
        },
        signal,
      );
    } catch (thrown) {
      if (thrown instanceof ApiError && (thrown.status === 401 || thrown.status === 403)) {
        this.sinks.onState({ phase: 'lost', retryAt: null, since: Date.now() });
        return 'refused';
      }
      // Anything else (hub restarting, network gone) is retried; the state says that it is lost.
    }
    return opened ? 'opened' : 'failed';
  }

  private sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        window.removeEventListener('online', done);
        this.wake = null;
        resolve();
      };
      const timer = setTimeout(done, ms);
      window.addEventListener('online', done, { once: true });
      this.wake = done;
    });
  }
}
