import { Search } from 'lucide-react';
import { useEffect, useRef, useState } from 'react';
import { type ApiError, toApiError } from '@/api/error';
import { t } from '@/i18n';
import { Button } from '../button';
import { cx } from '../cx';
import { count, percent } from '../format';
import { InlineError } from '../states';
import { clockTimeOf, Snippet } from './snippet';

export interface WholeMatch {
  offset: number;
  stream: 'out' | 'err' | 'sys';
  at: string;
  text: string;
  line_number?: number | null;
}

export interface WholePage {
  data: WholeMatch[];
  /** Where to go on. */
  next_from: number;
  /** Whether the end of the log was reached. */
  complete: boolean;
}

/** Looks through a bounded stretch of the stored log from byte `from` on. */
export type SearchWhole = (query: string, from: number, signal: AbortSignal) => Promise<WholePage>;

/** Enough to choose from; beyond, a better word is needed. */
const MOST_MATCHES = 1_000;
/** Stretches without a match that are passed over by themselves before somebody is asked. */
const MOST_STRETCHES = 8;

interface WholeSearchProps {
  query: string;
  /** Lines that the view itself searches. */
  linesHere: number;
  /** Bytes of the log. */
  size: number;
  search: SearchWhole;
  onPick: (offset: number) => void;
}

interface Found {
  matches: readonly WholeMatch[];
  nextFrom: number;
  complete: boolean;
}

const NOTHING: Found = { matches: [], nextFrom: 0, complete: false };

/** What the view cannot find by itself, since it holds only a part of the log. */
export function WholeSearch({ query, linesHere, size, search, onPick }: WholeSearchProps) {
  const [found, setFound] = useState<Found | null>(null);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError | null>(null);
  const [picked, setPicked] = useState<number | null>(null);
  const running = useRef<AbortController | null>(null);
  useEffect(() => () => running.current?.abort(), []);

  const goOn = async () => {
    running.current?.abort();
    const control = new AbortController();
    running.current = control;
    setBusy(true);
    setError(null);
    let state = found ?? NOTHING;
    setFound(state);
    try {
      const before = state.matches.length;
      for (let n = 0; n < MOST_STRETCHES && !state.complete && state.matches.length === before; n += 1) {
        const page = await search(query, state.nextFrom, control.signal);
        if (control.signal.aborted) return;
        state = {
          matches: [...state.matches, ...page.data].slice(0, MOST_MATCHES),
          nextFrom: page.next_from,
          complete: page.complete,
        };
        setFound(state);
      }
    } catch (thrown) {
      if (!control.signal.aborted) setError(toApiError(thrown));
    } finally {
      if (running.current === control) setBusy(false);
    }
  };

  if (found === null) {
    return (
      <div className="flex flex-wrap items-center gap-x-3 gap-y-1 border-b bg-idle-soft px-3 py-1.5 text-fg-2 text-xs">
        <span>{t('log.search_partial', { lines: count(linesHere) })}</span>
        <Button size="sm" icon={Search} onClick={() => void goOn()}>
          {t('log.search_whole')}
        </Button>
      </div>
    );
  }
  const isFull = found.matches.length >= MOST_MATCHES;
  const part = size > 0 ? Math.min(99, (found.nextFrom / size) * 100) : 0;
  return (
    <section aria-label={t('log.whole')} className="border-b bg-surface">
      <div className="flex min-h-9 flex-wrap items-center gap-x-3 gap-y-1 px-3 py-1 text-fg-2 text-xs">
        <span role="status" className="tabular">
          {t('log.whole_matches', { count: found.matches.length, shown: count(found.matches.length) })}{' '}
          {isFull
            ? t('log.whole_full')
            : found.complete
              ? t('log.whole_complete')
              : t('log.whole_part', { part: percent(part) })}
        </span>
        {!found.complete && !isFull && (
          <Button size="sm" busy={busy} onClick={() => void goOn()}>
            {t('log.whole_go_on')}
          </Button>
        )}
      </div>
      {error && (
        <div className="px-3 pb-2">
          <InlineError error={error} />
        </div>
      )}
      {found.matches.length > 0 && (
        <ul aria-label={t('log.whole')} className="max-h-44 overflow-y-auto border-t py-1">
          {found.matches.map((match) => (
            <li key={match.offset}>
              <button
                type="button"
                aria-current={picked === match.offset || undefined}
                onClick={() => {
                  setPicked(match.offset);
                  onPick(match.offset);
                }}
                className={cx(
                  'flex h-6 w-full items-center gap-3 px-3 text-left font-mono text-xs -outline-offset-2 hover:bg-hover pointer-coarse:h-9',
                  picked === match.offset && 'bg-accent-soft',
                )}
              >
                <span className="tabular shrink-0 text-fg-3">
                  {match.line_number ? count(match.line_number) : clockTimeOf(match.at)}
                </span>
                <Snippet text={match.text} query={query} isError={match.stream === 'err'} />
              </button>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}
