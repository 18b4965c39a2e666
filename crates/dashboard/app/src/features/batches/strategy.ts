import type { BatchSelector, BatchStrategy } from '@/api/types';
import { t } from '@/i18n';
import { count, duration } from '@/kit/format';

/** Servers of each wave, in order. Percent counts all servers and rounds up, as the hub does: a wave is never empty. */
export function wavesOf(total: number, strategy: BatchStrategy | null): number[] {
  if (total <= 0) return [];
  const canary = Math.min(strategy?.canary ?? 0, total);
  const rest = total - canary;
  const size = strategy?.batch_size ?? percentOf(total, strategy?.batch_percent) ?? rest;
  const waves = canary > 0 ? [canary] : [];
  for (let left = rest; left > 0; left -= size) waves.push(Math.min(size, left));
  return waves;
}

function percentOf(total: number, percent: number | null | undefined): number | null {
  return percent == null ? null : Math.max(1, Math.ceil((total * percent) / 100));
}

/** "1 first, then 3 at a time. Halts at the first failure. 5 min between waves." */
export function strategyInWords(strategy: BatchStrategy | null): string {
  if (!strategy || isOneWave(strategy)) return [t('batches.plan.at_once'), haltWords(strategy)].join(' ');
  const { canary, batch_size, batch_percent, pause_s } = strategy;
  const then =
    batch_size != null
      ? t('batches.plan.at_a_time', { count: batch_size })
      : batch_percent != null
        ? t('batches.plan.percent_at_a_time', { percent: batch_percent })
        : t('batches.plan.the_rest');
  const order = canary ? t('batches.plan.first', { first: count(canary), then }) : capital(then);
  return [
    `${order}.`,
    haltWords(strategy),
    ...(pause_s ? [t('batches.plan.pause', { span: duration(pause_s * 1_000) })] : []),
  ].join(' ');
}

function isOneWave({ canary, batch_size, batch_percent }: BatchStrategy): boolean {
  return !canary && batch_size == null && batch_percent == null;
}

/** When it stops by itself. */
export function haltWords(strategy: BatchStrategy | null): string {
  const most = strategy?.max_failures ?? 0;
  return most === 0 ? t('batches.plan.halt_first') : t('batches.plan.halt_more', { most: count(most) });
}

/** "12 servers in 5 waves." */
export function sizeInWords(total: number, strategy: BatchStrategy | null): string {
  const waves = wavesOf(total, strategy).length;
  return t('batches.plan.size', {
    servers: t('batches.plan.servers', { count: total, shown: count(total) }),
    waves: t('batches.plan.waves', { count: waves, shown: count(waves) }),
  });
}

/** Which servers a batch was made for. */
export function selectorInWords(selector: BatchSelector): string {
  if (selector.all) return t('batches.selector.all');
  if (selector.labels) {
    const labels = Object.entries(selector.labels).map(([key, value]) =>
      value === '' ? key : `${key}:${value}`,
    );
    return t('batches.selector.labels', { labels: labels.join(', ') });
  }
  return t('batches.selector.chosen', { count: selector.server_ids?.length ?? 0 });
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
