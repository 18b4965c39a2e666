import type { AuditEntry } from '@/api/types';
import { t } from '@/i18n';
import { sentence } from '@/kit/states';

const REFUSALS = ['policy_denied', 'operator_signature', 'bad_signature', 'wrong_server', 'expired'] as const;
const EVENTS = [
  'bad_license',
  'bad_mac',
  'bad_restriction',
  'bad_welcome',
  'cloned_credential',
  'hub_key_rotated',
  'rejected_command',
] as const;

export interface EventWords {
  /** What happened, in a few words. */
  what: string;
  /** What the agent said itself. */
  message: string | null;
  jobId: string | null;
}

/** What an agent reported, in words; null for entries whose action says it. */
export function wordsOf(entry: Pick<AuditEntry, 'action' | 'details'>): EventWords | null {
  if (entry.action !== 'security.event' || !isRecord(entry.details)) return null;
  const data: Record<string, unknown> = isRecord(entry.details.data) ? entry.details.data : {};
  const kind = String(entry.details.kind ?? '').replace(/^security\./, '');
  const refusal = REFUSALS.find((code) => kind === 'rejected_command' && code === data.code);
  const event = EVENTS.find((known) => known === kind);
  if (!refusal && !event) return null;
  return {
    what: refusal ? t(`audit.refused.${refusal}`) : t(`audit.event.${event ?? 'rejected_command'}`),
    message: typeof data.message === 'string' && data.message !== '' ? sentence(data.message) : null,
    jobId: typeof data.job_id === 'string' ? data.job_id : null,
  };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
