import { cx } from '../cx';
import { clockTime } from '../format';
import { stripAnsi } from './ansi';

/** Characters kept before a match, so that it is in sight. */
const BEFORE = 40;
const LONGEST = 400;

export function clockTimeOf(at: string): string {
  return clockTime(at).slice(0, 8);
}

export interface SnippetParts {
  before: string;
  hit: string;
  after: string;
}

/** The part of a line around the first match. */
export function snippetOf(line: string, query: string): SnippetParts {
  const text = stripAnsi(line).replaceAll(/[\r\n]+$/g, '');
  const at = text.toLowerCase().indexOf(query.toLowerCase());
  if (at < 0) return { before: text.slice(0, LONGEST), hit: '', after: '' };
  const start = at > BEFORE * 2 ? at - BEFORE : 0;
  return {
    before: (start > 0 ? '…' : '') + text.slice(start, at),
    hit: text.slice(at, at + query.length),
    after: text.slice(at + query.length, at + query.length + LONGEST),
  };
}

export function Snippet({ text, query, isError }: { text: string; query: string; isError: boolean }) {
  const { before, hit, after } = snippetOf(text, query);
  return (
    <span className={cx('min-w-0 truncate whitespace-pre', isError && 'text-(--ansi-red)')}>
      {before}
      {hit !== '' && <mark className="rounded-[2px] bg-warn-soft text-warn ring-1 ring-warn">{hit}</mark>}
      {after}
    </span>
  );
}
