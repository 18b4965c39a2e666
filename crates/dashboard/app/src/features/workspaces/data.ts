import { infiniteQueryOptions, queryOptions } from '@tanstack/react-query';
import { api, unwrap } from '@/api/client';
import { keys } from '@/api/keys';
import type { Plan, PlanForm, Tenant, Workspace } from '@/api/types';

/** The workspace that the session acts in, with its rules. */
export const workspaceQuery = queryOptions({
  queryKey: keys.workspace(),
  queryFn: ({ signal }): Promise<Workspace> => unwrap(api.GET('/v1/workspace', { signal })),
});

export const planQuery = queryOptions({
  queryKey: keys.plan(),
  queryFn: ({ signal }): Promise<Plan> => unwrap(api.GET('/v1/plan', { signal })),
});

/** Every workspace of the hub, for whoever runs it. */
export const tenantsQuery = infiniteQueryOptions({
  queryKey: keys.tenants(),
  initialPageParam: undefined as string | undefined,
  queryFn: ({ pageParam, signal }) =>
    unwrap(api.GET('/v1/workspaces', { params: { query: { limit: 50, cursor: pageParam } }, signal })),
  getNextPageParam: (page) => page.next_cursor ?? undefined,
});

export interface WorkspaceChange {
  name?: string;
  require_totp?: boolean;
}

export function changeWorkspace({ version }: Workspace, body: WorkspaceChange): Promise<Workspace> {
  return unwrap(api.PATCH('/v1/workspace', { params: { header: { 'If-Match': `"${version}"` } }, body }));
}

export function setPlan(tenant: Tenant, body: PlanForm): Promise<Tenant> {
  return unwrap(
    api.PUT('/v1/workspaces/{id}/plan', {
      params: { path: { id: tenant.id }, header: { 'If-Match': `"${tenant.plan.version}"` } },
      body,
    }),
  );
}
