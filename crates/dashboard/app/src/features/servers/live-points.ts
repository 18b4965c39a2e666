import type { Live, Metrics } from '@/api/types';

/** Series that the live samples carry, and how. */
const fromLive: Record<string, (live: Live, memoryBytes: number | null) => number | null> = {
  'cpu.percent': (live) => live.cpu_percent,
  'memory.percent': (live) => live.memory_percent,
  'memory.used_bytes': (live, memoryBytes) =>
    memoryBytes === null ? null : (live.memory_percent / 100) * memoryBytes,
  'load.1': (live) => live.load1,
  'network.rx_bytes_per_s': (live) => live.rx_bytes_per_s,
  'network.tx_bytes_per_s': (live) => live.tx_bytes_per_s,
  'filesystem.percent': (live) => live.disk_percent,
};

export interface Plot {
  times: number[];
  values: Record<string, (number | null)[]>;
}

/** Silence longer than this between two live samples is a gap. */
const GAP_S = 75;

/**
 * History with the live samples put behind it. Where a sample does not carry a series the newest stored value stays
 * as it is; a long silence between two points is drawn as a gap.
 */
export function withLive(
  history: Metrics | undefined,
  live: readonly Live[],
  names: readonly string[],
  from: number,
  memoryBytes: number | null,
): Plot {
  const firstLive = live[0] ? Date.parse(live[0].at) / 1_000 : Number.POSITIVE_INFINITY;
  const times: number[] = [];
  const values: Record<string, (number | null)[]> = Object.fromEntries(names.map((name) => [name, []]));
  const add = (time: number, pick: (name: string) => number | null) => {
    const last = times.at(-1);
    if (last !== undefined && time <= last) return;
    if (last !== undefined && time - last > GAP_S) {
      times.push(last + 1);
      for (const name of names) values[name]?.push(null);
    }
    times.push(time);
    for (const name of names) values[name]?.push(pick(name));
  };
  history?.t.forEach((time, row) => {
    // Bridged over, rather than drawn as a gap: a stored step without a sample is usual at this resolution.
    const isEmpty = names.every((name) => (history.series[name]?.[row] ?? null) === null);
    if (time >= from && time < firstLive && !isEmpty)
      add(time, (name) => history.series[name]?.[row] ?? null);
  });
  for (const sample of live) {
    const time = Date.parse(sample.at) / 1_000;
    if (time >= from) add(time, (name) => fromLive[name]?.(sample, memoryBytes) ?? null);
  }
  return { times, values };
}

/** Whether every one of these series can be drawn from live samples. */
export function isLiveSeries(names: readonly string[]): boolean {
  return names.every((name) => Object.hasOwn(fromLive, name));
}
