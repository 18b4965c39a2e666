import { useQuery } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { Play } from 'lucide-react';
import type { KeyboardEvent } from 'react';
import { toApiError } from '@/api/error';
import type { Server } from '@/api/types';
import { batchQuery, batchServersFirstQuery, createBatch } from '@/features/batches/data';
import { serverQuery } from '@/features/servers/data';
import { t } from '@/i18n';
import { Button } from '@/kit/button';
import { Checkbox } from '@/kit/checkbox';
import { Field } from '@/kit/field';
import { Kbd, modKey } from '@/kit/kbd';
import { Page } from '@/kit/page';
import { Select } from '@/kit/select';
import { ErrorState, InlineError, NoPermission, Skeleton } from '@/kit/states';
import { useForm } from '@/kit/use-form';
import { useMay } from '@/shell/session';
import { createJob, jobQuery } from './data';
import { CommandFields, LimitFields, MoreFields, SecretFields } from './form-command';
import { TargetFields } from './form-target';
import {
  blankRun,
  type ChosenServer,
  commonOf,
  type RunValues,
  selectorOf,
  strategyOf,
  TIMEOUTS,
  validateRun,
  valuesLike,
  valuesLikeBatch,
  WAITS,
} from './validate';

export function RunCommandPage() {
  const mayExec = useMay('servers.exec');
  const { server: serverId, like, like_batch, on } = useSearch({ from: '/inside/jobs/new' });
  const earlier = useQuery({ ...jobQuery(like ?? ''), enabled: like !== undefined });
  const batch = useQuery({ ...batchQuery(like_batch ?? ''), enabled: like_batch !== undefined });
  const batchServers = useQuery({
    ...batchServersFirstQuery(like_batch ?? ''),
    enabled: like_batch !== undefined,
  });
  const chosen = serverId ?? earlier.data?.server_id;
  const server = useQuery({
    ...serverQuery(chosen ?? ''),
    enabled: chosen !== undefined,
    refetchInterval: false,
  });
  if (!mayExec) return <NoPermission missing={['servers.exec']} />;
  const queries = [earlier, batch, batchServers, server];
  const failed = queries.find((query) => query.error)?.error;
  const isWaiting = queries.some((query) => query.fetchStatus !== 'idle' && query.isPending);
  const initial = (): RunValues => {
    if (earlier.data) return valuesLike(earlier.data);
    if (batch.data) return valuesLikeBatch(batch.data, batchServers.data ?? []);
    return { ...blankRun, serverId: chosen ?? '', target: on ?? 'one' };
  };
  return (
    <Page title={t('jobs.form.title')} description={t('jobs.form.body')} width="reading">
      {failed ? (
        <ErrorState
          error={toApiError(failed)}
          onRetry={() => {
            for (const query of queries) if (query.error) void query.refetch();
          }}
        />
      ) : isWaiting ? (
        <Skeleton className="h-72 w-full rounded-lg" />
      ) : (
        <RunForm initial={initial()} server={server.data ?? null} />
      )}
    </Page>
  );
}

type Sent = { job: string } | { batch: string };

async function send(values: RunValues): Promise<Sent> {
  if (values.target === 'one') {
    return { job: (await createJob({ server_id: values.serverId, ...commonOf(values) })).id };
  }
  const strategy = strategyOf(values);
  return { batch: (await createBatch({ selector: selectorOf(values), ...commonOf(values), strategy })).id };
}

function RunForm({ initial, server }: { initial: RunValues; server: Server | null }) {
  const navigate = useNavigate();
  const form = useForm({
    initial,
    validate: validateRun,
    submit: send,
    onDone: (sent) =>
      'job' in sent
        ? void navigate({ to: '/jobs/$jobId', params: { jobId: sent.job } })
        : void navigate({ to: '/batches/$batchId', params: { batchId: sent.batch } }),
  });
  const { values, set } = form;
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === 'Enter' && (event.metaKey || event.ctrlKey)) void form.send(event);
  };
  const known: readonly ChosenServer[] = server ? [server] : [];
  return (
    <form className="flex flex-col gap-5" noValidate onSubmit={form.send} onKeyDown={onKeyDown}>
      <TargetFields form={form} server={server} known={known} />
      <CommandFields form={form} autoFocus={server !== null} />
      <div className="flex flex-col gap-3">
        <MoreFields form={form} initial={initial} />
        <SecretFields form={form} initial={initial} />
        <LimitFields form={form} initial={initial} />
      </div>
      <div className="grid gap-4 sm:grid-cols-2">
        <Field label={t('jobs.form.timeout')} hint={t('jobs.form.timeout_hint')}>
          <Select
            label={t('jobs.form.timeout')}
            value={values.timeout}
            options={TIMEOUTS.map((value) => ({
              value: value as string,
              label: t(`jobs.form.timeouts.${value}`),
            }))}
            onChange={(timeout) => set('timeout', timeout)}
          />
        </Field>
        <Field label={t('jobs.form.expires')} hint={t('jobs.form.expires_hint')}>
          <Select
            label={t('jobs.form.expires')}
            // Unless somebody chooses, the hub's own span holds: a day for a job, an hour for a batch.
            value={values.expires || (values.target === 'one' ? '86400' : '3600')}
            options={WAITS.map((value) => ({
              value: value as string,
              label: t(`jobs.form.waits.${value}`),
            }))}
            onChange={(expires) => set('expires', expires)}
          />
        </Field>
      </div>
      <Checkbox
        label={t('jobs.form.exclusive')}
        hint={t('jobs.form.exclusive_hint')}
        checked={values.exclusive}
        onChange={(exclusive) => set('exclusive', exclusive)}
      />
      {form.failure && <InlineError error={form.failure} />}
      <div className="flex items-center gap-3">
        <Button type="submit" tone="primary" icon={Play} busy={form.busy}>
          {t('jobs.form.run')}
        </Button>
        <span className="hidden items-center gap-1 text-fg-3 text-xs sm:flex">
          <Kbd keys={`${modKey} Enter`} />
        </span>
      </div>
    </form>
  );
}
