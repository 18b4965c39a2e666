import type { ServerStatus } from '@/api/types';

export const SERVER_STATUSES = [
  'online',
  'suspect',
  'offline',
  'pending',
  'revoked',
] as const satisfies readonly ServerStatus[];

/** What the list can be sorted by; a leading minus turns it round. */
export const SERVER_SORTS = ['name', '-name', 'status', 'last_seen_at', '-last_seen_at'] as const;
export type ServerSort = (typeof SERVER_SORTS)[number];

/** The list's filters as they stand in the URL. */
export interface ServerListSearch {
  q?: string;
  /** Comma-separated states. */
  status?: string;
  /** Comma-separated `key:value`. */
  label?: string;
  /** Only of this project. */
  project?: string;
  sort?: ServerSort;
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

export function serverListSearch(search: Record<string, unknown>): ServerListSearch {
  const status = splitList(search.status).filter(isServerStatus);
  const label = splitList(search.label);
  const sort = SERVER_SORTS.find((known) => known === search.sort);
  return {
    ...(typeof search.q === 'string' && search.q !== '' ? { q: search.q.slice(0, 200) } : {}),
    ...(status.length > 0 ? { status: status.join(',') } : {}),
    ...(label.length > 0 ? { label: label.join(',') } : {}),
    ...(typeof search.project === 'string' && UUID.test(search.project) ? { project: search.project } : {}),
    ...(sort && sort !== 'name' ? { sort } : {}),
  };
}

export function splitList(value: unknown): string[] {
  return typeof value === 'string'
    ? value
        .split(',')
        .map((part) => part.trim())
        .filter(Boolean)
    : [];
}

/** The comma-separated list with `part` put in or taken out; undefined when nothing is left. */
export function toggleInList(list: string | undefined, part: string): string | undefined {
  const parts = splitList(list);
  const next = parts.includes(part) ? parts.filter((known) => known !== part) : [...parts, part];
  return next.length > 0 ? next.join(',') : undefined;
}

function isServerStatus(value: string): value is ServerStatus {
  return (SERVER_STATUSES as readonly string[]).includes(value);
}
