import type { Job, JobState } from './types';

/** States that a job passes through; every other is an end. */
export const ACTIVE_STATES = [
  'queued',
  'awaiting_signature',
  'sent',
  'running',
  'reconciling',
] as const satisfies readonly JobState[];

export function isFinished(state: JobState): boolean {
  return !(ACTIVE_STATES as readonly JobState[]).includes(state);
}

/**
 * What is known of a job after something new came in. Events and answers overtake each other: an end is final, so an
 * answer that was given before it must not bring the job back to life.
 */
export function mergeJob(known: Job | undefined, incoming: Job): Job {
  if (!known) return incoming;
  return isFinished(known.state) && !isFinished(incoming.state) ? known : { ...known, ...incoming };
}
