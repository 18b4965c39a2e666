import type { Job } from '@/api/types';
import { t } from '@/i18n';

/** What the hub and agents can say of a job that did not end as it should; other codes keep their own message. */
const EXPLAINED = [
  'policy_denied',
  'operator_signature',
  'bad_signature',
  'wrong_server',
  'expired',
  'unknown_kind',
  'no_space',
  'unavailable',
  'outcome_unknown',
  'server_restarted',
  'server_removed',
  'cancelled_on_server',
  'out_of_memory',
  'limits_unavailable',
  'unkillable',
  'batch_halted',
  'secrets_unreadable',
] as const;
type Explained = (typeof EXPLAINED)[number];

export interface Explanation {
  /** What happened, one sentence. */
  what: string;
  /** What to do next. */
  next: string | null;
}

/** An error's code in words; null for codes that nobody has written about. */
export function explainError(code: string): Explanation | null {
  if (!(EXPLAINED as readonly string[]).includes(code)) return null;
  const known = code as Explained;
  return { what: t(`jobs.error.${known}.what`), next: t(`jobs.error.${known}.next`) };
}

/** States whose meaning stands on the job's page, since the word alone leaves a question open. */
const WITH_NOTE = ['sent', 'reconciling', 'interrupted', 'expired', 'lost', 'timed_out'] as const;

export function stateNote(state: Job['state']): string | null {
  return (WITH_NOTE as readonly string[]).includes(state) ? t(`status.job_means.${state}`) : null;
}

export interface Queue {
  /** Jobs of the same server that stand before this one. */
  ahead: number;
  /** One of them, or this one, must be alone. */
  exclusiveAhead: boolean;
}

/** Where the job stands among those of its server that have not ended. */
export function queueOf(job: Job, unfinished: readonly Job[]): Queue {
  const before = unfinished.filter(
    (other) =>
      other.id !== job.id &&
      other.state !== 'awaiting_signature' &&
      (other.state !== 'queued' ||
        other.created_at < job.created_at ||
        (other.created_at === job.created_at && other.id < job.id)),
  );
  return { ahead: before.length, exclusiveAhead: before.some((other) => other.exclusive === true) };
}

/** Why a job that its server could take is not there yet. */
export function queueNote(job: Job, { ahead, exclusiveAhead }: Queue): string {
  if (ahead === 0) return t('jobs.queue.next');
  if (job.exclusive) return t('jobs.queue.alone', { count: ahead });
  return exclusiveAhead ? t('jobs.queue.behind_alone') : t('jobs.queue.behind', { count: ahead });
}

export function hasSecrets(job: Pick<Job, 'args'>): boolean {
  return Object.keys(job.args.secret_env ?? {}).length > 0;
}
