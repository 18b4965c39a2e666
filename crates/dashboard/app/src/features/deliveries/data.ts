import {
  infiniteQueryOptions,
  keepPreviousData,
  queryOptions,
  useMutation,
  useQueryClient,
} from '@tanstack/react-query';
import { api, checked, unwrap } from '@/api/client';
import type { ApiError } from '@/api/error';
import { keys } from '@/api/keys';
import type { DeliveryDetail } from '@/api/types';
import type { DeliverySearch } from './search';

/** What waits moves on without being asked: it is looked at again so often. */
const WATCH_MS = 5_000;

export function deliveriesQuery({ state, channel, webhook }: DeliverySearch) {
  return infiniteQueryOptions({
    queryKey: [...keys.deliveries(), 'list', { state, channel, webhook }],
    initialPageParam: undefined as string | undefined,
    queryFn: ({ pageParam, signal }) => {
      const query = { state, channel, webhook_id: webhook, limit: 50, cursor: pageParam };
      return unwrap(api.GET('/v1/deliveries', { params: { query }, signal }));
    },
    getNextPageParam: (page) => page.next_cursor ?? undefined,
    placeholderData: keepPreviousData,
    staleTime: 0,
    refetchInterval: ({ state: { data } }) =>
      data?.pages.some((page) => page.data.some((one) => one.state === 'waiting')) ? WATCH_MS : false,
  });
}

export function deliveryQuery(id: string) {
  return queryOptions({
    queryKey: keys.delivery(id),
    queryFn: ({ signal }): Promise<DeliveryDetail> =>
      unwrap(api.GET('/v1/deliveries/{id}', { params: { path: { id } }, signal })),
    staleTime: 0,
    refetchInterval: ({ state: { data } }) => (data?.state === 'waiting' ? WATCH_MS : false),
  });
}

export function useRetry(id: string) {
  const client = useQueryClient();
  return useMutation<unknown, ApiError>({
    mutationFn: () => checked(api.POST('/v1/deliveries/{id}/retry', { params: { path: { id } } })),
    onSuccess: () => client.invalidateQueries({ queryKey: keys.deliveries() }),
  });
}
