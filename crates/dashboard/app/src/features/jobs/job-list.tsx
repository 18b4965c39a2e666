import { useInfiniteQuery } from '@tanstack/react-query';
import { Link, useNavigate, useSearch } from '@tanstack/react-router';
import { SquareTerminal, X } from 'lucide-react';
import type { MouseEvent } from 'react';
import { toApiError } from '@/api/error';
import { isFinished } from '@/api/job-state';
import type { Job } from '@/api/types';
import { useMayAt } from '@/features/servers/may';
import { t } from '@/i18n';
import { Button, ButtonLink } from '@/kit/button';
import { cx } from '@/kit/cx';
import { duration } from '@/kit/format';
import { useIsNarrow } from '@/kit/narrow';
import { Panel } from '@/kit/page';
import { useRowKeys } from '@/kit/row-keys';
import { Segmented } from '@/kit/segmented';
import { Empty, ErrorState, LoadingRows, NoPermission } from '@/kit/states';
import { JobStateMark } from '@/kit/status';
import { Table, Td, Th } from '@/kit/table';
import { Time, useNow } from '@/kit/time';
import { useIsDisconnected } from '@/shell/connection-badge';
import { commandOf, jobListQuery, useServerName } from './data';
import type { JobListSearch, StateGroup } from './search';

interface JobListProps {
  from: '/inside/jobs' | '/inside/servers/$serverId/jobs';
  /** Only this server's jobs; its name then needs no column. */
  serverId?: string;
}

export function JobList({ from, serverId }: JobListProps) {
  const search: JobListSearch = useSearch({ from });
  const navigate = useNavigate();
  const chosenServer = serverId ?? search.server;
  const mayRead = useMayAt('jobs.read', serverId);
  const mayExec = useMayAt('servers.exec', chosenServer);
  const isDisconnected = useIsDisconnected();
  const list = useInfiniteQuery({
    ...jobListQuery({ serverId: chosenServer, state: search.state }),
    enabled: mayRead,
  });
  if (!mayRead) return <NoPermission missing={['jobs.read']} />;
  const jobs = list.data?.pages.flatMap((page) => page.data) ?? [];
  const change = (next: JobListSearch) =>
    void navigate({
      to: '.',
      search: ((before: JobListSearch) => ({ ...before, ...next })) as never,
      replace: true,
    });
  const runAction = mayExec && (
    <ButtonLink
      to="/jobs/new"
      search={chosenServer ? { server: chosenServer } : {}}
      tone="primary"
      icon={SquareTerminal}
    >
      {t('shell.run_command')}
    </ButtonLink>
  );
  return (
    <>
      <div className="mb-3 flex flex-wrap items-center gap-2">
        <Segmented<StateGroup | 'all'>
          label={t('jobs.filter_state')}
          value={search.state ?? 'all'}
          options={(['all', 'active', 'signature', 'succeeded', 'failed', 'cancelled'] as const).map(
            (value) => ({
              value,
              label: t(`jobs.group.${value}`),
            }),
          )}
          onChange={(state) => change({ state: state === 'all' ? undefined : state })}
        />
        {!serverId && search.server && (
          <ServerFilter id={search.server} onClear={() => change({ server: undefined })} />
        )}
      </div>
      <Panel className={isDisconnected ? 'opacity-60 grayscale' : undefined}>
        {list.isPending ? (
          <LoadingRows />
        ) : list.isError && jobs.length === 0 ? (
          <ErrorState error={toApiError(list.error)} onRetry={() => void list.refetch()} />
        ) : jobs.length === 0 ? (
          search.state || search.server ? (
            <Empty
              icon={SquareTerminal}
              title={t('jobs.none_match_title')}
              action={
                <Button onClick={() => change({ state: undefined, server: undefined })}>
                  {t('servers.clear_filters')}
                </Button>
              }
            >
              {search.state === 'signature' ? t('jobs.none_to_sign') : t('jobs.none_match_body')}
            </Empty>
          ) : (
            <Empty icon={SquareTerminal} title={t('jobs.none_title')} action={runAction}>
              {t('jobs.none_body')}
            </Empty>
          )
        ) : (
          <JobTable jobs={jobs} withServer={serverId === undefined} />
        )}
      </Panel>
      {list.hasNextPage && (
        <div className="mt-3 flex justify-center">
          <Button busy={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>
            {t('common.load_more')}
          </Button>
        </div>
      )}
    </>
  );
}

function ServerFilter({ id, onClear }: { id: string; onClear: () => void }) {
  return (
    <Button size="sm" onClick={onClear}>
      {useServerName(id)}
      <X aria-label={t('common.remove')} className="size-3" />
    </Button>
  );
}

interface JobTableProps {
  jobs: readonly Job[];
  withServer: boolean;
}

export function JobTable(props: JobTableProps) {
  return useIsNarrow() ? <JobCards {...props} /> : <JobRows {...props} />;
}

function JobCards({ jobs, withServer }: JobTableProps) {
  return (
    <ul aria-label={t('jobs.title')} className="divide-y">
      {jobs.map((job) => (
        <li key={job.id} className="relative px-4 py-2.5">
          <Link
            to="/jobs/$jobId"
            params={{ jobId: job.id }}
            className="block truncate font-mono text-sm after:absolute after:inset-0 after:-outline-offset-2"
          >
            {commandOf(job.args)}
          </Link>
          <div className="mt-0.5 flex items-center gap-3 text-fg-3 text-xs">
            <JobStateMark state={job.state} />
            <span className="min-w-0 flex-1 truncate">{withServer && <ServerName id={job.server_id} />}</span>
            <JobDuration job={job} />
            <Time at={job.created_at} />
          </div>
        </li>
      ))}
    </ul>
  );
}

function JobRows({ jobs, withServer }: JobTableProps) {
  const navigate = useNavigate();
  const rowKeys = useRowKeys(jobs.length, (index) => {
    const job = jobs[index];
    if (job) void navigate({ to: '/jobs/$jobId', params: { jobId: job.id } });
  });
  return (
    <Table label={t('jobs.title')} className="table-fixed">
      <thead>
        <tr>
          <Th className="w-40">{t('jobs.column.state')}</Th>
          <Th>{t('jobs.column.command')}</Th>
          {withServer && <Th className="hidden w-44 md:table-cell">{t('jobs.column.server')}</Th>}
          <Th className="hidden w-28 text-right sm:table-cell">{t('jobs.column.duration')}</Th>
          <Th className="hidden w-36 lg:table-cell">{t('jobs.column.by')}</Th>
          <Th className="w-28 text-right">{t('jobs.column.created')}</Th>
        </tr>
      </thead>
      <tbody onKeyDown={rowKeys.onKeyDown}>
        {jobs.map((job, index) => (
          <JobRow key={job.id} job={job} withServer={withServer} rowProps={rowKeys.rowProps(index)} />
        ))}
      </tbody>
    </Table>
  );
}

interface JobRowProps {
  job: Job;
  withServer: boolean;
  rowProps: ReturnType<ReturnType<typeof useRowKeys>['rowProps']>;
}

function JobRow({ job, withServer, rowProps }: JobRowProps) {
  const navigate = useNavigate();
  const onClick = (event: MouseEvent) => {
    if (event.target instanceof Element && event.target.closest('a, button')) return;
    void navigate({ to: '/jobs/$jobId', params: { jobId: job.id } });
  };
  return (
    <tr
      {...rowProps}
      onClick={onClick}
      className="cursor-pointer -outline-offset-2 hover:bg-hover focus:bg-hover"
    >
      <Td>
        <JobStateMark state={job.state} />
      </Td>
      <Td className="truncate">
        <Link
          to="/jobs/$jobId"
          params={{ jobId: job.id }}
          tabIndex={-1}
          className="block truncate font-mono text-xs hover:underline"
          title={commandOf(job.args)}
        >
          {commandOf(job.args)}
        </Link>
      </Td>
      {withServer && (
        <Td className="hidden truncate text-fg-2 md:table-cell">
          <ServerName id={job.server_id} />
        </Td>
      )}
      <Td className="hidden text-right sm:table-cell">
        <JobDuration job={job} />
      </Td>
      <Td className="hidden truncate text-fg-2 lg:table-cell">{job.created_by.name ?? '–'}</Td>
      <Td className="text-right text-fg-2">
        <Time at={job.created_at} />
      </Td>
    </tr>
  );
}

export function ServerName({ id }: { id: string }) {
  return useServerName(id);
}

/** Counts up while the job runs. */
export function JobDuration({ job }: { job: Job }) {
  const isRunning = job.started_at != null && !isFinished(job.state);
  return (
    <span className={cx('tabular whitespace-nowrap', !isRunning && 'text-fg-2')}>
      {isRunning ? <Elapsed since={job.started_at ?? job.created_at} /> : duration(job.duration_ms)}
    </span>
  );
}

function Elapsed({ since }: { since: string }) {
  const ms = useNow(1_000) - Date.parse(since);
  // Tenths that stand still look broken, so a running clock counts whole seconds.
  return ms < 60_000 ? `${Math.max(0, Math.floor(ms / 1_000))} s` : duration(ms);
}
