import { describe, expect, it } from 'vitest';
import { mergeJob } from './job-state';
import type { Job, JobState } from './types';

const job = (state: JobState): Job => ({ id: 'j', state }) as Job;

describe('mergeJob', () => {
  it('never_brings_a_finished_job_back', () => {
    expect(mergeJob(job('cancelled'), job('running')).state).toBe('cancelled');
    expect(mergeJob(job('running'), job('cancelled')).state).toBe('cancelled');
    // The hub may learn better about a job that it believed lost.
    expect(mergeJob(job('lost'), job('succeeded')).state).toBe('succeeded');
  });
});
