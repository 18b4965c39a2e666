import {
  infiniteQueryOptions,
  keepPreviousData,
  queryOptions,
  useMutation,
  useQuery,
  useQueryClient,
} from '@tanstack/react-query';
import { api, checked, idempotencyKey, unwrap } from '@/api/client';
import type { ApiError } from '@/api/error';
import { keys } from '@/api/keys';
import type { InstallTokenCreated, Server, ServerDetail } from '@/api/types';
import { liveServers } from '@/shell/live';
import { type ServerListSearch, splitList } from './search';

const PAGE = 200;

export function serverListQuery(search: ServerListSearch) {
  const base = search.status ? keys.serverListsByStatus() : [...keys.serverLists(), 'all'];
  return infiniteQueryOptions({
    queryKey: [...base, search],
    initialPageParam: undefined as string | undefined,
    queryFn: async ({ pageParam, signal }) => {
      const askedAt = Date.now();
      const page = await unwrap(
        api.GET('/v1/servers', {
          params: {
            query: {
              ...filterOf(search),
              sort: search.sort,
              limit: PAGE,
              cursor: pageParam,
              include: 'spark',
            },
          },
          signal,
        }),
      );
      liveServers.seed(page.data, askedAt);
      return page;
    },
    getNextPageParam: (page) => page.next_cursor ?? undefined,
    placeholderData: keepPreviousData,
  });
}

/** How many servers are in which state, over a filter that leaves the state open. */
export function serverTotalsQuery(search: Omit<ServerListSearch, 'status' | 'sort'> = {}) {
  return queryOptions({
    queryKey: [...keys.serverTotals(), { q: search.q, label: search.label, project: search.project }],
    queryFn: async ({ signal }) =>
      (await unwrap(api.GET('/v1/servers', { params: { query: { ...filterOf(search), limit: 1 } }, signal })))
        .totals,
    placeholderData: keepPreviousData,
  });
}

/** The servers that need somebody, worst first. */
export const troubledServersQuery = queryOptions({
  queryKey: [...keys.serverListsByStatus(), 'troubled'],
  queryFn: async ({ signal }) => {
    const askedAt = Date.now();
    const query = { status: 'suspect,offline', sort: '-last_seen_at', limit: 8 } as const;
    const page = await unwrap(api.GET('/v1/servers', { params: { query }, signal }));
    liveServers.seed(page.data, askedAt);
    return page.data;
  },
});

/** Enough servers for a choice in a form. */
/**
 * Servers that match what was typed. Until the answer to just that is there it offers none: whoever types and presses
 * Enter before it comes must not get a server of the question before.
 */
export function useServerChoices(query: string): { found: readonly Server[]; isSearching: boolean } {
  const q = query.trim();
  const { data, isLoading } = useQuery({
    queryKey: [...keys.serverLists(), 'choices', q],
    queryFn: async ({ signal }) =>
      (
        await unwrap(
          api.GET('/v1/servers', {
            params: { query: { q: q || undefined, limit: 20, sort: 'name' } },
            signal,
          }),
        )
      ).data,
  });
  return { found: data ?? NO_SERVERS, isSearching: isLoading };
}

const NO_SERVERS: readonly Server[] = [];

export function serverQuery(id: string) {
  return queryOptions({
    queryKey: keys.server(id),
    queryFn: async ({ signal }) => {
      const askedAt = Date.now();
      const server: ServerDetail = await unwrap(
        api.GET('/v1/servers/{id}', { params: { path: { id } }, signal }),
      );
      liveServers.seed([server], askedAt);
      return server;
    },
    // Filesystems and interfaces are not in the live samples.
    refetchInterval: 30_000,
  });
}

export function installTokenQuery(id: string) {
  return queryOptions({
    queryKey: keys.installToken(id),
    queryFn: ({ signal }) =>
      unwrap(api.GET('/v1/servers/install-tokens/{id}', { params: { path: { id } }, signal })),
    // The event stream says it at once; this is for the case that the stream is down just then.
    refetchInterval: (query) => (query.state.data?.status === 'pending' || query.state.error ? 3_000 : false),
    retry: true,
  });
}

export interface NewToken {
  name: string;
  labels: Record<string, string>;
  serverId?: string;
  projectId?: string;
}

export function createInstallToken({
  name,
  labels,
  serverId,
  projectId,
}: NewToken): Promise<InstallTokenCreated> {
  return unwrap(
    api.POST('/v1/servers/install-tokens', {
      headers: { 'idempotency-key': idempotencyKey() },
      body: {
        ...(name === '' ? {} : { name }),
        ...(Object.keys(labels).length > 0 ? { labels } : {}),
        ...(serverId === undefined ? {} : { server_id: serverId }),
        ...(projectId === undefined ? {} : { project_id: projectId }),
      },
    }),
  );
}

export interface ServerChange {
  name?: string;
  labels?: Record<string, string>;
  /** Null: in no project. */
  project_id?: string | null;
}

export function useServerActions(server: Pick<Server, 'id' | 'version'>) {
  const client = useQueryClient();
  const path = { id: server.id };
  const refresh = () => {
    void client.invalidateQueries({ queryKey: keys.servers() });
    void client.invalidateQueries({ queryKey: keys.projects() });
  };
  const takeOver = (changed: Server) => {
    client.setQueryData<ServerDetail>(keys.server(server.id), (known) =>
      known ? { ...known, ...changed } : undefined,
    );
    refresh();
  };
  return {
    change: (body: ServerChange) =>
      unwrap(
        api.PATCH('/v1/servers/{id}', {
          params: { path, header: { 'If-Match': `"${server.version}"` } },
          body,
        }),
      ).then(takeOver),
    revoke: useMutation<unknown, ApiError>({
      mutationFn: () => unwrap(api.POST('/v1/servers/{id}/revoke', { params: { path } })),
      onSuccess: refresh,
    }),
    remove: useMutation<unknown, ApiError>({
      mutationFn: () => checked(api.DELETE('/v1/servers/{id}', { params: { path } })),
      onSuccess: () => {
        client.removeQueries({ queryKey: keys.server(server.id) });
        void client.invalidateQueries({ queryKey: keys.serverLists() });
        void client.invalidateQueries({ queryKey: keys.serverTotals() });
      },
    }),
  };
}

function filterOf(search: ServerListSearch) {
  return {
    q: search.q,
    status: search.status,
    label: search.label ? splitList(search.label) : undefined,
    project_id: search.project,
  };
}
