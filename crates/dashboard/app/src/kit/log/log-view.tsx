import { useVirtualizer } from '@tanstack/react-virtual';
import { ArrowDown, ChevronDown, ChevronUp, Clock, Download, Pause, Play, WrapText } from 'lucide-react';
import {
  type KeyboardEvent,
  type MouseEvent,
  type ReactNode,
  useEffect,
  useLayoutEffect,
  useRef,
  useState,
  useSyncExternalStore,
} from 'react';
import { t } from '@/i18n';
import { Button, IconButton } from '../button';
import { cx } from '../cx';
import { bytes, count } from '../format';
import { SearchInput } from '../input';
import { usePreference } from '../preference';
import { LogSearch } from './buffer';
import { hashOf, parseHash } from './link';
import type { LogModel } from './model';
import { FeedState, SelectionTools, StartMissing } from './parts';
import { LogRow } from './row';
import { type SearchWhole, WholeSearch } from './whole-search';

/** Browsers cannot scroll further than some 33 million pixels; this is 20. */
const MAX_ROWS = 1_000_000;
const ROW_STEP = 100_000;
const ROW_HEIGHT = 20;

interface LogViewProps {
  model: LogModel;
  label: string;
  /** The URL's hash without its mark, such as `L12` or `L12-L20`. */
  hash: string;
  onHash: (hash: string) => void;
  downloadUrl: string;
  /** Searches the log where it is stored; offered when more of it is there than in memory. */
  searchWhole?: SearchWhole;
  /** Starts reading anew at a byte that lies before what was read. */
  onReadFrom?: (offset: number) => void;
  /** Shown when there is nothing yet, and will or will not be. */
  empty: ReactNode;
  className?: string;
}

export function LogView(props: LogViewProps) {
  // The virtualizer hands out the same object with changing insides, which the compiler must not memoise.
  'use no memo';
  const { model, label, hash, onHash, downloadUrl, searchWhole, onReadFrom, empty, className } = props;
  const { feed } = useSyncExternalStore(model.subscribe, model.read);
  const { buffer } = model;
  const total = buffer.lineCount;
  const first = Math.max(
    buffer.firstReachable,
    Math.ceil(Math.max(0, total - MAX_ROWS) / ROW_STEP) * ROW_STEP + 1,
  );
  const rows = Math.max(0, total - first + 1);

  const range = parseHash(hash);
  const [follow, showFollow] = useState(range === null);
  // The effect below must not act on a drawing that is older than somebody's scrolling.
  const isFollowing = useRef(follow);
  const setFollow = (next: boolean) => {
    isFollowing.current = next;
    showFollow(next);
  };
  const [withTime, setWithTime] = usePreference('log.time', false);
  const [wrap, setWrap] = usePreference('log.wrap', false);
  const [query, setQuery] = useState('');
  const scroller = useRef<HTMLDivElement>(null);
  const [seenUpTo, setSeenUpTo] = useState(0);

  const virtual = useVirtualizer({
    count: rows,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_HEIGHT,
    overscan: 24,
    useFlushSync: false,
  });
  const goTo = (number: number) => virtual.scrollToIndex(Math.max(0, number - first), { align: 'center' });

  const search = useLogSearch(model, query, goTo, () => setFollow(false));

  const lastScroll = useRef({ top: 0, height: 0 });
  const stickToEnd = () => {
    const element = scroller.current;
    if (!isFollowing.current || !element) return;
    if (wasScrolledUp(element, lastScroll.current)) {
      setFollow(false);
      return;
    }
    element.scrollTop = element.scrollHeight;
    lastScroll.current = { top: element.scrollTop, height: element.scrollHeight };
  };
  // After every drawing, so that a turn of the switch takes effect at once.
  useLayoutEffect(stickToEnd);
  // And after every layout that moved the end: the height asked for while drawing may still be that of before.
  const latestStick = useRef(stickToEnd);
  latestStick.current = stickToEnd;
  const [observeSize] = useState(() => (content: HTMLElement | null) => {
    if (!content) return;
    const observer = new ResizeObserver(() => latestStick.current());
    observer.observe(content);
    return () => observer.disconnect();
  });

  const jumped = useRef<{ hash: string; exactly: boolean } | null>(null);
  const target = range && (range.unit === 'line' ? range.first : buffer.lineAtOffset(range.first));
  const isTargetThere = target !== null && target <= total && target >= first;
  useEffect(() => {
    if (!isTargetThere || target === null || range === null) return;
    // The line of a byte that is not in memory is known exactly once its stretch was fetched again.
    const exactly = range.unit === 'line' || buffer.isExactAt(range.first);
    if (jumped.current?.hash === hash && (jumped.current.exactly || !exactly)) return;
    jumped.current = { hash, exactly };
    virtual.scrollToIndex(target - first, { align: 'center' });
  });
  const jumpTo = (offset: number) => {
    setFollow(false);
    jumped.current = null;
    onHash(`B${offset}`);
    const line = buffer.lineAtOffset(offset);
    if (line === null || line < first) onReadFrom?.(offset);
  };

  const onScroll = () => {
    const element = scroller.current;
    if (!element) return;
    const { scrollTop, scrollHeight } = element;
    const fromEnd = scrollHeight - scrollTop - element.clientHeight;
    if (wasScrolledUp(element, lastScroll.current)) setFollow(false);
    lastScroll.current = { top: scrollTop, height: scrollHeight };
    if (fromEnd < 4 && range === null) setFollow(true);
    setSeenUpTo((before) => (fromEnd < 4 ? buffer.lineCount : before));
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (['ArrowUp', 'PageUp', 'Home'].includes(event.key)) setFollow(false);
    if (event.key === 'End') setFollow(true);
  };

  const pick = (number: number, event: MouseEvent) => {
    setFollow(false);
    const start = event.shiftKey && selection ? Math.min(selection.first, number) : number;
    const end = event.shiftKey && selection ? Math.max(selection.last, number) : number;
    const isSame = selection !== null && selection.first === start && selection.last === end;
    const next = isSame ? '' : hashOf(start, end, buffer);
    jumped.current = { hash: next, exactly: true };
    onHash(next);
  };
  const selection =
    range && target !== null ? { first: target, last: range.unit === 'line' ? range.last : target } : null;

  const numberWidth = Math.max(3, String(total).length);
  return (
    <section
      aria-label={label}
      className={cx('flex min-h-0 flex-col overflow-hidden rounded-lg border bg-log', className)}
    >
      <div className="flex flex-wrap items-center gap-x-2 gap-y-2 border-b bg-surface px-2 py-1.5">
        <SearchInput
          label={t('log.search')}
          value={query}
          onChange={setQuery}
          onKeyDown={search.onKeyDown}
          isPageSearch
          className="w-44 grow sm:max-w-64"
        />
        {query !== '' && (
          <div className="flex items-center">
            <span role="status" className="tabular px-1 text-fg-2 text-xs">
              {search.matches.length === 0
                ? t('log.no_match')
                : `${count(search.at + 1)} / ${count(search.matches.length)}`}
            </span>
            <IconButton icon={ChevronUp} label={t('log.previous_match')} onClick={() => search.step(-1)} />
            <IconButton icon={ChevronDown} label={t('log.next_match')} onClick={() => search.step(1)} />
          </div>
        )}
        <div className="ml-auto flex items-center gap-0.5">
          <Button
            size="sm"
            tone="ghost"
            icon={follow ? Pause : Play}
            aria-pressed={follow}
            onClick={() => {
              if (!follow) onHash('');
              setFollow(!follow);
            }}
          >
            {follow ? t('log.pause') : t('log.follow')}
          </Button>
          <IconButton
            icon={Clock}
            label={t('log.timestamps')}
            pressed={withTime}
            onClick={() => setWithTime(!withTime)}
          />
          <IconButton icon={WrapText} label={t('log.wrap')} pressed={wrap} onClick={() => setWrap(!wrap)} />
          <a
            href={downloadUrl}
            download
            aria-label={t('log.download')}
            title={t('log.download')}
            className="inline-flex size-7 items-center justify-center rounded-md text-fg-3 hover:bg-hover hover:text-fg pointer-coarse:size-10"
          >
            <Download aria-hidden className="size-4" />
          </a>
        </div>
      </div>
      {searchWhole && query !== '' && (buffer.firstInMemory > 1 || buffer.startOffset > 0) && (
        <WholeSearch
          key={query}
          query={query}
          linesHere={total - buffer.firstInMemory + 1}
          size={buffer.nextOffset}
          search={searchWhole}
          onPick={jumpTo}
        />
      )}
      {(first > 1 || buffer.startOffset > 0) && (
        <StartMissing first={first} startOffset={buffer.startOffset} downloadUrl={downloadUrl} />
      )}
      <div className="relative min-h-0 flex-1">
        {/* biome-ignore lint/a11y/useSemanticElements: a scrolling box inside the section, not a section of the page */}
        <div
          ref={scroller}
          role="region"
          aria-label={t('log.lines')}
          // biome-ignore lint/a11y/noNoninteractiveTabindex: see above
          tabIndex={0}
          onScroll={onScroll}
          onWheel={(event) => event.deltaY < 0 && setFollow(false)}
          onTouchMove={() => setFollow(false)}
          onPointerDown={(event) => event.target === scroller.current && setFollow(false)}
          onKeyDown={onKeyDown}
          className="h-full overflow-auto py-2 font-mono text-xs -outline-offset-2 [overflow-anchor:none]"
        >
          {rows === 0 ? (
            <div className="px-4 py-2 font-sans text-fg-3 text-sm">{empty}</div>
          ) : (
            <div
              ref={observeSize}
              // Rows of the drawing before may reach beyond the end for a moment; the box must not grow by them.
              className={cx('relative overflow-y-clip', wrap ? 'w-full' : 'w-max min-w-full')}
              style={{ height: virtual.getTotalSize() }}
            >
              <div
                className={wrap ? 'w-full' : 'w-max min-w-full'}
                style={{ transform: `translateY(${virtual.getVirtualItems()[0]?.start ?? 0}px)` }}
              >
                {virtual.getVirtualItems().map((item) => {
                  const number = first + item.index;
                  return (
                    <div
                      key={item.key}
                      data-index={item.index}
                      ref={wrap ? virtual.measureElement : undefined}
                    >
                      <LogRow
                        number={number}
                        line={model.line(number)}
                        withTime={withTime}
                        wrap={wrap}
                        selected={selection !== null && number >= selection.first && number <= selection.last}
                        current={query !== '' && search.matches[search.at] === number}
                        query={query}
                        numberWidth={numberWidth}
                        onPick={pick}
                      />
                    </div>
                  );
                })}
              </div>
            </div>
          )}
        </div>
        {!follow && total > seenUpTo && feed.phase === 'live' && seenUpTo > 0 && (
          <div className="absolute inset-x-0 bottom-3 flex justify-center">
            <Button size="sm" icon={ArrowDown} className="popup rounded-full" onClick={() => setFollow(true)}>
              {t('log.new_lines', { count: total - seenUpTo })}
            </Button>
          </div>
        )}
      </div>
      <div className="flex min-h-9 flex-wrap items-center gap-x-3 gap-y-1 border-t bg-surface px-3 py-1 text-fg-3 text-xs">
        <FeedState feed={feed} />
        <span className="tabular">
          {t('log.size', { count: total, lines: count(total), size: bytes(buffer.nextOffset) })}
        </span>
        {selection && <SelectionTools model={model} selection={selection} onClear={() => onHash('')} />}
      </div>
    </section>
  );
}

/** The log itself only moves down; up is somebody's wish, whether by wheel, key, finger or scrollbar. */
function wasScrolledUp(
  { scrollTop, scrollHeight }: HTMLElement,
  last: { top: number; height: number },
): boolean {
  return scrollTop < last.top - 2 && scrollHeight >= last.height;
}

/** Matches, which one is current, and the keys of the search field. */
function useLogSearch(model: LogModel, query: string, goTo: (line: number) => void, onMove: () => void) {
  const { version } = model.read();
  const state = useRef<{ model: LogModel; query: string; search: LogSearch } | null>(null);
  if (state.current?.query !== query || state.current.model !== model) {
    state.current = { model, query, search: new LogSearch(model.buffer, query) };
  }
  const [at, setAt] = useState(0);
  void version;
  const matches = query === '' ? NONE : state.current.search.update();
  const shown = Math.min(at, Math.max(0, matches.length - 1));
  const show = (index: number) => {
    const line = matches[index];
    if (line === undefined) return;
    setAt(index);
    onMove();
    goTo(line);
  };
  const step = (by: number) => matches.length > 0 && show((shown + by + matches.length) % matches.length);
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key !== 'Enter') return;
    event.preventDefault();
    step(event.shiftKey ? -1 : 1);
  };
  return { matches, at: shown, step, onKeyDown };
}

const NONE: readonly number[] = [];
