import { describe, expect, it } from 'vitest';
import { choose, findAreas, isPattern, matches, patternsIn, splitKnown, wrongPattern } from './events';

describe('what a webhook is sent', () => {
  it('is_what_its_patterns_mean', () => {
    expect(matches('*', 'server.revoke')).toBe(true);
    expect(matches('server.*', 'server.revoke')).toBe(true);
    expect(matches('server.*', 'server_group.create')).toBe(false);
    expect(matches('job.*', 'job_batch.end')).toBe(false);
    expect(matches('auth.login', 'auth.login')).toBe(true);
    expect(matches('auth.log', 'auth.login')).toBe(false);
  });

  it('is_written_as_area_and_verb', () => {
    for (const good of ['*', 'member.*', 'auth.login', 'job_batch.end']) expect(isPattern(good)).toBe(true);
    for (const bad of ['', 'member', 'member.', '*.login', 'a.b.c', 'Member.join', 'a b.c', '**'])
      expect(isPattern(bad)).toBe(false);
    expect(wrongPattern(['*', 'x'])).toBe('x');
    expect(patternsIn(' a.b, a.b\nc.* ')).toEqual(['a.b', 'c.*']);
  });

  it('is_split_into_what_the_list_knows_and_the_rest', () => {
    expect(splitKnown(['server.*', 'server.revoke', 'moon.rise', '*'])).toEqual({
      known: ['server.*', 'server.revoke'],
      others: ['moon.rise'],
    });
  });

  it('names_an_event_once_when_all_of_its_area_is_meant', () => {
    const all = choose(['server.revoke', 'job.end'], 'server.*', true);
    expect(all).toEqual(['job.end', 'server.*']);
    expect(choose(all, 'server.*', false)).toEqual(['job.end']);
    expect(choose(['job_batch.end'], 'job.*', true)).toEqual(['job_batch.end', 'job.*']);
  });

  it('is_found_by_meaning', () => {
    expect(findAreas('revoked').flatMap(({ actions }) => actions.map(({ action }) => action))).toEqual([
      'api_key.delete',
      'server.revoke',
    ]);
    expect(findAreas('no such thing')).toEqual([]);
  });
});
