import {
  infiniteQueryOptions,
  keepPreviousData,
  queryOptions,
  useMutation,
  useQuery,
  useQueryClient,
} from '@tanstack/react-query';
import { api, idempotencyKey, unwrap } from '@/api/client';
import type { ApiError } from '@/api/error';
import { ACTIVE_STATES, mergeJob } from '@/api/job-state';
import { keys } from '@/api/keys';
import type { ExecArgs, Job, JobCreate } from '@/api/types';
import { shortId } from '@/kit/format';
import { STATE_GROUPS, type StateGroup } from './search';

const PAGE = 50;

export interface JobFilter {
  serverId?: string;
  state?: StateGroup;
}

export function jobListQuery({ serverId, state }: JobFilter) {
  return infiniteQueryOptions({
    queryKey: [...keys.jobLists(), { serverId, state }],
    initialPageParam: undefined as string | undefined,
    queryFn: ({ pageParam, signal }) =>
      unwrap(
        api.GET('/v1/jobs', {
          params: {
            query: {
              server_id: serverId,
              state: state && STATE_GROUPS[state].join(','),
              limit: PAGE,
              cursor: pageParam,
            },
          },
          signal,
        }),
      ),
    getNextPageParam: (page) => page.next_cursor ?? undefined,
    placeholderData: keepPreviousData,
  });
}

/** Jobs of a server that have not ended, to see where one of them stands. */
export function queueQuery(serverId: string) {
  return queryOptions({
    queryKey: [...keys.jobsUnfinished(), serverId],
    queryFn: async ({ signal }): Promise<Job[]> => {
      const query = { server_id: serverId, state: ACTIVE_STATES.join(','), limit: 200 };
      return (await unwrap(api.GET('/v1/jobs', { params: { query }, signal }))).data;
    },
  });
}

const MOST_COUNTED = 200;

/** How many jobs wait for a person's signature; `isMore` when there are more than are counted. */
export const awaitingSignatureQuery = queryOptions({
  queryKey: [...keys.jobsUnfinished(), 'awaiting-signature'],
  queryFn: async ({ signal }) => {
    const query = { state: 'awaiting_signature', limit: MOST_COUNTED };
    const page = await unwrap(api.GET('/v1/jobs', { params: { query }, signal }));
    return { count: page.data.length, isMore: page.next_cursor !== null };
  },
});

export function jobQuery(id: string) {
  return queryOptions({
    queryKey: keys.job(id),
    queryFn: ({ signal }): Promise<Job> =>
      unwrap(api.GET('/v1/jobs/{id}', { params: { path: { id } }, signal })),
    structuralSharing: (known, incoming) => mergeJob(known as Job | undefined, incoming as Job),
  });
}

export function createJob(job: JobCreate): Promise<Job> {
  return unwrap(api.POST('/v1/jobs', { headers: { 'idempotency-key': idempotencyKey() }, body: job }));
}

export function useJobActions(job: Job) {
  const client = useQueryClient();
  const path = { id: job.id };
  return {
    cancel: useMutation<Job, ApiError>({
      mutationFn: () => unwrap(api.POST('/v1/jobs/{id}/cancel', { params: { path } })),
      onSuccess: (changed) => client.setQueryData<Job>(keys.job(job.id), (known) => mergeJob(known, changed)),
    }),
    retry: useMutation<Job, ApiError>({
      mutationFn: () => unwrap(api.POST('/v1/jobs/{id}/retry', { params: { path } })),
      onSuccess: () => void client.invalidateQueries({ queryKey: keys.jobLists() }),
    }),
  };
}

const NAMES_FOR_MS = 60_000;

/**
 * A server's name for a job's row: the first page of servers answers for most, one request for each of the others.
 * Empty until it is known; the end of the id when there is no such server any more.
 */
export function useServerName(id: string): string {
  const names = useQuery({
    queryKey: [...keys.serverLists(), 'names'],
    queryFn: async ({ signal }) => {
      const page = await unwrap(api.GET('/v1/servers', { params: { query: { limit: 200 } }, signal }));
      return Object.fromEntries(page.data.map((server) => [server.id, server.name]));
    },
    staleTime: NAMES_FOR_MS,
  });
  const known = names.data?.[id];
  const one = useQuery({
    queryKey: [...keys.server(id), 'name'],
    queryFn: async ({ signal }) =>
      (await unwrap(api.GET('/v1/servers/{id}', { params: { path: { id } }, signal }))).name,
    enabled: names.isSuccess && known === undefined,
    staleTime: NAMES_FOR_MS,
  });
  if (known !== undefined) return known;
  if (names.isPending || (names.isSuccess && one.isPending)) return '';
  return one.data ?? shortId(id);
}

/** What the job runs, in one line. */
export function commandOf(args: ExecArgs | undefined | null): string {
  if (args?.command) return args.command;
  return (args?.argv ?? [])
    .map((part) => (/^[\w@%+=:,./-]+$/.test(part) ? part : `'${part.replaceAll("'", "'\\''")}'`))
    .join(' ');
}
