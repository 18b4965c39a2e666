import { describe, expect, it } from 'vitest';
import { LogBuffer } from './buffer';
import { hashOf, parseHash } from './link';

describe('link to a line', () => {
  it('reads_what_it_writes', () => {
    const whole = new LogBuffer();
    expect(parseHash(`#${hashOf(12, 12, whole)}`)).toEqual({ unit: 'line', first: 12, last: 12 });
    expect(parseHash(`#${hashOf(12, 20, whole)}`)).toEqual({ unit: 'line', first: 12, last: 20 });
    expect(parseHash(`#${hashOf(1, 1, new LogBuffer(4096))}`)).toEqual({
      unit: 'byte',
      first: 4096,
      last: 4096,
    });
  });

  it('turns_a_backward_range_round', () =>
    expect(parseHash('#L20-L12')).toEqual({ unit: 'line', first: 12, last: 20 }));

  it.each(['', '#', '#L', '#L0', '#Lx', '#L-3', '#L1e9', '#X5', '#L99999999999999999'])(
    'ignores %s',
    (hash) => expect(parseHash(hash)).toBeNull(),
  );
});
