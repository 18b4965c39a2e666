import { describe, expect, it } from 'vitest';
import { wordsOf } from './words';

const event = (kind: string, data: object) =>
  wordsOf({ action: 'security.event', details: { kind, data } as never });

describe('what an agent reported', () => {
  it('says_that_a_policy_refused_a_job_and_which', () => {
    const words = event('security.rejected_command', {
      code: 'policy_denied',
      job_id: 'j',
      message: 'the policy of this server does not allow commands as root',
    });
    expect(words?.what).toContain('policy');
    expect(words?.message).toBe('The policy of this server does not allow commands as root.');
    expect(words?.jobId).toBe('j');
  });

  it('knows_other_reports_and_leaves_the_rest_to_their_name', () => {
    expect(event('security.rejected_command', { code: 'new' })?.what).toMatch(/refused/i);
    expect(event('security.bad_mac', {})?.message).toBe(null);
    expect(event('backup.done', {})).toBe(null);
    expect(wordsOf({ action: 'job.create', details: {} as never })).toBe(null);
  });
});
