import { type MouseEvent, memo } from 'react';
import { t } from '@/i18n';
import { cx } from '../cx';
import { bytes, clockTime } from '../format';
import { type AnsiStyle, parseAnsi } from './ansi';
import type { LogLine } from './lines';

const COLORS = ['black', 'red', 'green', 'yellow', 'blue', 'magenta', 'cyan', 'white'] as const;

interface LogRowProps {
  number: number;
  line: LogLine | undefined;
  withTime: boolean;
  wrap: boolean;
  selected: boolean;
  /** The current search match is outlined as well. */
  current: boolean;
  query: string;
  numberWidth: number;
  onPick: (number: number, event: MouseEvent) => void;
}

export const LogRow = memo(function LogRow(props: LogRowProps) {
  const { number, line, withTime, wrap, selected, current, query, numberWidth, onPick } = props;
  return (
    <div
      data-line={number}
      className={cx(
        'flex min-h-5 border-l-2 pr-4 leading-5',
        selected ? 'border-accent bg-accent-soft' : 'border-transparent hover:bg-hover',
        current && 'outline-1 outline-accent -outline-offset-1',
      )}
    >
      <button
        type="button"
        tabIndex={-1}
        aria-label={t('log.pick_line', { number })}
        onClick={(event) => onPick(number, event)}
        className="shrink-0 select-none self-stretch px-2 text-right align-top text-fg-3 hover:text-fg"
        style={{ width: `calc(${numberWidth}ch + 16px)` }}
      >
        {number}
      </button>
      {line ? (
        <>
          {withTime && (
            <span className="tabular shrink-0 select-none pr-3 text-fg-3" title={line.at}>
              {clockTime(line.at)}
            </span>
          )}
          <LineText line={line} wrap={wrap} query={query} />
        </>
      ) : (
        <span className="my-1 h-3 w-40 animate-pulse-soft rounded-sm bg-pressed" />
      )}
    </div>
  );
});

function LineText({ line, wrap, query }: { line: LogLine; wrap: boolean; query: string }) {
  const look = wrap ? 'min-w-0 whitespace-pre-wrap [overflow-wrap:anywhere]' : 'whitespace-pre';
  if (line.stream === 'sys') {
    return (
      <span className={cx('text-warn italic', look)}>
        {line.gap ? t('log.gap', { size: bytes(line.gap) }) : ''}
        {line.text && (line.gap ? ` ${line.text}` : line.text)}
      </span>
    );
  }
  const { runs } = parseAnsi(line.text, line.style);
  const plain = query === '' ? '' : runs.map((run) => run.text).join('');
  const marks = query === '' ? [] : matchesIn(plain, query);
  let at = 0;
  return (
    <span className={cx(look, line.stream === 'err' && 'text-(--ansi-red)')}>
      {runs.map((run) => {
        const start = at;
        at += run.text.length;
        return (
          <span key={start} className={classOf(run.style)} style={styleOf(run.style)}>
            {marks.length === 0 ? (
              run.text
            ) : (
              <Marked text={run.text} start={start} marks={marks} length={query.length} />
            )}
          </span>
        );
      })}
    </span>
  );
}

/** The part of a run's text that lies in a match is marked; a match may span several runs. */
function Marked({
  text,
  start,
  marks,
  length,
}: {
  text: string;
  start: number;
  marks: number[];
  length: number;
}) {
  const parts: { at: number; text: string; hit: boolean }[] = [];
  let done = 0;
  for (const mark of marks) {
    const from = Math.max(0, mark - start);
    const to = Math.min(text.length, mark + length - start);
    if (to <= done || from >= text.length) continue;
    if (from > done) parts.push({ at: done, text: text.slice(done, from), hit: false });
    parts.push({ at: from, text: text.slice(Math.max(from, done), to), hit: true });
    done = to;
  }
  if (done < text.length) parts.push({ at: done, text: text.slice(done), hit: false });
  return parts.map((part) =>
    part.hit ? (
      <mark key={part.at} className="rounded-[2px] bg-warn-soft text-warn ring-1 ring-warn">
        {part.text}
      </mark>
    ) : (
      part.text
    ),
  );
}

function matchesIn(text: string, query: string): number[] {
  const found: number[] = [];
  const haystack = text.toLowerCase();
  const needle = query.toLowerCase();
  for (
    let at = haystack.indexOf(needle);
    at >= 0 && found.length < 200;
    at = haystack.indexOf(needle, at + needle.length)
  ) {
    found.push(at);
  }
  return found;
}

function color(value: number | string): string {
  if (typeof value === 'string') return value;
  const name = COLORS[value % 8] ?? 'white';
  return value < 8 ? `var(--ansi-${name})` : `var(--ansi-bright-${name})`;
}

/** A colour that the output chose itself, made dark or light enough for the theme's ground. */
function readable(value: number | string): string {
  if (typeof value === 'number' || value.startsWith('var(')) return color(value);
  return `oklch(from ${value} clamp(var(--ansi-darkest), l, var(--ansi-lightest)) c h)`;
}

function styleOf(style: AnsiStyle): { color?: string; backgroundColor?: string } | undefined {
  const fg = style.inverse ? (style.bg ?? 'var(--log-bg)') : style.fg;
  const bg = style.inverse ? (style.fg ?? 'currentColor') : style.bg;
  if (fg === null && bg === null) return undefined;
  return {
    color: fg === null ? undefined : bg === null ? readable(fg) : color(fg),
    // Text on a coloured ground needs the theme's ground colour to stay readable.
    backgroundColor: bg === null ? undefined : bg === 'currentColor' ? 'var(--fg)' : color(bg),
  };
}

function classOf(style: AnsiStyle): string | undefined {
  const names = cx(
    style.bold && 'font-bold',
    style.dim && 'opacity-70',
    style.italic && 'italic',
    style.underline && 'underline',
    style.strike && 'line-through',
  );
  return names || undefined;
}
