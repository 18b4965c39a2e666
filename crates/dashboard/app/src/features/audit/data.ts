import { infiniteQueryOptions, keepPreviousData } from '@tanstack/react-query';
import { api, unwrap } from '@/api/client';
import { keys } from '@/api/keys';
import type { AuditEntry, AuditVerification } from '@/api/types';
import { type AuditSearch, filterOf } from './search';

export function auditQuery(search: AuditSearch) {
  return infiniteQueryOptions({
    queryKey: [...keys.audit(), search],
    initialPageParam: undefined as string | undefined,
    queryFn: ({ pageParam, signal }) => {
      const query = { ...filterOf(search, Date.now()), limit: 50, cursor: pageParam };
      return unwrap(api.GET('/v1/audit', { params: { query }, signal }));
    },
    getNextPageParam: (page) => page.next_cursor ?? undefined,
    placeholderData: keepPreviousData,
    staleTime: 0,
  });
}

/** Reads the whole chain, which takes the hub a while when it is long: only when somebody asks. */
export function verifyChain(): Promise<AuditVerification> {
  return unwrap(api.GET('/v1/audit/verify'));
}

export function redactEntry(id: string, reason: string): Promise<AuditEntry> {
  return unwrap(api.POST('/v1/audit/{id}/redact', { params: { path: { id } }, body: { reason } }));
}
