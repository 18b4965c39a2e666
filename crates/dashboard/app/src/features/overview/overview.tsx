import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { Link, Navigate } from '@tanstack/react-router';
import {
  ArrowRight,
  CircleCheck,
  CircleX,
  FileKey,
  Lock,
  Plus,
  Server as ServerIcon,
  SquareTerminal,
} from 'lucide-react';
import { toApiError } from '@/api/error';
import type { Job, JobBatch, Server, ServerStatus, ServerTotals } from '@/api/types';
import { haltedBatchesQuery } from '@/features/batches/data';
import { awaitingSignatureQuery, commandOf, jobListQuery } from '@/features/jobs/data';
import { JobTable, ServerName } from '@/features/jobs/job-list';
import { serverTotalsQuery, troubledServersQuery } from '@/features/servers/data';
import { t } from '@/i18n';
import { ButtonLink } from '@/kit/button';
import { cx } from '@/kit/cx';
import { count } from '@/kit/format';
import { Page, Panel, Section } from '@/kit/page';
import { Empty, ErrorState, LoadingRows, Skeleton } from '@/kit/states';
import { BatchStateMark, ServerStatusMark, serverSigns } from '@/kit/status';
import { Time } from '@/kit/time';
import { useIsDisconnected } from '@/shell/connection-badge';
import { useLive } from '@/shell/live';
import { onlyServer } from '@/shell/rights';
import { useGrants, useMay } from '@/shell/session';

const SHOWN: readonly ServerStatus[] = ['online', 'suspect', 'offline', 'pending'];
const LATEST = 8;
/** Older failures are history, not news. */
const RECENT_MS = 24 * 3_600_000;

export function OverviewPage() {
  const grants = useGrants();
  const only = onlyServer(grants);
  if (only !== null) return <Navigate to="/servers/$serverId" params={{ serverId: only }} replace />;
  return grants.length === 0 ? <NothingGranted /> : <Overview />;
}

/** For a member who was given nothing yet. */
function NothingGranted() {
  return (
    <Page title={t('overview.title')}>
      <Panel>
        <Empty icon={Lock} className="py-24" title={t('overview.nothing_title')}>
          {t('overview.nothing_body')}
        </Empty>
      </Panel>
    </Page>
  );
}

function Overview() {
  const mayRead = useMay('servers.read');
  const mayEnroll = useMay('servers.enroll');
  const mayExec = useMay('servers.exec');
  const mayReadJobs = useMay('jobs.read');
  const isDisconnected = useIsDisconnected();
  const totals = useQuery({ ...serverTotalsQuery(), enabled: mayRead });
  const isEmpty =
    totals.data !== undefined &&
    SHOWN.every((status) => totals.data[status] === 0) &&
    totals.data.revoked === 0;
  return (
    <Page
      title={t('overview.title')}
      actions={
        !isEmpty && (
          <>
            {mayExec && (
              <ButtonLink to="/jobs/new" icon={SquareTerminal}>
                {t('shell.run_command')}
              </ButtonLink>
            )}
            {mayEnroll && (
              <ButtonLink to="/servers/new" tone="primary" icon={Plus}>
                {t('shell.add_server')}
              </ButtonLink>
            )}
          </>
        )
      }
    >
      {isEmpty ? (
        <Panel>
          <Empty
            icon={ServerIcon}
            className="py-24"
            title={t('overview.welcome_title')}
            action={
              mayEnroll && (
                <ButtonLink to="/servers/new" tone="primary" icon={Plus}>
                  {t('overview.add_first')}
                </ButtonLink>
              )
            }
          >
            {t('overview.welcome_body')}
          </Empty>
        </Panel>
      ) : (
        <div className={cx('flex flex-col gap-8', isDisconnected && 'opacity-60 grayscale')}>
          {!mayRead ? null : totals.isError && !totals.data ? (
            <Panel>
              <ErrorState error={toApiError(totals.error)} onRetry={() => void totals.refetch()} />
            </Panel>
          ) : (
            <Counters totals={totals.data} />
          )}
          {mayRead && <Trouble withJobs={mayReadJobs} />}
          {mayReadJobs && <LatestJobs />}
        </div>
      )}
    </Page>
  );
}

/** How the fleet stands; each number leads to the servers it counts. */
function Counters({ totals }: { totals: ServerTotals | undefined }) {
  const tones = {
    ok: 'text-ok',
    warn: 'text-warn',
    bad: 'text-bad',
    idle: 'text-idle',
    accent: 'text-accent',
  };
  return (
    <nav
      aria-label={t('overview.counters')}
      className="grid grid-cols-2 gap-px overflow-hidden rounded-lg border bg-line sm:grid-cols-4"
    >
      {SHOWN.map((status) => {
        const { icon: Icon, tone } = serverSigns[status];
        const number = totals?.[status];
        return (
          <Link
            key={status}
            to="/servers"
            search={{ status }}
            className="group bg-surface px-4 py-3 -outline-offset-2 transition-colors hover:bg-hover"
          >
            <span className="flex items-center gap-1.5 text-fg-2 text-sm">
              <Icon aria-hidden className={cx('size-3.5', number === 0 ? 'text-fg-3' : tones[tone])} />
              {t(`status.server.${status}`)}
              <ArrowRight
                aria-hidden
                className="ml-auto size-3.5 text-fg-3 opacity-0 transition-opacity group-hover:opacity-100 group-focus-visible:opacity-100"
              />
            </span>
            <span className="mt-1 block h-8">
              {number === undefined ? (
                <Skeleton className="mt-2 h-5 w-10" />
              ) : (
                <span
                  className={cx(
                    'tabular font-semibold text-2xl tracking-[-0.02em]',
                    number === 0 && 'text-fg-3',
                  )}
                >
                  {count(number)}
                </span>
              )}
            </span>
          </Link>
        );
      })}
    </nav>
  );
}

function Trouble({ withJobs }: { withJobs: boolean }) {
  const servers = useQuery(troubledServersQuery);
  const failed = useInfiniteQuery({ ...jobListQuery({ state: 'failed' }), enabled: withJobs });
  const unsigned = useQuery({ ...awaitingSignatureQuery, enabled: withJobs });
  const halted = useQuery({ ...haltedBatchesQuery, enabled: withJobs });
  const batches = halted.data ?? [];
  const toSign = unsigned.data?.count ?? 0;
  const jobs = (failed.data?.pages[0]?.data ?? [])
    .filter((job) => Date.now() - Date.parse(job.created_at) < RECENT_MS)
    .slice(0, 4);
  const isQuiet =
    servers.data?.length === 0 &&
    jobs.length === 0 &&
    toSign === 0 &&
    batches.length === 0 &&
    (failed.isSuccess || !withJobs);
  const isPending =
    servers.isPending || (withJobs && (failed.isPending || unsigned.isPending || halted.isPending));
  return (
    <Section title={t('overview.trouble')}>
      <Panel>
        {isPending ? (
          <LoadingRows rows={2} />
        ) : servers.isError ? (
          <ErrorState error={toApiError(servers.error)} onRetry={() => void servers.refetch()} />
        ) : isQuiet ? (
          <p className="flex h-12 items-center gap-2.5 px-4 text-fg-2 text-sm">
            <CircleCheck aria-hidden className="size-4 text-ok" />
            {t('overview.quiet')}
          </p>
        ) : (
          <ul className="divide-y">
            {toSign > 0 && <JobsToSign count={toSign} isMore={unsigned.data?.isMore ?? false} />}
            {batches.map((batch) => (
              <HaltedBatch key={batch.id} batch={batch} />
            ))}
            {servers.data.map((server) => (
              <TroubledServer key={server.id} server={server} />
            ))}
            {jobs.map((job) => (
              <FailedJob key={job.id} job={job} />
            ))}
          </ul>
        )}
      </Panel>
    </Section>
  );
}

function JobsToSign({ count: waiting, isMore }: { count: number; isMore: boolean }) {
  return (
    <li className="relative flex h-11 items-center gap-3 px-4 text-sm hover:bg-hover">
      <span className="flex w-24 shrink-0 items-center gap-1.5 font-medium text-warn">
        <FileKey aria-hidden className="size-3.5" />
        {t('overview.signature')}
      </span>
      <Link
        to="/jobs"
        search={{ state: 'signature' }}
        className="min-w-0 flex-1 truncate font-medium after:absolute after:inset-0 after:-outline-offset-2"
      >
        {isMore ? t('overview.to_sign_many', { count: waiting }) : t('overview.to_sign', { count: waiting })}
      </Link>
    </li>
  );
}

function HaltedBatch({ batch }: { batch: JobBatch }) {
  return (
    <li className="relative flex h-11 items-center gap-3 px-4 text-sm hover:bg-hover">
      <span className="w-24 shrink-0">
        <BatchStateMark state={batch.state} />
      </span>
      <Link
        to="/batches/$batchId"
        params={{ batchId: batch.id }}
        className="min-w-0 flex-1 truncate font-mono text-xs after:absolute after:inset-0 after:-outline-offset-2"
      >
        {commandOf(batch.args)}
      </Link>
      <span className="hidden max-w-60 truncate text-fg-3 text-xs sm:block">
        {t('batches.failed_of', { failed: count(batch.counts.failed), count: batch.counts.total })}
      </span>
    </li>
  );
}

function TroubledServer({ server }: { server: Server }) {
  const live = useLive(server);
  return (
    <li className="relative flex h-11 items-center gap-3 px-4 text-sm hover:bg-hover">
      <span className="w-24 shrink-0">
        <ServerStatusMark status={live.status} />
      </span>
      <Link
        to="/servers/$serverId"
        params={{ serverId: server.id }}
        className="min-w-0 flex-1 truncate font-medium after:absolute after:inset-0 after:-outline-offset-2"
      >
        {server.name}
      </Link>
      <span className="text-fg-3 text-xs">
        {live.lastSeenAt ? <Time at={live.lastSeenAt} /> : t('servers.never')}
      </span>
    </li>
  );
}

function FailedJob({ job }: { job: Job }) {
  return (
    <li className="relative flex h-11 items-center gap-3 px-4 text-sm hover:bg-hover">
      <span className="flex w-24 shrink-0 items-center gap-1.5 font-medium text-bad">
        <CircleX aria-hidden className="size-3.5" />
        {t(`status.job.${job.state}`)}
      </span>
      <Link
        to="/jobs/$jobId"
        params={{ jobId: job.id }}
        className="min-w-0 flex-1 truncate font-mono text-xs after:absolute after:inset-0 after:-outline-offset-2"
      >
        {commandOf(job.args)}
      </Link>
      <span className="hidden max-w-40 truncate text-fg-3 text-xs sm:block">
        <ServerName id={job.server_id} />
      </span>
      <span className="text-fg-3 text-xs">
        <Time at={job.finished_at ?? job.created_at} />
      </span>
    </li>
  );
}

function LatestJobs() {
  const list = useInfiniteQuery(jobListQuery({}));
  const jobs = list.data?.pages[0]?.data.slice(0, LATEST) ?? [];
  return (
    <Section
      title={t('overview.latest_jobs')}
      actions={
        <Link to="/jobs" className="inline-flex items-center gap-1 text-fg-2 text-sm hover:text-fg">
          {t('overview.all_jobs')}
          <ArrowRight aria-hidden className="size-3.5" />
        </Link>
      }
    >
      <Panel>
        {list.isPending ? (
          <LoadingRows rows={4} />
        ) : list.isError && jobs.length === 0 ? (
          <ErrorState error={toApiError(list.error)} onRetry={() => void list.refetch()} />
        ) : jobs.length === 0 ? (
          <p className="flex h-12 items-center px-4 text-fg-3 text-sm">{t('overview.no_jobs')}</p>
        ) : (
          <JobTable jobs={jobs} withServer />
        )}
      </Panel>
    </Section>
  );
}
