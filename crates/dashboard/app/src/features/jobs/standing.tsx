import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { Clock, type LucideIcon, RefreshCw, ScissorsLineDashed, Trash2, TriangleAlert } from 'lucide-react';
import type { ReactNode } from 'react';
import { isFinished } from '@/api/job-state';
import type { Job, ServerDetail } from '@/api/types';
import { serverQuery } from '@/features/servers/data';
import { useMayAt } from '@/features/servers/may';
import { whoForbids } from '@/features/servers/policy/rules';
import { t } from '@/i18n';
import { Notice, sentence } from '@/kit/states';
import { Time } from '@/kit/time';
import { useLive } from '@/shell/live';
import { queueQuery } from './data';
import { explainError, queueNote, queueOf, stateNote } from './words';

/** What the job's state means, why it is so, and what happens next, wherever the word alone does not say it. */
export function JobStanding({ job }: { job: Job }) {
  const note = stateNote(job.state);
  return (
    <div className="mb-3 flex shrink-0 flex-col gap-2 empty:hidden">
      {job.state === 'queued' && <Queued job={job} />}
      {note && !job.error && (
        <Note icon={job.state === 'reconciling' ? RefreshCw : isFinished(job.state) ? TriangleAlert : Clock}>
          {note}
        </Note>
      )}
      {job.error && <Failure job={job} error={job.error} note={note} />}
      {job.log.truncated && <Note icon={ScissorsLineDashed}>{t('jobs.log_truncated')}</Note>}
      {job.log.removed_at && (
        <Note icon={Trash2}>
          {t('jobs.log_removed')} <Time at={job.log.removed_at} look="date" />. {t('jobs.log_removed_more')}
        </Note>
      )}
    </div>
  );
}

function Note({ icon, children }: { icon: LucideIcon; children: ReactNode }) {
  return (
    <Notice icon={icon} tone="idle">
      {children}
    </Notice>
  );
}

function Queued({ job }: { job: Job }) {
  const mayRead = useMayAt('servers.read', job.server_id);
  const server = useQuery({ ...serverQuery(job.server_id), enabled: mayRead, refetchInterval: false });
  if (!server.data) {
    return (
      <Note icon={Clock}>
        <Expiry job={job} why={t('status.job_means.queued')} />
      </Note>
    );
  }
  return <QueuedOn job={job} server={server.data} />;
}

function QueuedOn({ job, server }: { job: Job; server: ServerDetail }) {
  const { status, lastSeenAt } = useLive(server);
  const queue = useQuery({ ...queueQuery(job.server_id), enabled: status === 'online' });
  const unfinished = queue.data ?? [];
  if (status === 'revoked') {
    return (
      <Note icon={Clock}>
        <Expiry job={job} why={t('jobs.queue.revoked', { name: server.name })} />
      </Note>
    );
  }
  if (status !== 'online') {
    return (
      <Note icon={Clock}>
        <Expiry
          job={job}
          why={
            <>
              {t('jobs.queue.away', { name: server.name })}
              {lastSeenAt && (
                <>
                  {' '}
                  {t('jobs.queue.last_heard')} <Time at={lastSeenAt} />.
                </>
              )}
            </>
          }
        />
      </Note>
    );
  }
  return (
    <Note icon={Clock}>
      <Expiry job={job} why={queueNote(job, queueOf(job, unfinished))} />
    </Note>
  );
}

function Expiry({ job, why }: { job: Job; why: ReactNode }) {
  return (
    <>
      {why} {t('jobs.queue.given_up')} <Time at={job.expires_at} /> {t('jobs.queue.given_up_unless')}
    </>
  );
}

/** The error in words: what happened, who is behind it, what to do; then what the hub or the agent said itself. */
function Failure({ job, error, note }: { job: Job; error: NonNullable<Job['error']>; note: string | null }) {
  const explained = explainError(error.code);
  if (!explained) {
    return (
      <Notice icon={TriangleAlert}>
        {sentence(error.message)} <Code>{error.code}</Code>
      </Notice>
    );
  }
  return (
    <Notice icon={TriangleAlert}>
      <p className="font-medium">{explained.what}</p>
      {error.code === 'policy_denied' ? <WhoForbids job={job} /> : <p>{explained.next}</p>}
      {note && <p>{note}</p>}
      <p className="mt-1 text-xs">
        {sentence(error.message)} <Code>{error.code}</Code>
      </p>
    </Notice>
  );
}

function Code({ children }: { children: string }) {
  return <span className="font-mono text-xs">{children}</span>;
}

/** Whose rule it was, by the policy as it is now, and where it can be changed. */
function WhoForbids({ job }: { job: Job }) {
  const mayRead = useMayAt('servers.read', job.server_id);
  const server = useQuery({ ...serverQuery(job.server_id), enabled: mayRead, refetchInterval: false });
  const policy = server.data?.policy;
  const forbidden = policy ? whoForbids(policy, job) : null;
  return (
    <p>
      {t(`jobs.forbidden.${forbidden?.by ?? 'unknown'}`)}{' '}
      {server.data && (
        <Link
          to="/servers/$serverId/policy"
          params={{ serverId: job.server_id }}
          className="underline underline-offset-2"
        >
          {t('jobs.see_policy')}
        </Link>
      )}
    </p>
  );
}
