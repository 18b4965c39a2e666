import { useInfiniteQuery } from '@tanstack/react-query';
import { Link, useNavigate, useSearch } from '@tanstack/react-router';
import { CircleDashed, Layers } from 'lucide-react';
import { type MouseEvent, useEffect, useRef } from 'react';
import { toApiError } from '@/api/error';
import type { BatchServer, JobBatch } from '@/api/types';
import { explainError } from '@/features/jobs/words';
import { t } from '@/i18n';
import { Button } from '@/kit/button';
import { cx } from '@/kit/cx';
import { count, duration } from '@/kit/format';
import { useIsNarrow } from '@/kit/narrow';
import { Panel, Section } from '@/kit/page';
import { Segmented } from '@/kit/segmented';
import { Empty, ErrorState, LoadingRows, Skeleton } from '@/kit/states';
import { JobStateMark, Mark } from '@/kit/status';
import { useWindowRowKeys, useWindowRows } from '@/kit/window-rows';
import { batchServersQuery } from './data';
import { ROW_STATES, type RowState } from './search';

const ROW_HEIGHT = 44;
const CARD_HEIGHT = 64;
/** Pause between two readings of the rows, for each page of them that is loaded. */
const REREAD_MS = 1_000;

/** Every server of the batch and how it went there; only rows on screen exist, however many there are. */
export function ResultMatrix({ batch }: { batch: JobBatch }) {
  const { show } = useSearch({ from: '/inside/batches/$batchId' });
  const navigate = useNavigate();
  const isNarrow = useIsNarrow();
  const list = useInfiniteQuery(batchServersQuery(batch.id, show));
  const rows = list.data?.pages.flatMap((page) => page.data) ?? [];
  useRereading(batch, list, list.data?.pages.length ?? 0);
  const expected = show ? batch.counts[show] : batch.counts.total;
  const total = list.hasNextPage ? Math.max(expected, rows.length + 1) : rows.length;
  const onEnd = () => {
    if (list.hasNextPage && !list.isFetching) void list.fetchNextPage();
  };
  const filter = (state: RowState | 'all') =>
    void navigate({
      to: '.',
      search: (state === 'all' ? {} : { show: state }) as never,
      replace: true,
      resetScroll: false,
    });
  const Rows = isNarrow ? MatrixCards : MatrixRows;
  return (
    <Section title={t('batches.matrix')}>
      <Segmented<RowState | 'all'>
        label={t('batches.filter_rows')}
        className="mb-3"
        value={show ?? 'all'}
        options={[
          { value: 'all', label: `${t('batches.group.all')} ${count(batch.counts.total)}` },
          ...ROW_STATES.map((value) => ({
            value,
            label: `${t(`batches.count.${value}`)} ${count(batch.counts[value])}`,
          })),
        ]}
        onChange={filter}
      />
      <Panel className="overflow-visible">
        {list.isPending ? (
          <LoadingRows />
        ) : list.isError && rows.length === 0 ? (
          <ErrorState error={toApiError(list.error)} onRetry={() => void list.refetch()} />
        ) : rows.length === 0 ? (
          <Empty
            icon={Layers}
            title={t('batches.none_match_title')}
            action={<Button onClick={() => filter('all')}>{t('servers.clear_filters')}</Button>}
          >
            {t('batches.none_row_body')}
          </Empty>
        ) : (
          <Rows key={show ?? 'all'} rows={rows} total={total} onEnd={onEnd} />
        )}
      </Panel>
    </Section>
  );
}

interface Rereadable {
  isFetching: boolean;
  refetch: (options: { cancelRefetch: boolean }) => Promise<unknown>;
}

/** Reads the rows again after the counts moved, the less often the more of them are loaded. */
function useRereading(batch: JobBatch, { isFetching, refetch }: Rereadable, pages: number): void {
  const { active, succeeded, failed, waiting } = batch.counts;
  const signature = [batch.state, active, succeeded, failed, waiting].join();
  const read = useRef(signature);
  /** Since when the rows are old: changes that keep coming must not put the reading off. */
  const oldSince = useRef<number | null>(null);
  useEffect(() => {
    if (pages === 0 || isFetching || read.current === signature) return;
    oldSince.current ??= performance.now();
    const wait = REREAD_MS * pages - (performance.now() - oldSince.current);
    const timer = setTimeout(
      () => {
        read.current = signature;
        oldSince.current = null;
        void refetch({ cancelRefetch: false });
      },
      Math.max(0, wait),
    );
    return () => clearTimeout(timer);
  }, [signature, isFetching, pages, refetch]);
}

interface RowsProps {
  rows: readonly BatchServer[];
  total: number;
  onEnd: () => void;
}

function useOpen() {
  const navigate = useNavigate();
  return (row: BatchServer) => {
    if (row.job?.id) void navigate({ to: '/jobs/$jobId', params: { jobId: row.job.id } });
    else void navigate({ to: '/servers/$serverId', params: { serverId: row.server_id } });
  };
}

function MatrixRows({ rows, total, onEnd }: RowsProps) {
  'use no memo';
  const { host, virtual, items, before, after } = useWindowRows({
    loaded: rows.length,
    total,
    height: ROW_HEIGHT,
    onEnd,
  });
  const open = useOpen();
  const { marked, setMarked, onKeyDown } = useWindowRowKeys({
    host,
    loaded: rows.length,
    scrollTo: (index) => virtual.scrollToIndex(index, { align: 'auto' }),
    open: (index) => {
      const row = rows[index];
      if (row) open(row);
    },
  });
  const onClick = (event: MouseEvent, row: BatchServer) => {
    if (!(event.target instanceof Element && event.target.closest('a, button'))) open(row);
  };
  const head =
    'sticky top-0 z-10 h-9 whitespace-nowrap border-b bg-surface px-3 font-medium text-fg-3 text-xs';
  return (
    <div ref={host}>
      <table
        aria-label={t('batches.matrix')}
        aria-rowcount={total + 1}
        onKeyDown={onKeyDown}
        className="w-full table-fixed border-separate border-spacing-0 text-left text-sm"
      >
        <thead>
          <tr aria-rowindex={1}>
            <th scope="col" className={cx(head, 'rounded-tl-lg pl-4')}>
              {t('batches.column.server')}
            </th>
            <th scope="col" className={cx(head, 'w-16 text-right')}>
              {t('batches.column.wave')}
            </th>
            <th scope="col" className={cx(head, 'w-40')}>
              {t('batches.column.state')}
            </th>
            <th scope="col" className={cx(head, 'w-16 text-right')}>
              {t('batches.column.exit_code')}
            </th>
            <th scope="col" className={cx(head, 'w-28 text-right')}>
              {t('batches.column.duration')}
            </th>
            <th scope="col" className={cx(head, 'hidden rounded-tr-lg pr-4 lg:table-cell')}>
              {t('jobs.note')}
            </th>
          </tr>
        </thead>
        <tbody>
          {before > 0 && <Spacer height={before} />}
          {items.map((item) => {
            const row = rows[item.index];
            const cell = cx('h-11 truncate px-3 py-0', item.index < total - 1 && 'border-b');
            if (!row) {
              return (
                <tr key={item.key} aria-rowindex={item.index + 2} aria-busy>
                  <td className="h-11 px-4 py-0">
                    <Skeleton className="h-3 w-48" />
                  </td>
                </tr>
              );
            }
            return (
              <tr
                key={row.server_id}
                data-row={item.index}
                aria-rowindex={item.index + 2}
                tabIndex={item.index === marked ? 0 : -1}
                onFocus={() => setMarked(item.index)}
                onClick={(event) => onClick(event, row)}
                className="cursor-pointer -outline-offset-2 hover:bg-hover focus:bg-hover"
              >
                <td className={cx(cell, 'pl-4')}>
                  <ServerLink row={row} />
                </td>
                <td className={cx(cell, 'tabular text-right text-fg-2')}>{count(row.wave + 1)}</td>
                <td className={cell}>
                  <StateOfRow row={row} />
                </td>
                <td className={cx(cell, 'tabular text-right')}>
                  <ExitCode row={row} />
                </td>
                <td className={cx(cell, 'tabular text-right text-fg-2')}>
                  {row.job ? duration(row.job.duration_ms) : '–'}
                </td>
                <td
                  className={cx(cell, 'hidden pr-4 text-fg-2 lg:table-cell')}
                  title={row.job?.error?.message}
                >
                  {noteOf(row)}
                </td>
              </tr>
            );
          })}
          {after > 0 && <Spacer height={after} />}
        </tbody>
      </table>
    </div>
  );
}

function MatrixCards({ rows, total, onEnd }: RowsProps) {
  'use no memo';
  const { host, virtual, items, offset } = useWindowRows({
    loaded: rows.length,
    total,
    height: CARD_HEIGHT,
    onEnd,
  });
  return (
    <div ref={host}>
      <ul
        aria-label={t('batches.matrix')}
        className="relative overflow-hidden"
        style={{ height: virtual.getTotalSize() }}
      >
        {items.map((item) => {
          const row = rows[item.index];
          return (
            <li
              key={row?.server_id ?? item.key}
              aria-posinset={item.index + 1}
              aria-setsize={total}
              className={cx('absolute inset-x-0 px-4 py-2.5', item.index > 0 && 'border-t')}
              style={{ transform: `translateY(${item.start - offset}px)`, height: CARD_HEIGHT }}
            >
              {row ? <Card row={row} /> : <Skeleton className="h-4 w-40" />}
            </li>
          );
        })}
      </ul>
    </div>
  );
}

function Card({ row }: { row: BatchServer }) {
  return (
    <>
      <div className="flex items-center justify-between gap-3">
        <ServerLink row={row} covers />
        <StateOfRow row={row} />
      </div>
      <p className="mt-0.5 flex gap-3 text-fg-3 text-xs">
        <span>
          {t('batches.column.wave')} {count(row.wave + 1)}
        </span>
        {row.job && <span className="tabular">{duration(row.job.duration_ms)}</span>}
        <span className="min-w-0 truncate">{noteOf(row)}</span>
      </p>
    </>
  );
}

function ServerLink({ row, covers = false }: { row: BatchServer; covers?: boolean }) {
  const look = cx(
    'min-w-0 truncate font-medium hover:underline',
    covers && 'after:absolute after:inset-0 after:-outline-offset-2',
  );
  const tabIndex = covers ? undefined : -1;
  return row.job?.id ? (
    <Link to="/jobs/$jobId" params={{ jobId: row.job.id }} tabIndex={tabIndex} className={look}>
      {row.server_name}
    </Link>
  ) : (
    <Link to="/servers/$serverId" params={{ serverId: row.server_id }} tabIndex={tabIndex} className={look}>
      {row.server_name}
    </Link>
  );
}

function StateOfRow({ row }: { row: BatchServer }) {
  return row.job ? (
    <JobStateMark state={row.job.state} />
  ) : (
    <Mark tone="idle" icon={CircleDashed} text={t('batches.not_begun')} />
  );
}

function ExitCode({ row }: { row: BatchServer }) {
  const code = row.job?.exit_code;
  if (code === null || code === undefined) return <span className="text-fg-3">–</span>;
  return <span className={code === 0 ? 'text-ok' : 'font-medium text-bad'}>{code}</span>;
}

function noteOf({ job }: BatchServer): string {
  if (!job?.error) return '';
  return explainError(job.error.code)?.what ?? job.error.message;
}

function Spacer({ height }: { height: number }) {
  return (
    <tr aria-hidden>
      <td className="p-0" style={{ height }} />
    </tr>
  );
}
