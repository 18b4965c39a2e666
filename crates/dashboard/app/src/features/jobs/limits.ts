import type { JobLimits } from '@/api/types';
import { t } from '@/i18n';
import { bytes, count } from '@/kit/format';

/** A job's limits as names and values; nothing when it has none. */
export function limitFacts(limits: JobLimits | null | undefined): (readonly [string, string])[] {
  const { cpu_percent, memory_bytes, pids, io_weight, nice } = limits ?? {};
  const facts: [string, string][] = [];
  if (cpu_percent != null)
    facts.push([t('jobs.limit.cpu'), t('jobs.limit.cpu_value', { percent: count(cpu_percent) })]);
  if (memory_bytes != null) facts.push([t('jobs.limit.memory'), bytes(memory_bytes)]);
  if (pids != null) facts.push([t('jobs.limit.pids'), t('jobs.limit.pids_value', { most: count(pids) })]);
  if (io_weight != null) facts.push([t('jobs.limit.io'), count(io_weight)]);
  if (nice != null) facts.push([t('jobs.limit.nice'), String(nice)]);
  return facts;
}

/** The same in one line. */
export function limitsInWords(limits: JobLimits | null | undefined): string {
  return limitFacts(limits)
    .map(([name, value]) => `${name} ${value}`)
    .join(' · ');
}
