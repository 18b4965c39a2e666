import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { BadgeCheck, Download, FileKey, ShieldAlert, UserRound } from 'lucide-react';
import type { ReactNode } from 'react';
import { api, unwrap } from '@/api/client';
import { type ApiError, toApiError } from '@/api/error';
import { mergeJob } from '@/api/job-state';
import { keys } from '@/api/keys';
import type { Job, JobSigning } from '@/api/types';
import { operatorKeysQuery } from '@/features/account/operator-keys-data';
import { useMayAt } from '@/features/servers/may';
import { t } from '@/i18n';
import { Button } from '@/kit/button';
import { Code, CommandLine, TextBox } from '@/kit/code-block';
import { Disclosure } from '@/kit/disclosure';
import { saveFile } from '@/kit/download';
import { Field } from '@/kit/field';
import { duration } from '@/kit/format';
import { Textarea } from '@/kit/input';
import { Facts, Panel } from '@/kit/page';
import { ErrorState, InlineError, Notice, Skeleton } from '@/kit/states';
import { Badge } from '@/kit/status';
import { Time } from '@/kit/time';
import { toast } from '@/kit/toast';
import { useForm } from '@/kit/use-form';
import { useServerName } from '../data';
import { limitsInWords } from '../limits';
import { fileNameOf, isFor, isSignature, type OpBody, parseOpBody, signCommands } from './op-body';

/** A job that waits for an operator: what would be signed, who may, and how. */
export function SigningCard({ job }: { job: Job }) {
  const signing = useQuery({
    queryKey: keys.jobSigning(job.id),
    queryFn: ({ signal }): Promise<JobSigning> =>
      unwrap(api.GET('/v1/jobs/{id}/signing', { params: { path: { id: job.id } }, signal })),
    staleTime: 0,
  });
  return (
    <section
      aria-labelledby="signing-title"
      className="mb-3 overflow-hidden rounded-lg border border-warn/40 bg-surface"
    >
      <header className="flex items-start gap-3 border-b bg-warn-soft px-4 py-3">
        <FileKey aria-hidden className="mt-0.5 size-4 shrink-0 text-warn" />
        <div className="min-w-0">
          <h2 id="signing-title" className="font-semibold text-base">
            {t('signing.title')}
          </h2>
          <p className="text-fg-2 text-sm">
            {t('signing.body')} {t('signing.given_up')} <Time at={job.expires_at} />.
          </p>
        </div>
      </header>
      {signing.isPending ? (
        <div role="status" aria-label={t('common.loading')} className="flex flex-col gap-3 p-4">
          <Skeleton className="h-24 w-full" />
          <Skeleton className="h-4 w-64" />
        </div>
      ) : signing.isError ? (
        <ErrorState
          className="py-8"
          error={toApiError(signing.error)}
          onRetry={() => void signing.refetch()}
        />
      ) : (
        <Known job={job} signing={signing.data} />
      )}
    </section>
  );
}

function Known({ job, signing }: { job: Job; signing: JobSigning }) {
  const body = parseOpBody(signing.op_body);
  if (!body || !isFor(body, job)) {
    return (
      <div className="p-4">
        <Notice icon={ShieldAlert} tone="bad">
          {body ? t('signing.other_job') : t('signing.unreadable')}
        </Notice>
        <ExactText text={signing.op_body} />
      </div>
    );
  }
  return (
    <div className="grid lg:grid-cols-2">
      <div className="min-w-0 border-b p-4 lg:border-r lg:border-b-0">
        <h3 className="mb-2 font-medium text-sm">{t('signing.what')}</h3>
        <Signed body={body} />
        <ExactText text={signing.op_body} />
      </div>
      <div className="flex min-w-0 flex-col gap-5 p-4">
        <Signers signing={signing} />
        <HowToSign job={job} signing={signing} />
      </div>
    </div>
  );
}

/** Rendered from the signed text alone: what the hub says elsewhere may differ, the signature covers this. */
function Signed({ body }: { body: OpBody }) {
  const serverName = useServerName(body.serverId);
  const limits = limitsInWords(body.limits);
  const rows: (readonly [string, ReactNode])[] = [
    [
      t('jobs.column.server'),
      <span key="s">
        {serverName} <span className="break-all font-mono text-fg-3 text-xs">{body.serverId}</span>
      </span>,
    ],
    [t('jobs.form.user'), <Code key="u" text={body.user} />],
    [t('signing.kind'), <Code key="k" text={body.kind} />],
    ...body.others.map(([name, value]) => [name, <Code key={name} text={value} />] as const),
    [
      t('jobs.form.timeout'),
      body.timeoutSeconds === null ? t('signing.no_limit') : duration(body.timeoutSeconds * 1_000),
    ],
    [t('jobs.form.limits'), limits === '' ? t('common.none') : limits],
    [
      t('signing.valid_until'),
      body.expiresAt ? <Time key="e" at={body.expiresAt} look="date" /> : t('signing.no_limit'),
    ],
  ];
  return (
    <Panel>
      <TextBox text={body.command} label={t('jobs.column.command')} className="border-b text-sm" />
      <Facts rows={rows} />
    </Panel>
  );
}

function ExactText({ text }: { text: string }) {
  return (
    <Disclosure label={t('signing.exact')} className="mt-3">
      <TextBox text={text} label={t('signing.exact')} className="rounded-lg border text-xs" />
    </Disclosure>
  );
}

function Signers({ signing }: { signing: JobSigning }) {
  const mine = useQuery(operatorKeysQuery);
  const own = new Set(mine.data?.data.map((key) => key.fingerprint));
  const listed = signing.operators.filter((operator) => own.has(operator.fingerprint));
  return (
    <div>
      <h3 className="mb-2 font-medium text-sm">{t('signing.who')}</h3>
      {signing.operators.length === 0 ? (
        <Notice icon={ShieldAlert}>{t('signing.no_operators')}</Notice>
      ) : (
        <ul className="divide-y overflow-hidden rounded-lg border">
          {signing.operators.map((operator) => (
            <li key={operator.fingerprint} className="flex items-center gap-2 px-3 py-2 text-sm">
              <UserRound aria-hidden className="size-3.5 shrink-0 text-fg-3" />
              <span className="min-w-0 flex-1">
                <span className="block truncate">{operator.comment || t('signing.no_comment')}</span>
                <span className="block break-all font-mono text-2xs text-fg-3">{operator.fingerprint}</span>
              </span>
              {own.has(operator.fingerprint) && <Badge tone="accent">{t('signing.yours')}</Badge>}
            </li>
          ))}
        </ul>
      )}
      {mine.isSuccess && signing.operators.length > 0 && listed.length === 0 && (
        <p className="mt-2 text-fg-2 text-sm">
          {own.size === 0 ? t('signing.you_have_none') : t('signing.none_of_yours')}{' '}
          <Link to="/account" hash="operator-keys" className="text-accent underline underline-offset-2">
            {t('signing.your_keys')}
          </Link>
        </p>
      )}
      {signing.signatures.map((one) => (
        <p key={one.fingerprint} className="mt-2 flex items-center gap-1.5 text-ok text-sm">
          <BadgeCheck aria-hidden className="size-4" />
          <span>
            {t('signing.signed_by', { name: one.member.name, key: one.key_name })} <Time at={one.at} />
          </span>
        </p>
      ))}
    </div>
  );
}

function HowToSign({ job, signing }: { job: Job; signing: JobSigning }) {
  const client = useQueryClient();
  const mayExec = useMayAt('servers.exec', job.server_id);
  const file = fileNameOf(job.id);
  const commands = signCommands(job.id, signing.namespace);
  const give = useMutation<Job, ApiError, string>({
    mutationFn: (signature) =>
      unwrap(api.POST('/v1/jobs/{id}/signatures', { params: { path: { id: job.id } }, body: { signature } })),
  });
  const form = useForm({
    initial: { signature: '' },
    validate: ({ signature }) => ({
      signature:
        signature.trim() === ''
          ? t('signing.paste_first')
          : isSignature(signature)
            ? undefined
            : t('signing.not_a_signature'),
    }),
    submit: ({ signature }) => give.mutateAsync(`${signature.trim().replaceAll('\r', '')}\n`),
    onDone: (signed) => {
      toast.done(t('signing.done'));
      client.setQueryData<Job>(keys.job(job.id), (known) => mergeJob(known, signed));
      void client.invalidateQueries({ queryKey: keys.jobSigning(job.id) });
      void client.invalidateQueries({ queryKey: keys.jobsUnfinished() });
    },
  });
  return (
    <div>
      <h3 className="mb-2 font-medium text-sm">{t('signing.how')}</h3>
      <ol className="flex flex-col gap-4 text-sm">
        <li>
          <p className="mb-1.5 text-fg-2">{t('signing.step_download')}</p>
          <Button icon={Download} onClick={() => saveFile(file, signing.op_body)}>
            {file}
          </Button>
        </li>
        <li>
          <p className="mb-1.5 text-fg-2">{t('signing.step_sign')}</p>
          <div className="flex flex-col gap-2">
            <CommandLine command={commands.roadstead} label={t('signing.with_roadstead')} compact />
            <p className="text-fg-3 text-xs">{t('signing.or_ssh')}</p>
            <CommandLine command={commands.ssh} label={t('signing.with_ssh')} compact />
          </div>
        </li>
        {mayExec && (
          <li>
            <form noValidate onSubmit={form.send} className="flex flex-col gap-3">
              <Field
                label={t('signing.signature')}
                hint={t('signing.signature_hint', { file: `${file}.sig` })}
                error={form.errors.signature}
              >
                <Textarea
                  value={form.values.signature}
                  rows={4}
                  spellCheck={false}
                  autoComplete="off"
                  placeholder="-----BEGIN SSH SIGNATURE-----"
                  className="font-mono text-xs"
                  onChange={(event) => form.set('signature', event.target.value)}
                />
              </Field>
              {form.failure && <InlineError error={form.failure} />}
              <div>
                <Button type="submit" tone="primary" icon={BadgeCheck} busy={form.busy}>
                  {t('signing.send')}
                </Button>
              </div>
            </form>
          </li>
        )}
      </ol>
    </div>
  );
}
