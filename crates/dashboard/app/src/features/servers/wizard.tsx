import { useMutation, useQuery } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { CircleCheck, LoaderCircle } from 'lucide-react';
import { useEffect, useState } from 'react';
import { type ApiError, toApiError } from '@/api/error';
import type { InstallTokenCreated } from '@/api/types';
import { useProjects } from '@/features/projects/data';
import { t } from '@/i18n';
import { Button } from '@/kit/button';
import { CommandLine } from '@/kit/code-block';
import { Field } from '@/kit/field';
import { duration } from '@/kit/format';
import { Input } from '@/kit/input';
import { Page } from '@/kit/page';
import { Select } from '@/kit/select';
import { ErrorState, InlineError, NoPermission } from '@/kit/states';
import { useNow } from '@/kit/time';
import { useForm } from '@/kit/use-form';
import { liveServers } from '@/shell/live';
import { mayDo, WORKSPACE } from '@/shell/rights';
import { useGrants, useMay } from '@/shell/session';
import { createInstallToken, installTokenQuery, serverQuery } from './data';
import { parseLabels } from './labels';

export function AddServerPage() {
  const mayEnroll = useMay('servers.enroll');
  const { token: tokenId, server: serverId, project: projectId } = useSearch({ from: '/inside/servers/new' });
  const navigate = useNavigate({ from: '/servers/new' });
  // The line holds the secret, so it lives only here: after a reload the page still waits, but cannot show it again.
  const [created, setCreated] = useState<InstallTokenCreated | null>(null);
  if (!mayEnroll) return <NoPermission missing={['servers.enroll']} />;
  const startOver = () => {
    setCreated(null);
    void navigate({
      search: (before) => ({ server: before.server, project: before.project }),
      replace: true,
    });
  };
  const onCreated = (next: InstallTokenCreated) => {
    setCreated(next);
    void navigate({ search: (before) => ({ ...before, token: next.id }), replace: true });
  };
  return (
    <Page title={t('servers.wizard.title')} description={t('servers.wizard.body')} width="reading">
      {tokenId === undefined ? (
        serverId === undefined ? (
          <NameStep projectId={projectId} onCreated={onCreated} />
        ) : (
          <AgainStep serverId={serverId} onCreated={onCreated} />
        )
      ) : (
        <WaitStep
          tokenId={tokenId}
          created={created?.id === tokenId ? created : null}
          onStartOver={startOver}
        />
      )}
    </Page>
  );
}

const NO_PROJECT = 'none';

/** The projects that the caller may add servers to, and whether a server may be in none. */
function useProjectChoice() {
  const grants = useGrants();
  const projects = useProjects().filter((one) => mayDo(grants, 'servers.enroll', { projectId: one.id }));
  return { projects, mayBeInNone: mayDo(grants, 'servers.enroll', WORKSPACE) };
}

function NameStep({
  projectId,
  onCreated,
}: {
  projectId: string | undefined;
  onCreated: (token: InstallTokenCreated) => void;
}) {
  const { projects, mayBeInNone } = useProjectChoice();
  // Who may add servers to some projects only begins with the first of them.
  const first = mayBeInNone ? NO_PROJECT : (projects[0]?.id ?? NO_PROJECT);
  const offered = (id: string) =>
    id === NO_PROJECT || projects.some((project) => project.id === id) ? id : first;
  const form = useForm({
    initial: { name: '', labels: '', project_id: projectId ?? '' },
    validate: ({ labels }) => ({ labels: parseLabels(labels).error }),
    submit: ({ name, labels, project_id }) => {
      const project = offered(project_id);
      return createInstallToken({
        name: name.trim(),
        labels: parseLabels(labels).labels ?? {},
        projectId: project === NO_PROJECT ? undefined : project,
      });
    },
    onDone: onCreated,
  });
  const chosen = offered(form.values.project_id);
  return (
    <form className="flex max-w-md flex-col gap-4" noValidate onSubmit={form.send}>
      <Field
        label={t('servers.column.name')}
        optional={t('common.optional')}
        hint={t('servers.wizard.name_hint')}
        error={form.errors.name}
      >
        <Input
          value={form.values.name}
          placeholder="web-1"
          autoFocus
          onChange={(event) => form.set('name', event.target.value)}
        />
      </Field>
      <Field
        label={t('servers.column.labels')}
        optional={t('common.optional')}
        hint={t('servers.labels_hint')}
        error={form.errors.labels}
      >
        <Input
          value={form.values.labels}
          placeholder="env:prod, role:web"
          onChange={(event) => form.set('labels', event.target.value)}
        />
      </Field>
      {projects.length > 0 && (
        <Field label={t('projects.of_project')} error={form.errors.project_id}>
          <Select
            label={t('projects.of_project')}
            value={chosen}
            options={[
              ...(mayBeInNone ? [{ value: NO_PROJECT, label: t('projects.none') }] : []),
              ...projects.map(({ id, name }) => ({ value: id, label: name })),
            ]}
            onChange={(project_id) => form.set('project_id', project_id)}
          />
        </Field>
      )}
      {form.failure && <InlineError error={form.failure} />}
      <div>
        <Button type="submit" tone="primary" busy={form.busy}>
          {t('servers.wizard.create')}
        </Button>
      </div>
    </form>
  );
}

/** For a server that is known already: its agent was revoked, lost or the machine is new. */
function AgainStep({
  serverId,
  onCreated,
}: {
  serverId: string;
  onCreated: (token: InstallTokenCreated) => void;
}) {
  const server = useQuery(serverQuery(serverId));
  const create = useMutation<InstallTokenCreated, ApiError>({
    mutationFn: () => createInstallToken({ name: '', labels: {}, serverId }),
    onSuccess: onCreated,
  });
  if (server.isError)
    return <ErrorState error={toApiError(server.error)} onRetry={() => void server.refetch()} />;
  const name = server.data?.name ?? '';
  return (
    <section className="flex flex-col items-start gap-4">
      <div>
        <h2 className="font-semibold text-base">{t('servers.wizard.reenroll_title', { name })}</h2>
        <p className="mt-1 text-fg-2 text-sm">{t('servers.wizard.reenroll_body', { name })}</p>
      </div>
      {create.error && <InlineError error={create.error} />}
      <Button tone="primary" busy={create.isPending} onClick={() => create.mutate()}>
        {t('servers.wizard.create')}
      </Button>
    </section>
  );
}

interface WaitStepProps {
  tokenId: string;
  created: InstallTokenCreated | null;
  onStartOver: () => void;
}

function WaitStep({ tokenId, created, onStartOver }: WaitStepProps) {
  const token = useQuery(installTokenQuery(tokenId));
  if (token.isError && toApiError(token.error).status === 404) {
    return <ErrorState error={toApiError(token.error)} onRetry={onStartOver} />;
  }
  const status = token.data?.status ?? 'pending';
  const serverId = token.data?.server_id ?? null;
  if (status === 'expired') {
    return (
      <div className="flex flex-col items-start gap-4">
        <p className="text-fg-2">{t('servers.wizard.expired')}</p>
        <Button tone="primary" onClick={onStartOver}>
          {t('servers.wizard.new_line')}
        </Button>
      </div>
    );
  }
  return (
    <div className="flex flex-col gap-6">
      {created ? (
        <section>
          <h2 className="mb-2 font-semibold text-base">{t('servers.wizard.paste_title')}</h2>
          <CommandLine command={created.command} label={t('servers.wizard.command')} />
          <p className="mt-2 text-fg-3 text-xs">{t('servers.wizard.paste_body')}</p>
        </section>
      ) : (
        <p className="text-fg-2 text-sm">{t('servers.wizard.line_gone')}</p>
      )}
      <Waiting serverId={serverId} expiresAt={token.data?.expires_at ?? created?.expires_at ?? null} />
      <div>
        <Button onClick={onStartOver}>{t('servers.wizard.start_over')}</Button>
      </div>
    </div>
  );
}

/** The two things that must happen: the agent registers, and then it reports. The server's page follows by itself. */
function Waiting({ serverId, expiresAt }: { serverId: string | null; expiresAt: string | null }) {
  const navigate = useNavigate();
  const now = useNow(1_000);
  const server = useQuery({
    ...serverQuery(serverId ?? ''),
    enabled: serverId !== null,
    refetchInterval: 2_000,
    retry: true,
  }).data;
  const status = serverId === null ? null : (liveServers.get(serverId)?.status ?? server?.status ?? null);
  const isOnline = status === 'online';
  useEffect(() => {
    if (isOnline && serverId)
      void navigate({
        to: '/servers/$serverId',
        params: { serverId },
        search: { range: 'live' },
        replace: true,
      });
  }, [isOnline, serverId, navigate]);
  const left = expiresAt === null ? null : Date.parse(expiresAt) - now;
  return (
    <ol aria-live="polite" className="overflow-hidden rounded-lg border bg-surface text-sm">
      <Step isDone={serverId !== null} isCurrent={serverId === null} text={t('servers.wizard.waiting')}>
        {serverId === null && left !== null && left > 0 && (
          <span aria-hidden className="tabular text-fg-3 text-xs">
            {t('servers.wizard.valid_for', {
              span: duration(left > 120_000 ? Math.ceil(left / 60_000) * 60_000 : left),
            })}
          </span>
        )}
      </Step>
      <Step isDone={isOnline} isCurrent={serverId !== null} text={t('servers.wizard.first_report')} />
    </ol>
  );
}

interface StepProps {
  isDone: boolean;
  isCurrent: boolean;
  text: string;
  children?: React.ReactNode;
}

function Step({ isDone, isCurrent, text, children }: StepProps) {
  return (
    <li className="flex h-12 items-center gap-3 border-b px-4 last:border-b-0">
      {isDone ? (
        <CircleCheck aria-hidden className="size-4 text-ok" />
      ) : isCurrent ? (
        <LoaderCircle aria-hidden className="size-4 animate-spin text-accent" />
      ) : (
        <span aria-hidden className="mx-0.5 size-3 rounded-full border border-line-strong" />
      )}
      <span className={isDone || isCurrent ? 'flex-1 font-medium' : 'flex-1 text-fg-3'}>{text}</span>
      {children}
    </li>
  );
}
