import { type QueryClient, queryOptions, useQuery } from '@tanstack/react-query';
import { api, unwrap } from '@/api/client';
import type { Held, Session } from '@/api/types';
import { mayDo, type Permission, type Place } from './rights';

export const sessionQuery = queryOptions({
  queryKey: ['session'],
  queryFn: ({ signal }): Promise<Session> => unwrap(api.GET('/v1/auth/session', { signal })),
  staleTime: 5 * 60_000,
});

export const setupQuery = queryOptions({
  queryKey: ['setup'],
  queryFn: ({ signal }) => unwrap(api.GET('/v1/setup', { signal })),
  staleTime: 0,
});

export function useSession(): Session | undefined {
  return useQuery(sessionQuery).data;
}

const NOTHING: readonly Held[] = [];

/** What the caller holds, by place; nothing until that is known. */
export function useGrants(): readonly Held[] {
  return useSession()?.grants ?? NOTHING;
}

/**
 * Whether the caller may, at a place; without one: somewhere, which is what lists and their pages need. `false` until
 * that is known, so that nothing appears and goes again.
 */
export function useMay(permission: Permission, place?: Place): boolean {
  return mayDo(useGrants(), permission, place);
}

/** Asks again what the caller may do; when that has changed, so has what there is to see. */
export async function renewSession(client: QueryClient): Promise<void> {
  const { queryKey } = sessionQuery;
  const grants = () => JSON.stringify(client.getQueryData(queryKey)?.grants);
  const before = grants();
  await client.invalidateQueries({ queryKey });
  if (grants() === before) return;
  await client.invalidateQueries({ predicate: (query) => query.queryKey[0] !== queryKey[0] });
}

/** The workspace that the session acts in. */
export function workspaceOf(session: Session): Session['workspaces'][number] | undefined {
  return session.workspaces.find((workspace) => workspace.id === session.workspace_id);
}
