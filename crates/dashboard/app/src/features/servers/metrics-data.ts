import { keepPreviousData, queryOptions } from '@tanstack/react-query';
import { api, unwrap } from '@/api/client';
import { keys } from '@/api/keys';
import { RANGES, refreshMs, type TimeRange } from './range';

export const CHART_SERIES = [
  'cpu.percent',
  'cpu.iowait_percent',
  'cpu.steal_percent',
  'memory.used_bytes',
  'memory.cached_bytes',
  'swap.used_bytes',
  'load.1',
  'load.5',
  'load.15',
  'network.rx_bytes_per_s',
  'network.tx_bytes_per_s',
  'disk.read_bytes_per_s',
  'disk.write_bytes_per_s',
  'filesystem.percent',
] as const;

export function metricsQuery(serverId: string, range: TimeRange) {
  return queryOptions({
    queryKey: [...keys.serverMetrics(serverId), range],
    queryFn: ({ signal }) => {
      const now = Math.floor(Date.now() / 1_000);
      const [from, to] = range.kind === 'fixed' ? [range.from, range.to] : [now - RANGES[range.name], now];
      return unwrap(
        api.GET('/v1/servers/{id}/metrics', {
          params: {
            path: { id: serverId },
            query: { from: String(from), to: String(to), series: CHART_SERIES.join(',') },
          },
          signal,
        }),
      );
    },
    refetchInterval: refreshMs(range),
    placeholderData: keepPreviousData,
  });
}
