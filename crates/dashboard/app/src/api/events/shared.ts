import { EventConnection } from './connection';
import { CONNECTING, type ConnectionState, type HubEvent } from './message';

type Note =
  | { kind: 'event'; event: HubEvent }
  | { kind: 'state'; state: ConnectionState }
  | { kind: 'ask_state' }
  | { kind: 'retry' };

/**
 * One event stream per browser. The tab that holds the lock keeps the connection and tells the others over a
 * BroadcastChannel; when it goes, the next one takes over after the last event it heard of. A browser without
 * locks (plain http away from loopback) falls back to one stream per tab.
 */
export class SharedEvents {
  private readonly eventListeners = new Set<(event: HubEvent) => void>();
  private readonly stateListeners = new Set<() => void>();
  private readonly stopping = new AbortController();
  private readonly channel: BroadcastChannel | null;
  private connection: EventConnection | null = null;
  private current: ConnectionState = CONNECTING;
  private lastEventId: string | null = null;

  constructor(name: string) {
    const canShare =
      'locks' in navigator && navigator.locks !== undefined && 'BroadcastChannel' in globalThis;
    this.channel = canShare ? new BroadcastChannel(name) : null;
    if (!this.channel) {
      this.lead();
      return;
    }
    this.channel.onmessage = (message: MessageEvent<Note>) => this.hear(message.data);
    this.tell({ kind: 'ask_state' });
    void navigator.locks
      .request(name, { signal: this.stopping.signal }, () => {
        this.lead();
        return new Promise<void>((release) => {
          this.stopping.signal.addEventListener('abort', () => release(), { once: true });
        });
      })
      .catch(() => {
        // Stopped while waiting for the lock: nothing was opened.
      });
  }

  stop(): void {
    this.stopping.abort();
    this.connection?.close();
    this.connection = null;
    this.channel?.close();
  }

  state = (): ConnectionState => this.current;

  onState = (listener: () => void): (() => void) => {
    this.stateListeners.add(listener);
    return () => this.stateListeners.delete(listener);
  };

  onEvent(listener: (event: HubEvent) => void): () => void {
    this.eventListeners.add(listener);
    return () => this.eventListeners.delete(listener);
  }

  retryNow(): void {
    if (this.connection) this.connection.retryNow();
    else this.tell({ kind: 'retry' });
  }

  private lead(): void {
    if (this.stopping.signal.aborted) return;
    this.connection = new EventConnection(
      {
        onEvent: (event) => {
          this.take(event);
          this.tell({ kind: 'event', event });
        },
        onState: (state) => {
          this.show(state);
          this.tell({ kind: 'state', state });
        },
      },
      this.lastEventId,
    );
  }

  private hear(note: Note): void {
    if (note.kind === 'event') this.take(note.event);
    else if (note.kind === 'state') this.show(note.state);
    else if (note.kind === 'retry') this.connection?.retryNow();
    else if (this.connection) this.tell({ kind: 'state', state: this.current });
  }

  private tell(note: Note): void {
    if (!this.stopping.signal.aborted) this.channel?.postMessage(note);
  }

  private take(event: HubEvent): void {
    if (event.id) this.lastEventId = event.id;
    for (const listener of this.eventListeners) listener(event);
  }

  private show(state: ConnectionState): void {
    this.current = state;
    for (const listener of this.stateListeners) listener();
  }
}
