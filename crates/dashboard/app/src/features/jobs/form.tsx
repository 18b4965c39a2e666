import { useQuery } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { ChevronRight, Play } from 'lucide-react';
import { type KeyboardEvent, useDeferredValue, useState } from 'react';
import { toApiError } from '@/api/error';
import type { Server } from '@/api/types';
import { serverChoicesQuery, serverQuery } from '@/features/servers/data';
import { t } from '@/i18n';
import { Button } from '@/kit/button';
import { Combobox } from '@/kit/combobox';
import { Field } from '@/kit/field';
import { Input, Textarea } from '@/kit/input';
import { Kbd, modKey } from '@/kit/kbd';
import { Page } from '@/kit/page';
import { Segmented } from '@/kit/segmented';
import { Select } from '@/kit/select';
import { ErrorState, InlineError, NoPermission, Notice, Skeleton } from '@/kit/states';
import { ServerStatusMark } from '@/kit/status';
import { useForm } from '@/kit/use-form';
import { useMay } from '@/shell/session';
import { createJob, jobQuery } from './data';
import { argsOf, type RunValues, TIMEOUTS, validateRun, valuesLike } from './validate';

export function RunCommandPage() {
  const mayExec = useMay('servers.exec');
  const { server: serverId, like } = useSearch({ from: '/inside/jobs/new' });
  const earlier = useQuery({ ...jobQuery(like ?? ''), enabled: like !== undefined });
  const chosen = serverId ?? earlier.data?.server_id;
  const server = useQuery({
    ...serverQuery(chosen ?? ''),
    enabled: chosen !== undefined,
    refetchInterval: false,
  });
  if (!mayExec) return <NoPermission />;
  const failed = earlier.error ?? server.error;
  const isWaiting = (like !== undefined && earlier.isPending) || (chosen !== undefined && server.isPending);
  return (
    <Page title={t('jobs.form.title')} description={t('jobs.form.body')} width="reading">
      {failed ? (
        <ErrorState
          error={toApiError(failed)}
          onRetry={() => void Promise.all([earlier.refetch(), server.refetch()])}
        />
      ) : isWaiting ? (
        <Skeleton className="h-72 w-full rounded-lg" />
      ) : (
        <RunForm
          initial={earlier.data ? valuesLike(earlier.data) : { ...blank, serverId: chosen ?? '' }}
          server={server.data ?? null}
        />
      )}
    </Page>
  );
}

const blank: RunValues = {
  serverId: '',
  mode: 'shell',
  command: '',
  argv: '',
  cwd: '',
  user: '',
  env: '',
  stdin: '',
  timeout: '3600',
};

function RunForm({ initial, server: first }: { initial: RunValues; server: Server | null }) {
  const navigate = useNavigate();
  const [server, setServer] = useState<Server | null>(first);
  const form = useForm({
    initial,
    validate: validateRun,
    submit: (values) =>
      createJob({ serverId: values.serverId, args: argsOf(values), timeoutSeconds: Number(values.timeout) }),
    onDone: (job) => void navigate({ to: '/jobs/$jobId', params: { jobId: job.id } }),
  });
  const { values, errors, set } = form;
  const [more, setMore] = useState(Boolean(initial.cwd || initial.user || initial.env || initial.stdin));
  const showMore = more || Boolean(errors.cwd || errors.env || errors.user || errors.stdin);
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === 'Enter' && (event.metaKey || event.ctrlKey)) void form.send(event);
  };
  return (
    <form className="flex flex-col gap-5" noValidate onSubmit={form.send} onKeyDown={onKeyDown}>
      <Field label={t('jobs.column.server')} error={errors.serverId}>
        <ServerPicker
          value={server}
          onChange={(next) => {
            setServer(next);
            set('serverId', next?.id ?? '');
          }}
        />
      </Field>
      {server?.status === 'offline' && <Notice>{t('jobs.form.offline')}</Notice>}
      <div className="flex flex-col gap-2">
        <Segmented
          label={t('jobs.form.mode')}
          className="self-start"
          value={values.mode}
          options={[
            { value: 'shell', label: t('jobs.form.mode_shell') },
            { value: 'argv', label: t('jobs.form.mode_argv') },
          ]}
          onChange={(mode) => set('mode', mode)}
        />
        {values.mode === 'shell' ? (
          <Field label={t('jobs.column.command')} hint={t('jobs.form.command_hint')} error={errors.command}>
            <Textarea
              value={values.command}
              onChange={(event) => set('command', event.target.value)}
              spellCheck={false}
              autoCapitalize="off"
              placeholder="df -h && uptime"
              rows={4}
              autoFocus={first !== null}
              className="font-mono"
            />
          </Field>
        ) : (
          <Field label={t('jobs.form.argv')} hint={t('jobs.form.argv_hint')} error={errors.argv}>
            <Textarea
              value={values.argv}
              onChange={(event) => set('argv', event.target.value)}
              spellCheck={false}
              autoCapitalize="off"
              placeholder={'/usr/bin/du\n-sh\n/var/log'}
              rows={5}
              className="font-mono"
            />
          </Field>
        )}
      </div>
      <div>
        <button
          type="button"
          aria-expanded={showMore}
          onClick={() => setMore(!showMore)}
          className="flex items-center gap-1 rounded-sm text-fg-2 text-sm hover:text-fg"
        >
          <ChevronRight
            aria-hidden
            className={showMore ? 'size-3.5 rotate-90 transition-transform' : 'size-3.5 transition-transform'}
          />
          {t('jobs.form.more')}
        </button>
        {showMore && (
          <div className="mt-4 grid gap-4 sm:grid-cols-2">
            <Field label={t('jobs.form.cwd')} optional={t('common.optional')} error={errors.cwd}>
              <Input
                value={values.cwd}
                placeholder="/"
                spellCheck={false}
                className="font-mono"
                onChange={(event) => set('cwd', event.target.value)}
              />
            </Field>
            <Field label={t('jobs.form.user')} optional={t('common.optional')} error={errors.user}>
              <Input
                value={values.user}
                placeholder="root"
                spellCheck={false}
                autoCapitalize="off"
                className="font-mono"
                onChange={(event) => set('user', event.target.value)}
              />
            </Field>
            <Field
              label={t('jobs.form.env')}
              optional={t('common.optional')}
              hint={t('jobs.form.env_hint')}
              error={errors.env}
            >
              <Textarea
                value={values.env}
                placeholder={'LANG=C'}
                spellCheck={false}
                className="font-mono"
                onChange={(event) => set('env', event.target.value)}
              />
            </Field>
            <Field
              label={t('jobs.form.stdin')}
              optional={t('common.optional')}
              hint={t('jobs.form.stdin_hint')}
              error={errors.stdin}
            >
              <Textarea
                value={values.stdin}
                spellCheck={false}
                className="font-mono"
                onChange={(event) => set('stdin', event.target.value)}
              />
            </Field>
          </div>
        )}
      </div>
      <Field label={t('jobs.form.timeout')} className="max-w-48" hint={t('jobs.form.timeout_hint')}>
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

interface ServerPickerProps {
  value: Server | null;
  onChange: (server: Server | null) => void;
  id?: string;
  'aria-invalid'?: boolean;
  'aria-describedby'?: string;
}

function ServerPicker({ value, onChange, ...control }: ServerPickerProps) {
  const [query, setQuery] = useState('');
  const choices = useQuery(serverChoicesQuery(useDeferredValue(query.trim()))).data ?? [];
  const offered = choices.filter((server) => server.status !== 'revoked');
  return (
    <Combobox
      {...control}
      value={value}
      items={offered}
      onChange={onChange}
      onQuery={setQuery}
      labelOf={(server) => server.name}
      keyOf={(server) => server.id}
      hintOf={(server) => <ServerStatusMark status={server.status} />}
      placeholder={t('jobs.form.server_placeholder')}
      nothing={t('jobs.form.no_server')}
    />
  );
}
