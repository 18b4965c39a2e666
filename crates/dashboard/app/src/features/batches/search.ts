import type { JobBatchState } from '@/api/types';

/** States that belong together in the filter. */
export const BATCH_GROUPS = {
  open: ['running', 'paused', 'halted'],
  succeeded: ['succeeded'],
  failed: ['failed'],
  cancelled: ['cancelled'],
} as const satisfies Record<string, readonly JobBatchState[]>;
export type BatchGroup = keyof typeof BATCH_GROUPS;

export interface BatchListSearch {
  state?: BatchGroup;
}

export function batchListSearch(search: Record<string, unknown>): BatchListSearch {
  const state = String(search.state ?? '');
  return Object.hasOwn(BATCH_GROUPS, state) ? { state: state as BatchGroup } : {};
}

export const ROW_STATES = ['waiting', 'active', 'succeeded', 'failed'] as const;
export type RowState = (typeof ROW_STATES)[number];

export interface BatchSearch {
  /** Rows of the matrix that are shown. */
  show?: RowState;
}

export function batchSearch(search: Record<string, unknown>): BatchSearch {
  const show = ROW_STATES.find((state) => state === search.show);
  return show ? { show } : {};
}
