import { useNavigate } from '@tanstack/react-router';
import { type MouseEvent, memo } from 'react';
import type { Server } from '@/api/types';
import { t } from '@/i18n';
import { cx } from '@/kit/cx';
import { Labels } from '@/kit/labels';
import { useIsNarrow } from '@/kit/narrow';
import { Skeleton } from '@/kit/states';
import { ServerStatusMark } from '@/kit/status';
import { SortButton, type SortDirection } from '@/kit/table';
import { Time } from '@/kit/time';
import { useWindowRowKeys, useWindowRows } from '@/kit/window-rows';
import { useLive } from '@/shell/live';
import { type ServerColumn, SparkCell } from './columns';
import type { ServerSort } from './search';

const ROW_HEIGHT = 44;
const CARD_HEIGHT = 112;

interface ServerTableProps {
  servers: readonly Server[];
  columns: readonly ServerColumn[];
  /** Rows there will be when everything is loaded. */
  total: number;
  sort: ServerSort;
  onSort: (sort: ServerSort) => void;
  onLabel: (label: string) => void;
  /** More rows are about to be needed. */
  onEnd: () => void;
}

/** Rows on a desk, cards on a phone; only what is on screen exists. */
export function ServerTable(props: ServerTableProps) {
  const isNarrow = useIsNarrow();
  return isNarrow ? <Cards {...props} /> : <Rows {...props} />;
}

function useRows({ servers, total, onEnd }: ServerTableProps, height: number) {
  'use no memo';
  return useWindowRows({ loaded: servers.length, total, height, onEnd });
}

function Rows(props: ServerTableProps) {
  'use no memo';
  const { servers, columns, total, sort, onSort } = props;
  const { host, virtual, items, before, after } = useRows(props, ROW_HEIGHT);
  const navigate = useNavigate();
  const open = (server: Server) =>
    void navigate({ to: '/servers/$serverId', params: { serverId: server.id } });
  const { marked, setMarked, onKeyDown } = useWindowRowKeys({
    host,
    loaded: servers.length,
    scrollTo: (index) => virtual.scrollToIndex(index, { align: 'auto' }),
    open: (index) => {
      const server = servers[index];
      if (server) open(server);
    },
  });

  return (
    <div ref={host}>
      <table
        aria-label={t('servers.title')}
        aria-rowcount={total + 1}
        onKeyDown={onKeyDown}
        className="w-full table-fixed border-separate border-spacing-0 text-left text-sm"
      >
        <thead>
          <tr aria-rowindex={1}>
            {columns.map((column) => {
              const direction = directionOf(column, sort);
              return (
                <th
                  key={column.id}
                  scope="col"
                  aria-sort={column.sort ? (direction ?? 'none') : undefined}
                  className={cx(
                    'sticky top-0 z-10 h-9 whitespace-nowrap border-b bg-surface px-3 font-medium text-fg-3 text-xs first:rounded-tl-lg first:pl-4 last:rounded-tr-lg last:pr-4',
                    column.className,
                  )}
                >
                  {column.sort ? (
                    <SortButton direction={direction} onClick={() => onSort(nextSort(column.sort, sort))}>
                      {column.title}
                    </SortButton>
                  ) : (
                    column.title
                  )}
                </th>
              );
            })}
          </tr>
        </thead>
        <tbody>
          {before > 0 && <Spacer height={before} />}
          {items.map((item) => {
            const server = servers[item.index];
            if (!server) return <LoadingRow key={item.key} index={item.index} />;
            return (
              <Row
                key={server.id}
                index={item.index}
                server={server}
                columns={columns}
                isMarked={item.index === marked}
                isLast={item.index === total - 1}
                onMark={setMarked}
                onOpen={open}
              />
            );
          })}
          {after > 0 && <Spacer height={after} />}
        </tbody>
      </table>
    </div>
  );
}

interface RowProps {
  index: number;
  server: Server;
  columns: readonly ServerColumn[];
  isMarked: boolean;
  isLast: boolean;
  onMark: (index: number) => void;
  onOpen: (server: Server) => void;
}

const Row = memo(
  function Row({ index, server, columns, isMarked, isLast, onMark, onOpen }: RowProps) {
    const live = useLive(server);
    const onClick = (event: MouseEvent) => {
      if (event.target instanceof Element && event.target.closest('a, button')) return;
      if (window.getSelection()?.toString()) return;
      onOpen(server);
    };
    return (
      <tr
        data-row={index}
        aria-rowindex={index + 2}
        tabIndex={isMarked ? 0 : -1}
        onFocus={() => onMark(index)}
        onClick={onClick}
        className="cursor-pointer -outline-offset-2 hover:bg-hover focus:bg-hover"
      >
        {columns.map((column) => (
          <td
            key={column.id}
            className={cx(
              'h-11 truncate px-3 py-0 first:pl-4 last:pr-4',
              !isLast && 'border-b',
              column.className,
            )}
          >
            {column.cell(server, live)}
          </td>
        ))}
      </tr>
    );
  },
  (a, b) =>
    a.server === b.server &&
    a.columns === b.columns &&
    a.isMarked === b.isMarked &&
    a.index === b.index &&
    a.isLast === b.isLast,
);

/** One cell, not as wide as the table: counting hidden columns in would make room for them. */
function Spacer({ height }: { height: number }) {
  return (
    <tr aria-hidden>
      <td className="p-0" style={{ height }} />
    </tr>
  );
}

function LoadingRow({ index }: { index: number }) {
  return (
    <tr aria-rowindex={index + 2} aria-busy>
      <td className="h-11 px-4 py-0">
        <Skeleton className="h-3 w-48" />
      </td>
    </tr>
  );
}

function Cards(props: ServerTableProps) {
  'use no memo';
  const { servers, onLabel, total } = props;
  const { host, virtual, items, offset } = useRows(props, CARD_HEIGHT);
  return (
    <div ref={host}>
      <ul aria-label={t('servers.title')} className="relative" style={{ height: virtual.getTotalSize() }}>
        {items.map((item) => {
          const server = servers[item.index];
          return (
            <li
              key={server?.id ?? item.key}
              aria-posinset={item.index + 1}
              aria-setsize={total}
              className={cx('absolute inset-x-0', item.index > 0 && 'border-t')}
              style={{ transform: `translateY(${item.start - offset}px)`, height: CARD_HEIGHT }}
            >
              {server ? <Card server={server} onLabel={onLabel} /> : <Skeleton className="m-4 h-4 w-40" />}
            </li>
          );
        })}
      </ul>
    </div>
  );
}

function Card({ server, onLabel }: { server: Server; onLabel: (label: string) => void }) {
  const live = useLive(server);
  const navigate = useNavigate();
  const fresh = live.status === 'online';
  return (
    <div className="relative flex h-full flex-col px-4 py-3">
      <div className="flex items-start justify-between gap-3">
        <button
          type="button"
          onClick={() => void navigate({ to: '/servers/$serverId', params: { serverId: server.id } })}
          className="min-w-0 truncate text-left font-medium text-base after:absolute after:inset-0"
        >
          {server.name}
        </button>
        <ServerStatusMark status={live.status} />
      </div>
      <div className="mt-0.5 flex h-5 items-center gap-2 overflow-hidden text-fg-3 text-xs">
        {live.lastSeenAt ? <Time at={live.lastSeenAt} /> : t('servers.never')}
        <span className="relative">
          <Labels labels={server.labels} max={2} onPick={onLabel} />
        </span>
      </div>
      <dl className="mt-auto grid grid-cols-2 gap-x-6 text-sm">
        {(
          [
            [t('servers.column.cpu'), live.cpuSpark, live.live?.cpu_percent],
            [t('servers.column.memory'), live.memorySpark, live.live?.memory_percent],
          ] as const
        ).map(([title, points, value]) => (
          <div key={title}>
            <dt className="text-2xs text-fg-3">{title}</dt>
            <dd>
              <SparkCell points={points} value={value} fresh={fresh} />
            </dd>
          </div>
        ))}
      </dl>
    </div>
  );
}

function directionOf(column: ServerColumn, sort: ServerSort): SortDirection {
  if (column.sort?.ascending === sort) return 'ascending';
  return column.sort?.descending === sort ? 'descending' : null;
}

function nextSort(sorts: ServerColumn['sort'], current: ServerSort): ServerSort {
  if (!sorts) return current;
  if (sorts.ascending === current) return sorts.descending ?? 'name';
  return sorts.descending === current ? 'name' : sorts.ascending;
}
