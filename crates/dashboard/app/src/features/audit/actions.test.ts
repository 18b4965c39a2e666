import { describe, expect, it } from 'vitest';
import { ACTION_AREAS, findActions, meaningOf } from './actions';

describe('names of actions', () => {
  it('have_words_or_keep_their_name', () => {
    expect(meaningOf('server.revoke')).toBe('Server revoked');
    expect(meaningOf('server.teleport')).toBe(null);
    expect(meaningOf('constructor')).toBe(null);
  });

  it('are_found_by_name_by_meaning_and_by_area', () => {
    const names = (query: string) => findActions(query).map(({ action }) => action);
    expect(names('totp.enable')).toEqual(['totp.enable']);
    expect(names('codes renewed')).toEqual(['totp.recovery_codes']);
    expect(names('members')).toEqual(['member.grant', 'member.join', 'member.remove']);
    expect(names('no such thing')).toEqual([]);
  });

  it('stand_in_areas_by_their_titles', () => {
    const titles = ACTION_AREAS.map(({ title }) => title);
    expect(titles).toEqual([...titles].sort((a, b) => a.localeCompare(b, 'en')));
  });
});
