import { useSyncExternalStore } from 'react';
import { clockTime, dateTime, relativeTime, utcTime } from './format';
import { Tooltip } from './tooltip';

const tickers = new Map<
  number,
  { listeners: Set<() => void>; timer: ReturnType<typeof setInterval> | null; now: number }
>();

/** The present, renewed every `everyMs`; all users of one pace share one timer. */
export function useNow(everyMs = 1_000): number {
  const ticker = tickers.get(everyMs) ?? { listeners: new Set(), timer: null, now: Date.now() };
  tickers.set(everyMs, ticker);
  return useSyncExternalStore(
    (listener) => {
      ticker.listeners.add(listener);
      ticker.timer ??= setInterval(() => {
        ticker.now = Date.now();
        for (const wake of ticker.listeners) wake();
      }, everyMs);
      return () => {
        ticker.listeners.delete(listener);
        if (ticker.listeners.size === 0 && ticker.timer !== null) {
          clearInterval(ticker.timer);
          ticker.timer = null;
        }
      };
    },
    () => {
      // Without a running timer the stored time may be old.
      if (ticker.timer === null && Date.now() - ticker.now > everyMs) ticker.now = Date.now();
      return ticker.now;
    },
  );
}

type Look = 'relative' | 'date' | 'clock';

/** Local time; UTC on hover and for machines in `datetime`. */
export function Time({ at, look = 'relative' }: { at: string; look?: Look }) {
  return (
    <Tooltip content={<UtcHint at={at} />}>
      <time dateTime={at} className="tabular whitespace-nowrap">
        {look === 'relative' ? <Relative at={at} /> : look === 'clock' ? clockTime(at) : dateTime(at)}
      </time>
    </Tooltip>
  );
}

function Relative({ at }: { at: string }) {
  return relativeTime(at, useNow(5_000));
}

function UtcHint({ at }: { at: string }) {
  return (
    <span className="tabular flex flex-col">
      <span>{dateTime(at)}</span>
      <span className="text-fg-3">{utcTime(at)} UTC</span>
    </span>
  );
}
