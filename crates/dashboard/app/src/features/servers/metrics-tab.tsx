import { useQuery } from '@tanstack/react-query';
import { useNavigate, useParams, useSearch } from '@tanstack/react-router';
import { ZoomOut } from 'lucide-react';
import { lazy, type ReactNode, Suspense } from 'react';
import { toApiError } from '@/api/error';
import type { ServerDetail } from '@/api/types';
import { t } from '@/i18n';
import { Button } from '@/kit/button';
import type { ChartSeries } from '@/kit/chart/chart';
import { type Unit, units } from '@/kit/chart/units';
import { cx } from '@/kit/cx';
import { bytes, dateTime } from '@/kit/format';
import { Meter } from '@/kit/meter';
import { Panel, Section } from '@/kit/page';
import { Segmented } from '@/kit/segmented';
import { ErrorState, Skeleton } from '@/kit/states';
import { Table, Td, Th } from '@/kit/table';
import { useNow } from '@/kit/time';
import { liveServers, useLive } from '@/shell/live';
import { serverQuery } from './data';
import { ServerFacts } from './facts';
import { isLiveSeries, type Plot, withLive } from './live-points';
import { type CHART_SERIES, metricsQuery } from './metrics-data';
import { RANGES, type RangeName, rangeOf, type TimeRange, zoomed } from './range';

const TimeChart = lazy(() => import('@/kit/chart/chart').then((module) => ({ default: module.TimeChart })));

export function MetricsTab() {
  const { serverId } = useParams({ from: '/inside/servers/$serverId' });
  const server = useQuery(serverQuery(serverId)).data;
  if (!server) return null;
  return (
    <div className="flex flex-col gap-8">
      <Charts server={server} />
      <div className="grid gap-8 xl:grid-cols-[minmax(0,3fr)_minmax(0,2fr)]">
        <div className="flex min-w-0 flex-col gap-8">
          <Filesystems server={server} />
          <Interfaces server={server} />
        </div>
        <ServerFacts server={server} />
      </div>
    </div>
  );
}

interface ChartSpec {
  title: string;
  unit: Unit;
  series: readonly {
    name: (typeof CHART_SERIES)[number];
    label: string;
    color: ChartSeries['color'];
    filled?: boolean;
  }[];
}

const specs: readonly ChartSpec[] = [
  {
    title: t('servers.chart.cpu'),
    unit: units.percent,
    series: [
      { name: 'cpu.percent', label: t('servers.chart.busy'), color: 1, filled: true },
      { name: 'cpu.iowait_percent', label: t('servers.chart.iowait'), color: 2 },
      { name: 'cpu.steal_percent', label: t('servers.chart.steal'), color: 3 },
    ],
  },
  {
    title: t('servers.chart.memory'),
    unit: units.bytes,
    series: [
      { name: 'memory.used_bytes', label: t('servers.chart.used'), color: 1, filled: true },
      { name: 'memory.cached_bytes', label: t('servers.chart.cached'), color: 2 },
      { name: 'swap.used_bytes', label: t('servers.chart.swap'), color: 3 },
    ],
  },
  {
    title: t('servers.chart.network'),
    unit: units.bytesPerSecond,
    series: [
      { name: 'network.rx_bytes_per_s', label: t('servers.chart.in'), color: 1, filled: true },
      { name: 'network.tx_bytes_per_s', label: t('servers.chart.out'), color: 2 },
    ],
  },
  {
    title: t('servers.chart.disk_io'),
    unit: units.bytesPerSecond,
    series: [
      { name: 'disk.read_bytes_per_s', label: t('servers.chart.read'), color: 1, filled: true },
      { name: 'disk.write_bytes_per_s', label: t('servers.chart.write'), color: 2 },
    ],
  },
  {
    title: t('servers.chart.load'),
    unit: units.load,
    series: [
      { name: 'load.1', label: t('servers.chart.load1'), color: 1, filled: true },
      { name: 'load.5', label: t('servers.chart.load5'), color: 2 },
      { name: 'load.15', label: t('servers.chart.load15'), color: 3 },
    ],
  },
  {
    title: t('servers.chart.filesystem'),
    unit: units.percent,
    series: [{ name: 'filesystem.percent', label: t('servers.chart.used'), color: 1, filled: true }],
  },
];

function Charts({ server }: { server: ServerDetail }) {
  const search = useSearch({ from: '/inside/servers/$serverId/' });
  const navigate = useNavigate({ from: '/servers/$serverId' });
  const range = rangeOf(search);
  const history = useQuery(metricsQuery(server.id, range));
  const choose = (name: RangeName) =>
    void navigate({ search: name === '1h' ? {} : { range: name }, replace: true });
  const onZoom = (from: number, to: number) => void navigate({ search: zoomed(from, to) });
  return (
    <section aria-label={t('servers.chart.title')}>
      <div className="mb-3 flex flex-wrap items-center gap-2">
        <Segmented
          label={t('servers.chart.range')}
          value={range.kind === 'named' ? range.name : null}
          options={(Object.keys(RANGES) as RangeName[]).map((name) => ({
            value: name,
            label: t(`servers.range.${name}`),
          }))}
          onChange={choose}
        />
        {range.kind === 'fixed' && (
          <>
            <span className="tabular text-fg-2 text-xs">
              {dateTime(new Date(range.from * 1_000).toISOString())} –{' '}
              {dateTime(new Date(range.to * 1_000).toISOString())}
            </span>
            <Button size="sm" tone="ghost" icon={ZoomOut} onClick={() => choose('1h')}>
              {t('servers.chart.reset')}
            </Button>
          </>
        )}
      </div>
      {history.isError && !history.data ? (
        <Panel>
          <ErrorState error={toApiError(history.error)} onRetry={() => void history.refetch()} />
        </Panel>
      ) : (
        <ChartGrid
          server={server}
          range={range}
          onZoom={onZoom}
          isWaiting={history.isPending}
          history={history.data}
        />
      )}
    </section>
  );
}

interface ChartGridProps {
  server: ServerDetail;
  range: TimeRange;
  history: Parameters<typeof withLive>[0];
  isWaiting: boolean;
  onZoom: (from: number, to: number) => void;
}

function ChartGrid({ server, range, history, isWaiting, onZoom }: ChartGridProps) {
  'use no memo';
  const { live, status } = useLive(server);
  const now = Math.floor(useNow(range.kind === 'named' && range.name === 'live' ? 1_000 : 10_000) / 1_000);
  const [from, to] = range.kind === 'fixed' ? [range.from, range.to] : [now - RANGES[range.name], now];
  const memoryBytes = server.memory?.total_bytes ?? server.host?.memory_bytes ?? null;
  // In the live range the samples of this tab continue the stored history; the longer ranges are the hub's alone.
  const isLive = range.kind === 'named' && range.name === 'live';
  void live;
  const plotOf = (names: readonly string[]): Plot =>
    isLive && isLiveSeries(names)
      ? withLive(history, liveServers.recentOf(server.id), names, from, memoryBytes)
      : { times: history?.t ?? [], values: (history?.series ?? {}) as Plot['values'] };
  return (
    <div className="grid gap-px overflow-hidden rounded-lg border bg-line lg:grid-cols-2">
      {specs.map((spec) => {
        const wanted = isLive ? spec.series.filter((one) => isLiveSeries([one.name])) : spec.series;
        const series = wanted.length > 0 ? wanted : spec.series;
        const { times, values } = plotOf(series.map((one) => one.name));
        return (
          <div key={spec.title} className="min-w-0 bg-surface">
            {isWaiting ? (
              <ChartPlaceholder title={spec.title} />
            ) : (
              <Suspense fallback={<ChartPlaceholder title={spec.title} />}>
                <TimeChart
                  title={spec.title}
                  unit={spec.unit}
                  times={times}
                  series={series.map((one) => ({
                    label: one.label,
                    color: one.color,
                    filled: one.filled,
                    values: values[one.name] ?? [],
                  }))}
                  from={from}
                  to={to}
                  group={`server-${server.id}`}
                  onZoom={onZoom}
                  stale={status !== 'online' && range.kind === 'named' && isLive}
                />
              </Suspense>
            )}
          </div>
        );
      })}
    </div>
  );
}

function ChartPlaceholder({ title }: { title: string }) {
  return (
    <div className="px-4 py-3">
      <div className="flex h-7 items-center font-medium text-sm">{title}</div>
      <Skeleton className="mt-1 h-40 w-full opacity-50" />
    </div>
  );
}

function Filesystems({ server }: { server: ServerDetail }) {
  return (
    <Section title={t('servers.filesystems')}>
      <Panel>
        {server.filesystems.length === 0 ? (
          <Nothing>{t('servers.no_filesystems')}</Nothing>
        ) : (
          <Table label={t('servers.filesystems')}>
            <thead>
              <tr>
                <Th>{t('servers.fs.mount')}</Th>
                <Th className="hidden sm:table-cell">{t('servers.fs.type')}</Th>
                <Th className="w-36 sm:w-40">{t('servers.fs.used')}</Th>
                <Th className="text-right">{t('servers.fs.size')}</Th>
                <Th className="hidden text-right md:table-cell">{t('servers.fs.inodes')}</Th>
              </tr>
            </thead>
            <tbody className="tabular">
              {server.filesystems.map((fs) => {
                const used = fs.total_bytes > 0 ? (fs.used_bytes / fs.total_bytes) * 100 : null;
                return (
                  <tr key={fs.mount}>
                    <Td className="max-w-28 truncate font-mono text-xs sm:max-w-48" title={fs.mount}>
                      {fs.mount}
                    </Td>
                    <Td className="hidden text-fg-2 sm:table-cell">{fs.fs}</Td>
                    <Td>
                      <span className="flex items-center gap-2">
                        <Meter label={fs.mount} value={used} className="w-16 shrink-0" />
                        <span className="ml-auto">{units.percent.format(used)}</span>
                      </span>
                    </Td>
                    <Td className="whitespace-nowrap text-right">
                      <span className="hidden sm:inline">
                        {bytes(fs.used_bytes)} <span className="text-fg-3">/ </span>
                      </span>
                      {bytes(fs.total_bytes)}
                    </Td>
                    <Td className="hidden text-right text-fg-2 md:table-cell">
                      {fs.inodes_total > 0
                        ? units.percent.format((fs.inodes_used / fs.inodes_total) * 100)
                        : '–'}
                    </Td>
                  </tr>
                );
              })}
            </tbody>
          </Table>
        )}
      </Panel>
    </Section>
  );
}

function Interfaces({ server }: { server: ServerDetail }) {
  return (
    <Section title={t('servers.interfaces')}>
      <Panel>
        {server.interfaces.length === 0 ? (
          <Nothing>{t('servers.no_interfaces')}</Nothing>
        ) : (
          <Table label={t('servers.interfaces')}>
            <thead>
              <tr>
                <Th>{t('servers.if.name')}</Th>
                <Th className="text-right">{t('servers.if.received')}</Th>
                <Th className="text-right">{t('servers.if.sent')}</Th>
                <Th className="hidden text-right sm:table-cell">{t('servers.if.errors')}</Th>
              </tr>
            </thead>
            <tbody className="tabular">
              {server.interfaces.map((one) => {
                const errors = one.rx_errors + one.tx_errors;
                return (
                  <tr key={one.name}>
                    <Td className="font-mono text-xs">{one.name}</Td>
                    <Td className="text-right">{bytes(one.rx_bytes)}</Td>
                    <Td className="text-right">{bytes(one.tx_bytes)}</Td>
                    <Td
                      className={cx(
                        'hidden text-right sm:table-cell',
                        errors > 0 ? 'text-warn' : 'text-fg-3',
                      )}
                    >
                      {errors}
                    </Td>
                  </tr>
                );
              })}
            </tbody>
          </Table>
        )}
      </Panel>
    </Section>
  );
}

function Nothing({ children }: { children: ReactNode }) {
  return <p className="px-4 py-6 text-center text-fg-3 text-sm">{children}</p>;
}
