import { describe, expect, it } from 'vitest';
import type { Policy, PolicyRules } from '@/api/types';
import { isOpen, rulesInForce, rulesOf, valuesOf, whoForbids } from './rules';

const policy = (over: Partial<Policy>): Policy => ({
  source: 'file',
  tiers: ['read', 'typed', 'root'],
  denied_kinds: [],
  require_operator_signature: [],
  file: null,
  hub: null,
  hub_seq: 0,
  operators: [],
  problem: null,
  ...over,
});
const held = (file: PolicyRules | null, hub: PolicyRules | null) =>
  Object.fromEntries(rulesInForce(policy({ file, hub })).map((row) => [row.rule, row.inForce]));

describe('what is in force', () => {
  it('is_everything_without_rules', () => {
    expect(isOpen(policy({ source: 'absent' }))).toBe(true);
    expect(isOpen(policy({ source: 'unreadable', problem: 'x' }))).toBe(false);
  });

  it('is_what_file_and_hub_both_allow', () => {
    expect(held({ tiers: ['read', 'typed'] }, { tiers: ['typed', 'root'] }).tiers).toEqual(['typed']);
    expect(held({ users: ['app'] }, null).users).toEqual(['app']);
    expect(held(null, { users: ['app'] }).users).toEqual(['app']);
    expect(held({ users: ['app'] }, { users: ['web'] }).users).toEqual([]);
  });

  it('takes_the_narrower_of_two_paths', () => {
    expect(held({ paths: ['/srv', '/home/a'] }, { paths: ['/srv/app', '/home'] }).paths).toEqual([
      '/home/a',
      '/srv/app',
    ]);
    expect(held({ paths: ['/srv/application'] }, { paths: ['/srv/app'] }).paths).toEqual([]);
  });

  it('wants_signatures_when_either_does', () => {
    expect(
      held({ require_operator_signature: ['root'] }, { require_operator_signature: ['typed'] })
        .require_operator_signature,
    ).toEqual(['typed', 'root']);
    expect(held({ require_operator_signature: [] }, null).require_operator_signature).toBe(null);
  });
});

describe('who forbids a job', () => {
  const job = { kind: 'exec', args: { command: 'id', user: 'deploy', cwd: '/srv/app' } };
  it.each([
    [{ file: { users: ['www'] } }, { by: 'file', rule: 'users' }],
    [{ hub: { tiers: ['read' as const] } }, { by: 'hub', rule: 'tiers' }],
    [
      { file: { paths: ['/srv/ap'] }, hub: { paths: ['/tmp'] } },
      { by: 'both', rule: 'paths' },
    ],
    [{ file: { kinds: [] } }, { by: 'file', rule: 'kinds' }],
    [{ source: 'unreadable' as const }, { by: 'unreadable', rule: null }],
    [{ file: { paths: ['/srv/'], users: ['deploy'] } }, null],
  ])('%o', (rules, expected) => expect(whoForbids(policy(rules), job)).toEqual(expected));

  it('takes_a_job_without_a_user_for_one_of_root', () =>
    expect(
      whoForbids(policy({ hub: { users: ['deploy'] } }), { kind: 'exec', args: { command: 'id' } }),
    ).toEqual({
      by: 'hub',
      rule: 'users',
    }));
});

describe('the form', () => {
  const file: PolicyRules = { tiers: ['read', 'typed'], require_operator_signature: ['typed'] };
  it('sends_nothing_when_nothing_is_narrower_than_the_file', () =>
    expect(rulesOf(valuesOf(null, file), file)).toEqual({}));

  it('sends_only_what_the_hub_adds', () => {
    const values = {
      ...valuesOf(null, file),
      tiers: ['read' as const],
      limitUsers: true,
      users: 'app, web app',
    };
    expect(rulesOf(values, file)).toEqual({ tiers: ['read'], users: ['app', 'web'] });
  });

  it('reads_back_what_it_sent', () => {
    const rules: PolicyRules = { tiers: ['read'], paths: ['/srv', '/home'], kinds: [] };
    expect(rulesOf(valuesOf(rules, null), null)).toEqual(rules);
  });
});
