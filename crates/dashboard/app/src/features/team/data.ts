import { infiniteQueryOptions, queryOptions, useMutation, useQueryClient } from '@tanstack/react-query';
import { api, checked, idempotencyKey, unwrap } from '@/api/client';
import type { ApiError } from '@/api/error';
import { keys } from '@/api/keys';
import { everyPage } from '@/api/pages';
import type { Granted, GrantForm, Member, Role, Scope } from '@/api/types';

const PAGE = 100;

export const membersQuery = infiniteQueryOptions({
  queryKey: [...keys.members(), 'list'],
  initialPageParam: undefined as string | undefined,
  queryFn: ({ pageParam, signal }) =>
    unwrap(api.GET('/v1/team/members', { params: { query: { limit: PAGE, cursor: pageParam } }, signal })),
  getNextPageParam: (page) => page.next_cursor ?? undefined,
});

export function memberQuery(id: string) {
  return queryOptions({
    queryKey: keys.member(id),
    queryFn: ({ signal }): Promise<Member> =>
      unwrap(api.GET('/v1/team/members/{id}', { params: { path: { id } }, signal })),
  });
}

export const rolesQuery = queryOptions({
  queryKey: keys.roles(),
  queryFn: ({ signal }) =>
    everyPage((cursor) =>
      unwrap(api.GET('/v1/team/roles', { params: { query: { limit: PAGE, cursor } }, signal })),
    ),
});

export const invitesQuery = queryOptions({
  queryKey: keys.invites(),
  queryFn: ({ signal }) =>
    everyPage((cursor) =>
      unwrap(api.GET('/v1/team/invites', { params: { query: { limit: PAGE, cursor } }, signal })),
    ),
});

/** Permissions and built-in roles in words; they change with the hub's version only. */
export const grantableQuery = queryOptions({
  queryKey: keys.permissions(),
  queryFn: ({ signal }) => unwrap(api.GET('/v1/team/permissions', { signal })),
  staleTime: Number.POSITIVE_INFINITY,
});

export interface NewInvite {
  email: string;
  granted: Granted;
  scope: Scope;
  ttl_s: number;
}

export function createInvite(body: NewInvite) {
  return unwrap(api.POST('/v1/team/invites', { headers: { 'idempotency-key': idempotencyKey() }, body }));
}

export function saveRole(role: Role | null, body: { name: string; permissions: string[] }): Promise<Role> {
  if (!role) {
    return unwrap(api.POST('/v1/team/roles', { headers: { 'idempotency-key': idempotencyKey() }, body }));
  }
  return unwrap(
    api.PATCH('/v1/team/roles/{id}', {
      params: { path: { id: role.id } },
      headers: { 'if-match': `"${role.version}"` },
      body,
    }),
  );
}

export function transferWorkspace(body: { user_id: string; password?: string }) {
  return checked(api.POST('/v1/team/transfer', { body }));
}

export function useRefreshTeam(): () => void {
  const client = useQueryClient();
  return () => {
    for (const queryKey of [keys.members(), keys.roles(), keys.invites(), keys.apiKeys()]) {
      void client.invalidateQueries({ queryKey });
    }
  };
}

export function useMemberActions(member: Pick<Member, 'id'>) {
  const client = useQueryClient();
  const refresh = useRefreshTeam();
  const path = { id: member.id };
  return {
    /** Takes the place of everything that was granted. */
    setGrants: useMutation<Member, ApiError, GrantForm[]>({
      mutationFn: (grants) =>
        unwrap(api.PUT('/v1/team/members/{id}/grants', { params: { path }, body: { grants } })),
      onSuccess: (changed) => {
        client.setQueryData(keys.member(member.id), changed);
        refresh();
      },
    }),
    remove: useMutation<unknown, ApiError>({
      mutationFn: () => checked(api.DELETE('/v1/team/members/{id}', { params: { path } })),
      onSuccess: () => {
        client.removeQueries({ queryKey: keys.member(member.id) });
        refresh();
      },
    }),
  };
}
