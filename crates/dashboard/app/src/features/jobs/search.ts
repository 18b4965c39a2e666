import { ACTIVE_STATES } from '@/api/job-state';
import type { JobState } from '@/api/types';

/** States that belong together in the filter. */
export const STATE_GROUPS = {
  active: ACTIVE_STATES,
  signature: ['awaiting_signature'],
  succeeded: ['succeeded'],
  failed: ['failed', 'timed_out', 'interrupted', 'rejected', 'expired', 'lost'],
  cancelled: ['cancelled'],
} as const satisfies Record<string, readonly JobState[]>;

export type StateGroup = keyof typeof STATE_GROUPS;

export interface JobListSearch {
  state?: StateGroup;
  server?: string;
}

export function jobListSearch(search: Record<string, unknown>): JobListSearch {
  const state = String(search.state ?? '');
  return {
    ...(Object.hasOwn(STATE_GROUPS, state) ? { state: state as StateGroup } : {}),
    ...(typeof search.server === 'string' && search.server !== '' ? { server: search.server } : {}),
  };
}

export interface NewJobSearch {
  /** The server that is already chosen. */
  server?: string;
  /** The job whose fields are filled in. */
  like?: string;
  /** The batch whose fields are filled in. */
  like_batch?: string;
  /** `several`: more than one server is to be chosen. */
  on?: 'several';
}

export function newJobSearch(search: Record<string, unknown>): NewJobSearch {
  return {
    ...(typeof search.server === 'string' ? { server: search.server } : {}),
    ...(typeof search.like === 'string' ? { like: search.like } : {}),
    ...(typeof search.like_batch === 'string' ? { like_batch: search.like_batch } : {}),
    ...(search.on === 'several' ? { on: 'several' } : {}),
  };
}
