import { describe, expect, it } from 'vitest';
import { rangeOf, rangeSearch, zoomed } from './range';

describe('the range in the URL', () => {
  it.each([
    [{}, { kind: 'named', name: '1h' }],
    [{ range: '7d' }, { kind: 'named', name: '7d' }],
    [{ range: 'toString' }, { kind: 'named', name: '1h' }],
    [
      { from: '1000', to: '2000' },
      { kind: 'fixed', from: 1000, to: 2000 },
    ],
    [
      { from: '2000', to: '1000' },
      { kind: 'named', name: '1h' },
    ],
    [
      { from: 'x', to: '1000', range: '6h' },
      { kind: 'named', name: '6h' },
    ],
  ])('%o', (search, range) => expect(rangeOf(rangeSearch(search))).toEqual(range));

  it('keeps_a_zoom_wide_enough_to_read_back', () => {
    const { from, to } = zoomed(1000, 1001);
    expect(rangeSearch({ from: String(from), to: String(to) })).toEqual({ from, to });
  });
});
