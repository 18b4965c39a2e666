import { describe, expect, it } from 'vitest';
import type { Live, Server } from '../types';
import { LiveStore } from './live-store';
import type { HubEvent } from './message';

const live = (cpu: number, at = '2026-01-01T00:00:00Z'): Live => ({
  at,
  cpu_percent: cpu,
  memory_percent: 50,
  disk_percent: 10,
  load1: 0.1,
  rx_bytes_per_s: 0,
  tx_bytes_per_s: 0,
  uptime_s: 60,
});

const event = (type: string, data: unknown, id = 'a'): HubEvent => ({
  id: '1',
  at: '2026-01-01T00:00:00Z',
  type,
  subject: { type: 'server', id },
  data,
});

const server = (over: Partial<Server> = {}): Server =>
  ({ id: 'a', status: 'online', last_seen_at: null, live: null, ...over }) as Server;

function manualStore() {
  const flushes: (() => void)[] = [];
  const store = new LiveStore((flush) => flushes.push(flush));
  return {
    store,
    flush: () => flushes.splice(0).forEach((run) => void run()),
    waiting: () => flushes.length,
  };
}

describe('LiveStore', () => {
  it('calls_a_listener_once_per_frame_however_many_events_come', () => {
    const { store, flush, waiting } = manualStore();
    let calls = 0;
    store.subscribe('a', () => {
      calls += 1;
    });
    for (let n = 0; n < 100; n += 1) store.apply(event('server.live', live(n)), 1_000);
    expect(waiting()).toBe(1);
    expect(calls).toBe(0);
    flush();
    expect(calls).toBe(1);
    expect(store.get('a')?.live?.cpu_percent).toBe(99);
  });

  it('does_not_wake_listeners_of_other_servers', () => {
    const { store, flush } = manualStore();
    let calls = 0;
    store.subscribe('b', () => {
      calls += 1;
    });
    store.apply(event('server.live', live(1)), 1_000);
    flush();
    expect(calls).toBe(0);
  });

  it('keeps_an_event_over_an_answer_that_was_asked_for_before_it', () => {
    const { store } = manualStore();
    store.apply(event('server.status', { status: 'offline', last_seen_at: null }), 2_000);
    store.seed([server()], 1_000);
    expect(store.get('a')?.status).toBe('offline');
    store.seed([server()], 3_000);
    expect(store.get('a')?.status).toBe('online');
  });

  it('takes_the_status_from_an_answer_when_only_samples_came_before', () => {
    const { store } = manualStore();
    store.apply(event('server.live', live(1)), 2_000);
    store.seed([server({ status: 'suspect' })], 1_000);
    expect(store.get('a')?.status).toBe('suspect');
    expect(store.get('a')?.live?.cpu_percent).toBe(1);
  });

  it('shows_minutes_without_samples_as_gaps', () => {
    const { store } = manualStore();
    store.seed([server({ spark: { step_s: 60, cpu_percent: [1, 2, 3], memory_percent: [1, 2, 3] } })], 0);
    store.apply(event('server.live', live(9)), 10_000);
    expect(store.get('a')?.cpuSpark).toEqual([1, 2, 9]);
    store.apply(event('server.live', live(5)), 190_000);
    expect(store.get('a')?.cpuSpark).toEqual([1, 2, 9, null, null, 5]);
  });

  it('bounds_what_it_records', () => {
    const { store } = manualStore();
    const stop = store.record('a');
    for (let n = 0; n < 5_000; n += 1) store.apply(event('server.live', live(n, String(n))), n);
    expect(store.recentOf('a').length).toBe(600);
    expect(store.recentOf('a').at(-1)?.cpu_percent).toBe(4_999);
    stop();
    expect(store.recentOf('a')).toEqual([]);
  });

  it('forgets_a_deleted_server', () => {
    const { store } = manualStore();
    store.seed([server()], 0);
    store.apply(event('server.deleted', {}), 1_000);
    expect(store.get('a')).toBeUndefined();
  });
});
