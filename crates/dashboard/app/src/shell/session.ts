import { queryOptions, useQuery } from '@tanstack/react-query';
import { api, unwrap } from '@/api/client';
import type { Session } from '@/api/types';

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

/** The permission nodes that the dashboard asks about; the hub decides, this only hides what would be refused. */
export type Permission =
  | 'servers.read'
  | 'servers.enroll'
  | 'servers.manage'
  | 'servers.exec'
  | 'jobs.read'
  | 'jobs.cancel'
  | 'audit.read';

export function useSession(): Session | undefined {
  return useQuery(sessionQuery).data;
}

/** Whether the caller may; `false` until that is known, so that nothing appears and goes again. */
export function useMay(permission: Permission): boolean {
  return useSession()?.permissions.includes(permission) ?? false;
}
