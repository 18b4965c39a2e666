import {
  infiniteQueryOptions,
  keepPreviousData,
  queryOptions,
  useMutation,
  useQueryClient,
} from '@tanstack/react-query';
import { api, idempotencyKey, unwrap } from '@/api/client';
import type { ApiError } from '@/api/error';
import { keys } from '@/api/keys';
import type { JobBatch, JobBatchCreate } from '@/api/types';
import { BATCH_GROUPS, type BatchGroup, type RowState } from './search';

const PAGE = 50;
const ROWS_PAGE = 200;

export function batchListQuery(state: BatchGroup | undefined) {
  return infiniteQueryOptions({
    queryKey: [...keys.batchLists(), { state }],
    initialPageParam: undefined as string | undefined,
    queryFn: ({ pageParam, signal }) => {
      const query = { state: state && BATCH_GROUPS[state].join(','), limit: PAGE, cursor: pageParam };
      return unwrap(api.GET('/v1/job-batches', { params: { query }, signal }));
    },
    getNextPageParam: (page) => page.next_cursor ?? undefined,
    placeholderData: keepPreviousData,
  });
}

/** Batches that wait for somebody's decision. */
export const haltedBatchesQuery = queryOptions({
  queryKey: [...keys.batchLists(), 'halted'],
  queryFn: async ({ signal }) =>
    (await unwrap(api.GET('/v1/job-batches', { params: { query: { state: 'halted', limit: 4 } }, signal })))
      .data,
});

export function batchQuery(id: string) {
  return queryOptions({
    queryKey: keys.batch(id),
    queryFn: ({ signal }): Promise<JobBatch> =>
      unwrap(api.GET('/v1/job-batches/{id}', { params: { path: { id } }, signal })),
  });
}

/** The result matrix: a row per server, in the order of the waves. */
export function batchServersQuery(id: string, state: RowState | undefined) {
  return infiniteQueryOptions({
    queryKey: [...keys.batchServers(id), { state }],
    initialPageParam: undefined as string | undefined,
    queryFn: ({ pageParam, signal }) =>
      unwrap(
        api.GET('/v1/job-batches/{id}/servers', {
          params: { path: { id }, query: { state, limit: ROWS_PAGE, cursor: pageParam } },
          signal,
        }),
      ),
    getNextPageParam: (page) => page.next_cursor ?? undefined,
    // Rows move from one filter to another while a batch runs: what was read under another one is old.
    staleTime: 0,
  });
}

/** Names of a batch's servers, for making another one like it; of a large one, of the first. */
export function batchServersFirstQuery(id: string) {
  return queryOptions({
    queryKey: [...keys.batchServers(id), 'first'],
    queryFn: async ({ signal }) => {
      const params = { path: { id }, query: { limit: ROWS_PAGE } };
      const page = await unwrap(api.GET('/v1/job-batches/{id}/servers', { params, signal }));
      return page.data.map((row) => ({ id: row.server_id, name: row.server_name }));
    },
  });
}

export function createBatch(body: JobBatchCreate): Promise<JobBatch> {
  return unwrap(api.POST('/v1/job-batches', { headers: { 'idempotency-key': idempotencyKey() }, body }));
}

export type BatchAction = 'pause' | 'resume' | 'cancel';

export function useBatchAction(id: string) {
  const client = useQueryClient();
  return useMutation<JobBatch, ApiError, BatchAction>({
    mutationFn: (action) => {
      const params = { path: { id } };
      switch (action) {
        case 'pause':
          return unwrap(api.POST('/v1/job-batches/{id}/pause', { params }));
        case 'resume':
          return unwrap(api.POST('/v1/job-batches/{id}/resume', { params }));
        case 'cancel':
          return unwrap(api.POST('/v1/job-batches/{id}/cancel', { params }));
      }
    },
    onSuccess: (batch) => {
      client.setQueryData<JobBatch>(keys.batch(id), batch);
      void client.invalidateQueries({ queryKey: keys.batchLists() });
    },
    // Somebody else was faster, or it ended meanwhile: what is shown is old.
    onError: () => void client.invalidateQueries({ queryKey: keys.batch(id) }),
  });
}
