import type { Live, Server, ServerStatus } from '../types';
import type { HubEvent } from './message';

/** What moves about a server between two answers of the API. */
export interface LiveServer {
  status: ServerStatus;
  lastSeenAt: string | null;
  live: Live | null;
  cpuSpark: readonly (number | null)[];
  memorySpark: readonly (number | null)[];
}

interface Entry {
  value: LiveServer;
  /** Whether anybody has said what its status is; a live sample does not. */
  isStatusKnown: boolean;
  /** When an event last touched it: an older answer must not undo that. */
  touchedAt: number;
  /** The minute that the last spark point stands for. */
  sparkMinute: number;
}

const SPARK_POINTS = 30;
const RECENT_POINTS = 600;

/**
 * Live state of servers outside React: events land in a map and listeners of the servers that changed are called
 * once per animation frame, however many events came. Its size is bounded by the number of servers.
 */
export class LiveStore {
  private readonly entries = new Map<string, Entry>();
  private readonly recent = new Map<string, Live[]>();
  private readonly listeners = new Map<string, Set<() => void>>();
  private readonly dirty = new Set<string>();
  private scheduled = false;

  constructor(private readonly schedule: (flush: () => void) => void = onNextFrame) {}

  get(id: string): LiveServer | undefined {
    return this.entries.get(id)?.value;
  }

  /** The newest live samples of a server that this tab looks at, oldest first. */
  recentOf(id: string): readonly Live[] {
    return this.recent.get(id) ?? EMPTY;
  }

  subscribe(id: string, listener: () => void): () => void {
    const set = this.listeners.get(id) ?? new Set();
    set.add(listener);
    this.listeners.set(id, set);
    return () => {
      set.delete(listener);
      if (set.size === 0 && this.listeners.get(id) === set) this.listeners.delete(id);
    };
  }

  /** Keeps the live samples of one server until the returned function is called. */
  record(id: string): () => void {
    this.recent.set(id, []);
    return () => this.recent.delete(id);
  }

  /** Takes over what an answer says that was asked for at `askedAt`. */
  seed(servers: readonly Server[], askedAt: number): void {
    for (const server of servers) {
      const known = this.entries.get(server.id);
      const isNewer = !known || known.touchedAt <= askedAt;
      const base = isNewer
        ? { status: server.status, lastSeenAt: server.last_seen_at ?? null, live: server.live ?? null }
        : { ...known.value, status: known.isStatusKnown ? known.value.status : server.status };
      const spark = server.spark;
      this.entries.set(server.id, {
        value: {
          status: base.status,
          lastSeenAt: base.lastSeenAt,
          live: base.live,
          cpuSpark: spark?.cpu_percent ?? known?.value.cpuSpark ?? EMPTY,
          memorySpark: spark?.memory_percent ?? known?.value.memorySpark ?? EMPTY,
        },
        isStatusKnown: true,
        touchedAt: isNewer ? askedAt : known.touchedAt,
        sparkMinute: spark ? minuteOf(askedAt) : (known?.sparkMinute ?? minuteOf(askedAt)),
      });
      this.touch(server.id);
    }
  }

  /** Takes `server.status`, `server.live` and `server.deleted`; other events are none of its business. */
  apply(event: HubEvent, now: number = Date.now()): void {
    const id = event.subject?.id;
    if (!id || typeof event.data !== 'object') return;
    if (event.type === 'server.deleted') {
      this.entries.delete(id);
      this.touch(id);
      return;
    }
    const entry = this.entries.get(id);
    if (event.type === 'server.status' && event.data !== null) {
      const data = event.data as { status: ServerStatus; last_seen_at?: string | null };
      this.put(id, entry, now, { status: data.status, lastSeenAt: data.last_seen_at ?? event.at });
    } else if (event.type === 'server.live' && event.data !== null) {
      const live = event.data as Live;
      this.put(id, entry, now, { live, lastSeenAt: live.at });
      this.extendSpark(id, live, now);
      const samples = this.recent.get(id);
      if (samples && samples.at(-1)?.at !== live.at) {
        samples.push(live);
        if (samples.length > RECENT_POINTS) samples.splice(0, samples.length - RECENT_POINTS);
      }
    }
  }

  private put(id: string, entry: Entry | undefined, now: number, change: Partial<LiveServer>): void {
    const before: LiveServer = entry?.value ?? {
      // A live sample is proof of life, until somebody says more.
      status: 'online',
      lastSeenAt: null,
      live: null,
      cpuSpark: EMPTY,
      memorySpark: EMPTY,
    };
    this.entries.set(id, {
      value: { ...before, ...change },
      isStatusKnown: change.status !== undefined || (entry?.isStatusKnown ?? false),
      touchedAt: now,
      sparkMinute: entry?.sparkMinute ?? minuteOf(now),
    });
    this.touch(id);
  }

  /** The last spark point follows the live value; a new minute starts a new point. */
  private extendSpark(id: string, live: Live, now: number): void {
    const entry = this.entries.get(id);
    if (!entry || entry.value.cpuSpark.length === 0) return;
    const minutes = Math.min(SPARK_POINTS, minuteOf(now) - entry.sparkMinute);
    entry.value = {
      ...entry.value,
      cpuSpark: extend(entry.value.cpuSpark, minutes, live.cpu_percent),
      memorySpark: extend(entry.value.memorySpark, minutes, live.memory_percent),
    };
    entry.sparkMinute = minuteOf(now);
  }

  private touch(id: string): void {
    this.dirty.add(id);
    if (this.scheduled) return;
    this.scheduled = true;
    this.schedule(() => this.flush());
  }

  private flush(): void {
    this.scheduled = false;
    const ids = [...this.dirty];
    this.dirty.clear();
    for (const id of ids) {
      for (const listener of this.listeners.get(id) ?? []) listener();
    }
  }
}

const EMPTY: readonly never[] = [];

function minuteOf(ms: number): number {
  return Math.floor(ms / 60_000);
}

function extend(points: readonly (number | null)[], minutes: number, value: number): (number | null)[] {
  const kept = minutes <= 0 ? points.slice(0, -1) : points.slice();
  // Minutes without a sample are gaps, not flat lines.
  for (let gap = 1; gap < minutes; gap += 1) kept.push(null);
  kept.push(value);
  return kept.slice(-SPARK_POINTS);
}

/** A hidden tab gets no animation frames, so it is served by a slow timer instead. */
function onNextFrame(flush: () => void): void {
  if (typeof document !== 'undefined' && document.visibilityState === 'visible') requestAnimationFrame(flush);
  else setTimeout(flush, 1_000);
}
