import { describe, expect, it } from 'vitest';
import type { Job, JobState } from '@/api/types';
import { en } from '@/i18n/en';
import { explainError, queueNote, queueOf } from './words';

const job = (id: string, state: JobState, over: Partial<Job> = {}): Job =>
  ({ id, state, created_at: `2026-01-01T00:00:0${id}.000Z`, exclusive: false, ...over }) as Job;

describe('a waiting job', () => {
  const mine = job('5', 'queued');
  it('is_next_when_nothing_is_before_it', () => {
    expect(queueOf(mine, [mine, job('7', 'queued')])).toEqual({ ahead: 0, exclusiveAhead: false });
    expect(queueNote(mine, { ahead: 0, exclusiveAhead: false })).toMatch(/next/i);
  });

  it('counts_what_runs_and_what_came_earlier_but_nothing_that_waits_for_a_person', () => {
    const others = [
      job('1', 'running'),
      job('3', 'queued'),
      job('4', 'awaiting_signature'),
      job('6', 'queued'),
    ];
    expect(queueOf(mine, others).ahead).toBe(2);
    expect(queueNote(mine, { ahead: 2, exclusiveAhead: false })).toContain('2 other jobs');
    expect(queueNote(mine, { ahead: 1, exclusiveAhead: false })).toContain('another job');
  });

  it('says_that_somebody_runs_alone', () => {
    const queue = queueOf(mine, [job('1', 'running', { exclusive: true })]);
    expect(queue.exclusiveAhead).toBe(true);
    expect(queueNote(mine, queue)).toContain('alone');
    expect(queueNote(job('5', 'queued', { exclusive: true }), { ahead: 2, exclusiveAhead: false })).toContain(
      '2 jobs before it',
    );
  });
});

describe('words', () => {
  it('exist_for_every_state', () => {
    expect(Object.keys(en.status.job_means).sort()).toEqual(Object.keys(en.status.job).sort());
    expect(Object.keys(en.status.batch_means).sort()).toEqual(Object.keys(en.status.batch).sort());
  });

  it('exist_for_every_known_error_and_say_what_to_do', () => {
    for (const code of Object.keys(en.jobs.error)) {
      const words = explainError(code);
      expect(words?.what, code).toMatch(/\.$/);
      expect(words?.next, code).toMatch(/\.$/);
    }
    expect(explainError('toString')).toBe(null);
  });
});
