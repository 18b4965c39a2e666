import type { JobBatch } from '@/api/types';
import { t } from '@/i18n';
import { cx } from '@/kit/cx';
import { count } from '@/kit/format';
import { ROW_STATES, type RowState } from './search';

export const ROW_TONES: Readonly<Record<RowState, string>> = {
  succeeded: 'bg-ok',
  failed: 'bg-bad',
  active: 'bg-accent',
  waiting: 'bg-line-strong',
};
const ORDER = ['succeeded', 'failed', 'active', 'waiting'] as const satisfies readonly RowState[];

/** How far a batch is: what ended well, what did not, what runs, what waits. The numbers are in its name. */
export function BatchBar({ batch, className }: { batch: JobBatch; className?: string }) {
  const { counts } = batch;
  return (
    <div
      role="img"
      aria-label={t('batches.progress', {
        succeeded: count(counts.succeeded),
        failed: count(counts.failed),
        active: count(counts.active),
        waiting: count(counts.waiting),
      })}
      className={cx('flex h-1.5 gap-px overflow-hidden rounded-full bg-pressed', className)}
    >
      {ORDER.filter((state) => counts[state] > 0).map((state) => (
        <div
          key={state}
          className={cx('h-full min-w-0.5 transition-[flex-grow]', ROW_TONES[state])}
          style={{ flexGrow: counts[state], flexBasis: 0 }}
        />
      ))}
    </div>
  );
}

/** The four numbers with the colours of the bar. */
export function BatchCounts({ batch }: { batch: JobBatch }) {
  return (
    <dl className="grid grid-cols-2 gap-px overflow-hidden rounded-lg border bg-line sm:grid-cols-4">
      {ROW_STATES.map((state) => (
        <div key={state} className="bg-surface px-4 py-2.5">
          <dt className="flex items-center gap-1.5 text-fg-2 text-xs">
            <span aria-hidden className={cx('size-2 rounded-full', ROW_TONES[state])} />
            {t(`batches.count.${state}`)}
          </dt>
          <dd
            className={cx(
              'tabular mt-0.5 font-semibold text-lg tracking-[-0.01em]',
              batch.counts[state] === 0 && 'text-fg-3',
            )}
          >
            {count(batch.counts[state])}
          </dd>
        </div>
      ))}
    </dl>
  );
}

const MOST_STEPS = 40;

/** One step a wave, as long as they can be told apart; the words beside it always say which one it is. */
export function WaveSteps({ batch }: { batch: JobBatch }) {
  if (batch.waves < 2) return null;
  const isOver = batch.finished_at !== null;
  const done = isOver ? batch.waves : batch.wave;
  return (
    <div className="flex items-center gap-3">
      <span className="tabular shrink-0 text-fg-2 text-sm">
        {t('batches.wave_of', {
          wave: count(Math.min(batch.wave + 1, batch.waves)),
          waves: count(batch.waves),
        })}
      </span>
      {batch.waves <= MOST_STEPS && (
        <div aria-hidden className="flex min-w-0 flex-1 gap-1">
          {Array.from({ length: batch.waves }, (_, wave) => (
            <span
              // biome-ignore lint/suspicious/noArrayIndexKey: a wave is its number
              key={wave}
              className={cx(
                'h-1 min-w-1 max-w-16 flex-1 rounded-full',
                wave < done ? 'bg-fg-3' : wave === batch.wave && !isOver ? 'bg-accent' : 'bg-pressed',
              )}
            />
          ))}
        </div>
      )}
    </div>
  );
}
