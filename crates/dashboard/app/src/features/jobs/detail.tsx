import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Link, useLocation, useNavigate, useParams } from '@tanstack/react-router';
import { ChevronRight, Pencil, RotateCw, Square } from 'lucide-react';
import { type ReactNode, useEffect, useState } from 'react';
import { toApiError } from '@/api/error';
import { isFinished, mergeJob } from '@/api/job-state';
import { keys } from '@/api/keys';
import type { Job } from '@/api/types';
import { useMayAt } from '@/features/servers/may';
import { t } from '@/i18n';
import { Button, ButtonLink } from '@/kit/button';
import { CopyIcon } from '@/kit/copy-button';
import { cx } from '@/kit/cx';
import { ConfirmDialog } from '@/kit/dialog';
import { duration, shortId } from '@/kit/format';
import { parseHash } from '@/kit/log/link';
import { LogView } from '@/kit/log/log-view';
import { useDocumentTitle } from '@/kit/page';
import { ErrorState, Skeleton } from '@/kit/states';
import { JobStateMark } from '@/kit/status';
import { Time } from '@/kit/time';
import { toast } from '@/kit/toast';
import { NotFoundPage } from '@/shell/fallback';
import { commandOf, jobQuery, useJobActions, useServerName } from './data';
import { JobDuration } from './job-list';
import { limitFacts } from './limits';
import { createLogModel, followLog, searchLog } from './log-source';
import { SigningCard } from './signing/card';
import { JobStanding } from './standing';
import { hasSecrets } from './words';

export function JobPage() {
  const { jobId } = useParams({ from: '/inside/jobs/$jobId' });
  const query = useQuery(jobQuery(jobId));
  if (query.data) return <KnownJob key={jobId} job={query.data} />;
  if (query.isError) {
    const error = toApiError(query.error);
    return error.status === 404 ? (
      <NotFoundPage />
    ) : (
      <ErrorState error={error} onRetry={() => void query.refetch()} />
    );
  }
  return (
    <div role="status" aria-label={t('common.loading')} className="px-4 pt-5 sm:px-6 lg:px-8">
      <Skeleton className="h-7 w-72" />
      <Skeleton className="mt-6 h-96 w-full rounded-lg" />
    </div>
  );
}

function KnownJob({ job }: { job: Job }) {
  const command = commandOf(job.args);
  useDocumentTitle(command.split('\n')[0]?.slice(0, 60) || t('jobs.job'));
  const awaitsSignature = job.state === 'awaiting_signature';
  return (
    <div
      className={cx(
        'mx-auto flex w-full max-w-[1440px] flex-col px-4 pt-4 sm:px-6 lg:px-8',
        // The log fills the screen; what is to be signed takes the room it needs.
        awaitsSignature
          ? 'pb-nav'
          : 'h-[calc(100dvh-56px-env(safe-area-inset-bottom))] pb-3 md:h-dvh md:pb-5',
      )}
    >
      <JobHeader job={job} command={command} />
      <JobStanding job={job} />
      {awaitsSignature ? <SigningCard job={job} /> : <JobLog job={job} />}
    </div>
  );
}

function JobHeader({ job, command }: { job: Job; command: string }) {
  const serverName = useServerName(job.server_id);
  const facts: (readonly [string, ReactNode])[] = [
    [t('jobs.column.duration'), <JobDuration key="d" job={job} />],
    ...(job.exit_code !== null && job.exit_code !== undefined
      ? [[t('jobs.exit_code'), <ExitCode key="e" code={job.exit_code} />] as const]
      : []),
    ...(job.signal ? [[t('jobs.signal'), String(job.signal)] as const] : []),
    [
      t('jobs.started'),
      job.started_at ? <Time key="s" at={job.started_at} look="date" /> : t('jobs.not_started'),
    ],
    [t('jobs.column.by'), job.created_by.name ?? '–'],
    ...(job.args.user ? [[t('jobs.form.user'), job.args.user] as const] : []),
    ...(job.retry_of
      ? [
          [
            t('jobs.retry_of'),
            <Link
              key="r"
              to="/jobs/$jobId"
              params={{ jobId: job.retry_of }}
              className="font-mono text-xs underline"
            >
              {shortId(job.retry_of)}
            </Link>,
          ] as const,
        ]
      : []),
    ...(job.args.cwd ? [[t('jobs.form.cwd'), job.args.cwd] as const] : []),
    [t('jobs.form.timeout'), duration(job.timeout_s * 1_000)],
    ...(job.exclusive ? [[t('jobs.column.queueing'), t('jobs.exclusive')] as const] : []),
    ...limitFacts(job.limits),
    ...(hasSecrets(job)
      ? [[t('jobs.form.secrets'), Object.keys(job.args.secret_env ?? {}).join(', ')] as const]
      : []),
    ...(job.batch_id
      ? [
          [
            t('jobs.batch'),
            <Link
              key="b"
              to="/batches/$batchId"
              params={{ batchId: job.batch_id }}
              className="font-mono text-xs underline"
            >
              {shortId(job.batch_id)}
            </Link>,
          ] as const,
        ]
      : []),
  ];
  return (
    <header className="mb-3 shrink-0">
      <div className="flex items-center gap-1 text-fg-3 text-sm">
        <Link to="/jobs" className="hover:text-fg">
          {t('jobs.title')}
        </Link>
        <ChevronRight aria-hidden className="size-3.5" />
        <Link to="/servers/$serverId" params={{ serverId: job.server_id }} className="truncate hover:text-fg">
          {serverName}
        </Link>
      </div>
      <div className="mt-1 flex flex-wrap items-center gap-x-3 gap-y-2">
        <div className="flex min-w-0 flex-1 basis-64 items-center gap-3">
          <JobStateMark state={job.state} soft />
          <h1 className="min-w-0 truncate font-mono font-medium text-base" title={command}>
            {command.split('\n')[0]}
          </h1>
          <CopyIcon text={command} label={t('jobs.copy_command')} />
        </div>
        <JobActions job={job} />
      </div>
      <dl className="mt-2 flex flex-wrap gap-x-6 gap-y-1 text-sm">
        {facts.map(([name, value]) => (
          <div key={name} className="flex gap-1.5">
            <dt className="text-fg-3">{name}</dt>
            <dd className="tabular">{value}</dd>
          </div>
        ))}
      </dl>
    </header>
  );
}

function ExitCode({ code }: { code: number }) {
  return <span className={code === 0 ? 'font-medium text-ok' : 'font-medium text-bad'}>{code}</span>;
}

function JobActions({ job }: { job: Job }) {
  const navigate = useNavigate();
  const mayCancel = useMayAt('jobs.cancel', job.server_id);
  const mayExec = useMayAt('servers.exec', job.server_id);
  const { cancel, retry } = useJobActions(job);
  const [asking, setAsking] = useState(false);
  const isCancelling = job.cancel_requested_at != null || cancel.isSuccess;
  if (!isFinished(job.state)) {
    return mayCancel ? (
      <>
        <Button icon={Square} busy={isCancelling} onClick={() => setAsking(true)}>
          {isCancelling ? t('jobs.cancelling') : t('jobs.cancel')}
        </Button>
        <ConfirmDialog
          open={asking}
          onClose={() => setAsking(false)}
          title={t('jobs.cancel_title')}
          action={t('jobs.cancel')}
          busy={cancel.isPending}
          error={cancel.error}
          onConfirm={() => cancel.mutate(undefined, { onSuccess: () => setAsking(false) })}
        >
          <p>{t('jobs.cancel_explain')}</p>
        </ConfirmDialog>
      </>
    ) : null;
  }
  if (!mayExec) return null;
  const withSecrets = hasSecrets(job);
  const runAgain = () =>
    retry.mutate(undefined, {
      onSuccess: (next) => void navigate({ to: '/jobs/$jobId', params: { jobId: next.id } }),
      onError: (error) => toast.failed(error),
    });
  return (
    <div className="flex gap-2">
      <ButtonLink
        to="/jobs/new"
        search={{ like: job.id }}
        tone={withSecrets ? 'secondary' : 'ghost'}
        icon={Pencil}
      >
        {t('jobs.edit_and_run')}
      </ButtonLink>
      {/* Secret values are erased when a job ends, so that they must be entered again. */}
      {!withSecrets && (
        <Button icon={RotateCw} busy={retry.isPending} onClick={runAgain}>
          {t('jobs.run_again')}
        </Button>
      )}
    </div>
  );
}

function JobLog({ job }: { job: Job }) {
  const client = useQueryClient();
  const navigate = useNavigate();
  const hash = useLocation({ select: (location) => location.hash });
  const [model, setModel] = useState(() => createLogModel(job, parseHash(hash)));
  const jobId = job.id;
  useEffect(() => {
    const stopping = new AbortController();
    const onEnd = (ended: Job) =>
      client.setQueryData<Job>(keys.job(jobId), (known) => mergeJob(known, ended));
    void followLog(jobId, model, onEnd, stopping.signal);
    return () => stopping.abort();
  }, [client, jobId, model]);
  return (
    <LogView
      model={model}
      label={t('jobs.log')}
      hash={hash}
      onHash={(next) =>
        void navigate({ to: '.', hash: next, replace: true, resetScroll: false, hashScrollIntoView: false })
      }
      downloadUrl={`/v1/jobs/${jobId}/log?download=1`}
      empty={emptyLog(job)}
      searchWhole={(query, from, signal) => searchLog(jobId, query, from, signal)}
      onReadFrom={(offset) => setModel(createLogModel(job, { unit: 'byte', first: offset, last: offset }))}
      className="min-h-72 flex-1"
    />
  );
}

/** Why there is nothing to read, now or for good. */
function emptyLog(job: Job): string {
  if (job.log.removed_at) return t('jobs.log_gone');
  if (!isFinished(job.state)) {
    return job.state === 'running' ? t('jobs.no_output_yet') : t('jobs.not_started_yet');
  }
  return job.started_at === null ? t('jobs.never_ran') : t('jobs.no_output');
}
