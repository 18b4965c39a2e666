import { describe, expect, it } from 'vitest';
import { labelsToText, parseLabels } from './labels';
import { serverListSearch, toggleInList } from './search';

describe('labels', () => {
  it('reads_what_it_writes', () => {
    const labels = { env: 'prod', role: 'web', spare: '' };
    expect(parseLabels(labelsToText(labels)).labels).toEqual(labels);
  });

  it('accepts_equals_signs_and_lines', () =>
    expect(parseLabels('env=prod\nrole:web').labels).toEqual({ env: 'prod', role: 'web' }));

  it.each(['Env:prod', ':x', 'a:1, a:2', `a:${'x'.repeat(200)}`])('says what is wrong with %s', (text) =>
    expect(parseLabels(text).error).toBeTruthy(),
  );
});

describe('filters in the URL', () => {
  it('drops_what_it_does_not_know', () =>
    expect(serverListSearch({ status: 'online,sunk', sort: 'cpu', q: 7, label: '' })).toEqual({
      status: 'online',
    }));

  it('toggles', () => {
    expect(toggleInList(undefined, 'a')).toBe('a');
    expect(toggleInList('a,b', 'a')).toBe('b');
    expect(toggleInList('a', 'a')).toBeUndefined();
  });
});
