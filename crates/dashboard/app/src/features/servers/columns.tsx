import { Link } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import type { LiveServer } from '@/api/events/live-store';
import type { Server } from '@/api/types';
import { useProjects } from '@/features/projects/data';
import { t } from '@/i18n';
import { cx } from '@/kit/cx';
import { bytesPerSecond, decimal, duration, percent } from '@/kit/format';
import { Labels } from '@/kit/labels';
import { Meter } from '@/kit/meter';
import { Sparkline } from '@/kit/sparkline';
import { Badge, ServerStatusMark } from '@/kit/status';
import { Time } from '@/kit/time';
import type { ServerSort } from './search';

export interface ServerColumn {
  id: string;
  title: string;
  /** Width and the screens it appears on. */
  className: string;
  sort?: { ascending: ServerSort; descending?: ServerSort };
  /** Shown unless somebody chose otherwise. */
  byDefault: boolean;
  /** Cannot be hidden. */
  fixed?: boolean;
  cell: (server: Server, live: LiveServer) => ReactNode;
}

const number = 'text-right';
/** Values of a server that is silent: the pictures fade, the numbers stay readable. */
const STALE = 'text-fg-3 [&>svg]:opacity-40 [&>[role=meter]]:opacity-40';

export const serverColumns: readonly ServerColumn[] = [
  {
    id: 'name',
    title: t('servers.column.name'),
    className: 'w-auto',
    sort: { ascending: 'name', descending: '-name' },
    byDefault: true,
    fixed: true,
    cell: (server) => (
      <span className="flex min-w-0 items-center gap-2">
        <Link
          to="/servers/$serverId"
          params={{ serverId: server.id }}
          tabIndex={-1}
          className="min-w-0 truncate font-medium hover:underline"
          title={server.name}
        >
          {server.name}
        </Link>
        {server.maintenance && <Badge>{t('servers.maintenance')}</Badge>}
      </span>
    ),
  },
  {
    id: 'status',
    title: t('servers.column.status'),
    className: 'w-28',
    sort: { ascending: 'status' },
    byDefault: true,
    fixed: true,
    cell: (_, live) => <ServerStatusMark status={live.status} />,
  },
  {
    id: 'project',
    title: t('projects.of_project'),
    className: 'w-32 hidden lg:table-cell',
    byDefault: true,
    cell: (server) => <ProjectName id={server.project_id} />,
  },
  {
    id: 'labels',
    title: t('servers.column.labels'),
    className: 'w-52 hidden xl:table-cell',
    byDefault: true,
    cell: (server) => <Labels labels={server.labels} max={2} />,
  },
  {
    id: 'cpu',
    title: t('servers.column.cpu'),
    className: 'w-36',
    byDefault: true,
    cell: (_, live) => (
      <SparkCell points={live.cpuSpark} value={live.live?.cpu_percent} fresh={live.status === 'online'} />
    ),
  },
  {
    id: 'memory',
    title: t('servers.column.memory'),
    className: 'w-36',
    byDefault: true,
    cell: (_, live) => (
      <SparkCell
        points={live.memorySpark}
        value={live.live?.memory_percent}
        fresh={live.status === 'online'}
      />
    ),
  },
  {
    id: 'disk',
    title: t('servers.column.disk'),
    className: 'w-28 hidden lg:table-cell',
    byDefault: true,
    cell: (_, live) => (
      <span className={cx('flex items-center gap-2', live.status !== 'online' && STALE)}>
        <Meter label={t('servers.column.disk')} value={live.live?.disk_percent ?? null} className="w-10" />
        <span className="tabular ml-auto">{percent(live.live?.disk_percent)}</span>
      </span>
    ),
  },
  {
    id: 'load',
    title: t('servers.column.load'),
    className: cx('w-20 hidden xl:table-cell', number),
    byDefault: false,
    cell: (_, live) => <Value text={decimal(live.live?.load1)} fresh={live.status === 'online'} />,
  },
  {
    id: 'network',
    title: t('servers.column.network'),
    className: cx('w-44 hidden 2xl:table-cell', number),
    byDefault: true,
    cell: (_, live) => (
      <Value
        text={
          live.live
            ? `↓ ${bytesPerSecond(live.live.rx_bytes_per_s)}  ↑ ${bytesPerSecond(live.live.tx_bytes_per_s)}`
            : '–'
        }
        fresh={live.status === 'online'}
      />
    ),
  },
  {
    id: 'uptime',
    title: t('servers.column.uptime'),
    className: cx('w-28 hidden xl:table-cell', number),
    byDefault: false,
    cell: (_, live) => (
      <Value text={live.live ? duration(live.live.uptime_s * 1_000) : '–'} fresh={live.status === 'online'} />
    ),
  },
  {
    id: 'os',
    title: t('servers.column.os'),
    className: 'w-36 hidden xl:table-cell',
    byDefault: false,
    cell: (server) => (
      <span className="truncate">{server.host ? `${server.host.os} ${server.host.os_version}` : '–'}</span>
    ),
  },
  {
    id: 'agent',
    title: t('servers.column.agent'),
    className: 'w-24 hidden xl:table-cell',
    byDefault: false,
    cell: (server) => <span className="tabular">{server.agent?.version ?? '–'}</span>,
  },
  {
    id: 'seen',
    title: t('servers.column.last_seen'),
    className: cx('w-28 hidden lg:table-cell', number),
    sort: { ascending: 'last_seen_at', descending: '-last_seen_at' },
    byDefault: true,
    cell: (_, live) => (
      <span className="text-fg-2">
        {live.lastSeenAt ? <Time at={live.lastSeenAt} /> : t('servers.never')}
      </span>
    ),
  },
];

export function ProjectName({ id }: { id: string | null }) {
  const name = useProjects().find((project) => project.id === id)?.name;
  if (id === null || name === undefined) return <span className="text-fg-3">–</span>;
  return (
    <span className="text-fg-2" title={name}>
      {name}
    </span>
  );
}

function Value({ text, fresh }: { text: string; fresh: boolean }) {
  return <span className={cx('tabular whitespace-nowrap', !fresh && STALE)}>{text}</span>;
}

interface SparkCellProps {
  points: readonly (number | null)[];
  value: number | null | undefined;
  fresh: boolean;
}

/** The number is the news, the line is the past; both fade when the server is silent. */
export function SparkCell({ points, value, fresh }: SparkCellProps) {
  return (
    <span className={cx('flex items-center gap-2', !fresh && STALE)}>
      <Sparkline points={points} max={100} className="h-5 min-w-16 max-w-40 flex-1" />
      <span className="tabular ml-auto w-12 text-right">{percent(value)}</span>
    </span>
  );
}
