import { useQuery } from '@tanstack/react-query';
import { Link, useParams } from '@tanstack/react-router';
import { Ban, ChevronRight, Clock, OctagonPause, Pause, Pencil, Play } from 'lucide-react';
import { type ReactNode, useState } from 'react';
import { toApiError } from '@/api/error';
import type { JobBatch } from '@/api/types';
import { commandOf } from '@/features/jobs/data';
import { limitFacts } from '@/features/jobs/limits';
import { t } from '@/i18n';
import { Button, ButtonLink } from '@/kit/button';
import { CopyIcon } from '@/kit/copy-button';
import { ConfirmDialog } from '@/kit/dialog';
import { count, duration } from '@/kit/format';
import { useDocumentTitle } from '@/kit/page';
import { ErrorState, Notice, Skeleton } from '@/kit/states';
import { BatchStateMark } from '@/kit/status';
import { Time } from '@/kit/time';
import { toast } from '@/kit/toast';
import { NotFoundPage } from '@/shell/fallback';
import { useMay } from '@/shell/session';
import { type BatchAction, batchQuery, useBatchAction } from './data';
import { ResultMatrix } from './matrix';
import { BatchBar, BatchCounts, WaveSteps } from './progress';
import { haltWords, selectorInWords, strategyInWords } from './strategy';

export function BatchPage() {
  const { batchId } = useParams({ from: '/inside/batches/$batchId' });
  const query = useQuery(batchQuery(batchId));
  if (query.data) return <KnownBatch key={batchId} batch={query.data} />;
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
      <Skeleton className="mt-6 h-20 w-full rounded-lg" />
      <Skeleton className="mt-6 h-96 w-full rounded-lg" />
    </div>
  );
}

function KnownBatch({ batch }: { batch: JobBatch }) {
  const command = commandOf(batch.args);
  useDocumentTitle(command.split('\n')[0]?.slice(0, 60) || t('batches.title'));
  return (
    <div className="mx-auto w-full max-w-[1440px] px-4 pt-4 pb-nav sm:px-6 lg:px-8">
      <BatchHeader batch={batch} command={command} />
      <Standing batch={batch} />
      <section aria-label={t('batches.column.progress')} className="mb-8 flex flex-col gap-3">
        <BatchCounts batch={batch} />
        <BatchBar batch={batch} />
        <WaveSteps batch={batch} />
      </section>
      <ResultMatrix batch={batch} />
    </div>
  );
}

function BatchHeader({ batch, command }: { batch: JobBatch; command: string }) {
  const facts: (readonly [string, ReactNode])[] = [
    [t('batches.strategy'), strategyInWords(batch.strategy)],
    [t('jobs.column.by'), batch.created_by.name ?? '–'],
    [t('batches.column.created'), <Time key="c" at={batch.created_at} look="date" />],
    ...(batch.finished_at
      ? [[t('batches.finished'), <Time key="f" at={batch.finished_at} look="date" />] as const]
      : []),
    ...(batch.args.user ? [[t('jobs.form.user'), batch.args.user] as const] : []),
    ...(batch.args.cwd ? [[t('jobs.form.cwd'), batch.args.cwd] as const] : []),
    [t('jobs.form.timeout'), duration(batch.timeout_s * 1_000)],
    [t('jobs.form.expires'), duration(batch.expires_in_s * 1_000)],
    ...(batch.exclusive ? [[t('jobs.column.queueing'), t('jobs.exclusive')] as const] : []),
    ...limitFacts(batch.limits),
  ];
  return (
    <header className="mb-4">
      <div className="flex items-center gap-1 text-fg-3 text-sm">
        <Link to="/batches" className="hover:text-fg">
          {t('batches.title')}
        </Link>
        <ChevronRight aria-hidden className="size-3.5 shrink-0" />
        <span className="truncate">{selectorInWords(batch.selector)}</span>
      </div>
      <div className="mt-1 flex flex-wrap items-center gap-x-3 gap-y-2">
        <div className="flex min-w-0 flex-1 basis-64 items-center gap-3">
          <BatchStateMark state={batch.state} soft />
          <h1 className="min-w-0 truncate font-medium font-mono text-base" title={command}>
            {command.split('\n')[0]}
          </h1>
          <CopyIcon text={command} label={t('jobs.copy_command')} />
        </div>
        <Actions batch={batch} />
      </div>
      <dl className="mt-2 flex flex-wrap gap-x-6 gap-y-1 text-sm">
        {facts.map(([name, value]) => (
          <div key={name} className="flex gap-1.5">
            <dt className="shrink-0 text-fg-3">{name}</dt>
            <dd className="tabular">{value}</dd>
          </div>
        ))}
      </dl>
    </header>
  );
}

/** What stands still and why, and what somebody can do about it. */
function Standing({ batch }: { batch: JobBatch }) {
  if (batch.state === 'halted') {
    const failures = batch.halt?.failures ?? batch.counts.failed;
    return (
      <div className="mb-4">
        <Notice icon={OctagonPause} tone="bad">
          <p className="font-medium">
            {t('batches.halted_title', { count: failures, most: count(batch.strategy.max_failures ?? 0) })}
          </p>
          <div className="text-fg-2">
            <p>{t('batches.halted_what')}</p>
            <p className="mt-1">
              <Link
                to="."
                search={{ show: 'failed' }}
                className="text-fg underline underline-offset-2"
                replace
              >
                {t('batches.halted_look')}
              </Link>
              {'. '}
              {batch.counts.waiting > 0 && t('batches.halted_again')}
            </p>
          </div>
        </Notice>
      </div>
    );
  }
  if (batch.state === 'paused') {
    return (
      <div className="mb-4">
        <Notice icon={Pause} tone="idle">
          {t('batches.paused_what')}
        </Notice>
      </div>
    );
  }
  if (batch.state === 'running' && batch.next_wave_at) {
    return (
      <div className="mb-4">
        <Notice icon={Clock} tone="idle">
          {t('batches.next_wave')} <Time at={batch.next_wave_at} />.
        </Notice>
      </div>
    );
  }
  return null;
}

const DONE_WORDS = {
  pause: () => t('batches.paused_done'),
  resume: () => t('batches.resumed_done'),
  cancel: () => t('batches.cancelled_done'),
};

function Actions({ batch }: { batch: JobBatch }) {
  const mayExec = useMay('servers.exec');
  const mayCancel = useMay('jobs.cancel');
  const act = useBatchAction(batch.id);
  const [asking, setAsking] = useState<BatchAction | null>(null);
  const isHeld = batch.state === 'halted' || batch.state === 'paused';
  if (batch.finished_at !== null || !(isHeld || batch.state === 'running')) {
    return mayExec ? (
      <ButtonLink to="/jobs/new" search={{ like_batch: batch.id }} icon={Pencil}>
        {t('batches.edit_and_run')}
      </ButtonLink>
    ) : null;
  }
  const ask = (action: BatchAction) => {
    act.reset();
    setAsking(action);
  };
  const confirm = (action: BatchAction) =>
    act.mutate(action, {
      onSuccess: () => {
        setAsking(null);
        toast.done(DONE_WORDS[action]());
      },
    });
  const dialog = (action: BatchAction, title: string, label: string, children: ReactNode) => (
    <ConfirmDialog
      open={asking === action}
      onClose={() => setAsking(null)}
      title={title}
      action={label}
      tone={action === 'cancel' ? 'danger' : 'primary'}
      busy={act.isPending}
      error={act.error}
      onConfirm={() => confirm(action)}
    >
      {children}
    </ConfirmDialog>
  );
  return (
    <div className="flex flex-wrap gap-2">
      {mayCancel && (
        <Button icon={Ban} tone={isHeld ? 'ghost' : 'secondary'} onClick={() => ask('cancel')}>
          {t('batches.cancel')}
        </Button>
      )}
      {mayExec && batch.state === 'running' && (
        <Button icon={Pause} onClick={() => ask('pause')}>
          {t('batches.pause')}
        </Button>
      )}
      {mayExec && isHeld && (
        <Button icon={Play} tone="primary" onClick={() => ask('resume')}>
          {t('batches.resume')}
        </Button>
      )}
      {dialog('pause', t('batches.pause_title'), t('batches.pause'), <p>{t('batches.pause_explain')}</p>)}
      {dialog(
        'resume',
        t('batches.resume_title'),
        t('batches.resume'),
        <p>
          {batch.counts.waiting === 0
            ? t('batches.resume_close')
            : [
                t('batches.resume_explain', { count: batch.counts.waiting }),
                ...(batch.state === 'halted' ? [t('batches.resume_explain_halted')] : []),
                haltWords(batch.strategy),
              ].join(' ')}
        </p>,
      )}
      {dialog(
        'cancel',
        t('batches.cancel_title'),
        t('batches.cancel'),
        <>
          {batch.counts.active > 0 && (
            <p>{t('batches.cancel_explain_active', { count: batch.counts.active })}</p>
          )}
          {batch.counts.waiting > 0 && (
            <p>{t('batches.cancel_explain_waiting', { count: batch.counts.waiting })}</p>
          )}
          <p>{t('batches.cancel_final')}</p>
        </>,
      )}
    </div>
  );
}
