import { queryOptions } from '@tanstack/react-query';
import { api, idempotencyKey, unwrap } from '@/api/client';
import { keys } from '@/api/keys';
import { everyPage } from '@/api/pages';
import type { ApiKeyCreated, Scope } from '@/api/types';

/** One's own; with `api-keys.manage` everybody's. */
export const apiKeysQuery = queryOptions({
  queryKey: keys.apiKeys(),
  queryFn: ({ signal }) =>
    everyPage((cursor) =>
      unwrap(api.GET('/v1/api-keys', { params: { query: { limit: 200, cursor } }, signal })),
    ),
});

export interface NewApiKey {
  name: string;
  permissions: string[];
  scope: Scope;
  networks: string[];
  /** Null: until it is revoked. */
  ttl_s: number | null;
}

export function createApiKey({ ttl_s, ...body }: NewApiKey): Promise<ApiKeyCreated> {
  return unwrap(
    api.POST('/v1/api-keys', {
      headers: { 'idempotency-key': idempotencyKey() },
      body: { ...body, ...(ttl_s === null ? {} : { ttl_s }) },
    }),
  );
}

/** `203.0.113.0/24, 2001:db8::1` by commas, spaces or lines. */
export function parseNetworks(text: string): string[] {
  return text.split(/[\s,]+/).filter(Boolean);
}

/** The first that cannot be an address or network; whether it is one is for the hub to say. */
export function problemOfNetworks(text: string): string | null {
  return (
    parseNetworks(text).find((part) => !/^[0-9a-f.:]+(\/\d{1,3})?$/i.test(part) || !/[.:]/.test(part)) ?? null
  );
}

const EXAMPLES = [
  ['servers.read', '/v1/servers'],
  ['jobs.read', '/v1/jobs'],
  ['projects.read', '/v1/projects'],
  ['members.read', '/v1/team/members'],
  ['audit.read', '/v1/audit'],
] as const;

/** A line that shows the key at work, on something that it may see. */
export function curlExample(origin: string, token: string, permissions: readonly string[]): string {
  const path = EXAMPLES.find(([permission]) => permissions.includes(permission))?.[1] ?? '/v1/servers';
  return `curl -H 'Authorization: Bearer ${token}' ${origin}${path}`;
}
