import type { AuditResult } from '@/api/types';

/** Spans that end now, in seconds. */
export const SPANS = { '1h': 3_600, '24h': 86_400, '7d': 604_800, '30d': 2_592_000 } as const;
export type Span = keyof typeof SPANS;

export const RESULTS = ['ok', 'denied', 'failed'] as const satisfies readonly AuditResult[];

/** What the list is narrowed to, as it stands in the URL. */
export interface AuditSearch {
  q?: string;
  action?: string;
  /** Entries of this person or agent only. */
  actor?: string;
  server?: string;
  result?: AuditResult;
  since?: Span;
  /** Moments in UTC, instead of `since`. */
  from?: string;
  to?: string;
}

export function auditSearch(search: Record<string, unknown>): AuditSearch {
  const text = (name: string) => {
    const value = search[name];
    return typeof value === 'string' && value !== '' ? value : undefined;
  };
  const moment = (name: string) => {
    const value = text(name);
    return value !== undefined && !Number.isNaN(Date.parse(value))
      ? new Date(value).toISOString()
      : undefined;
  };
  const result = RESULTS.find((one) => one === search.result);
  const [from, to] = [moment('from'), moment('to')];
  const isFixed = from !== undefined || to !== undefined;
  const since = !isFixed && Object.hasOwn(SPANS, String(search.since)) ? (search.since as Span) : undefined;
  return dropEmpty({
    q: text('q')?.slice(0, 100),
    action: text('action'),
    actor: text('actor'),
    server: text('server'),
    result,
    since,
    from,
    to,
  });
}

/** The search as the hub is asked it, at this moment. */
export function filterOf({ q, action, actor, server, result, since, from, to }: AuditSearch, now: number) {
  return dropEmpty({
    q,
    action,
    actor_id: actor,
    server_id: server,
    result,
    from: since ? new Date(now - SPANS[since] * 1_000).toISOString() : from,
    to,
  });
}

export function isFiltered(search: AuditSearch): boolean {
  return Object.values(search).some((value) => value !== undefined);
}

/** Where the browser fetches the file: as it comes, however large it is. */
export function exportUrl(search: AuditSearch, format: 'jsonl' | 'csv', now: number): string {
  const query = new URLSearchParams({ format, ...filterOf(search, now) });
  return `/v1/audit/export?${query}`;
}

/** `2026-11-21T14:03` as a field for local time has it. */
export function localField(moment: string | undefined): string {
  if (moment === undefined) return '';
  const date = new Date(moment);
  const two = (n: number) => String(n).padStart(2, '0');
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day}T${two(date.getHours())}:${two(date.getMinutes())}`;
}

/** The reverse; nothing for what is no moment. */
export function momentOf(field: string): string | undefined {
  const time = Date.parse(field);
  return field === '' || Number.isNaN(time) ? undefined : new Date(time).toISOString();
}

function dropEmpty<T extends object>(value: T): { [K in keyof T]: NonNullable<T[K]> } {
  return Object.fromEntries(Object.entries(value).filter(([, one]) => one !== undefined)) as never;
}
