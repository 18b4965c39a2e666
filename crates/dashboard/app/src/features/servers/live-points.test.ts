import { describe, expect, it } from 'vitest';
import type { Live, Metrics } from '@/api/types';
import { withLive } from './live-points';

const at = (seconds: number, cpu: number): Live => ({
  at: new Date(seconds * 1_000).toISOString(),
  cpu_percent: cpu,
  memory_percent: 50,
  disk_percent: 1,
  load1: 0,
  rx_bytes_per_s: 0,
  tx_bytes_per_s: 0,
  uptime_s: 1,
});

const history = (t: number[], cpu: (number | null)[]): Metrics => ({
  from: '',
  to: '',
  step_s: 10,
  t,
  series: { 'cpu.percent': cpu },
});

describe('withLive', () => {
  it('puts_live_samples_behind_history_without_going_back_in_time', () => {
    const plot = withLive(history([10, 20, 30], [1, 2, 3]), [at(25, 7), at(26, 8)], ['cpu.percent'], 0, null);
    expect(plot.times).toEqual([10, 20, 25, 26]);
    expect(plot.values['cpu.percent']).toEqual([1, 2, 7, 8]);
  });

  it('draws_a_long_silence_as_a_gap', () => {
    const plot = withLive(undefined, [at(10, 1), at(200, 2)], ['cpu.percent'], 0, null);
    expect(plot.values['cpu.percent']).toEqual([1, null, 2]);
  });

  it('turns_percent_into_bytes_when_the_size_is_known', () => {
    expect(
      withLive(undefined, [at(10, 1)], ['memory.used_bytes'], 0, 1_000).values['memory.used_bytes'],
    ).toEqual([500]);
    expect(
      withLive(undefined, [at(10, 1)], ['memory.used_bytes'], 0, null).values['memory.used_bytes'],
    ).toEqual([null]);
  });
});
