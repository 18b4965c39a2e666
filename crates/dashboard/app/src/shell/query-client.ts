import { QueryClient } from '@tanstack/react-query';
import { toApiError } from '@/api/error';

const MOST_RETRIES = 2;

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 15_000,
      // What the hub refused once it refuses again; only a missing answer is worth another try.
      retry: (failures, thrown) => failures < MOST_RETRIES && toApiError(thrown).isUnreachable,
      retryDelay: (attempt) => Math.min(4_000, 500 * 2 ** attempt),
      refetchOnWindowFocus: false,
      networkMode: 'always',
    },
    mutations: { retry: false, networkMode: 'always' },
  },
});
