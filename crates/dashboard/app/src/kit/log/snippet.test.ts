import { describe, expect, it } from 'vitest';
import { snippetOf } from './snippet';

describe('a match in a long line', () => {
  it('is_in_sight', () => {
    const { before, hit, after } = snippetOf(`${'a'.repeat(500)} Needle ${'b'.repeat(900)}`, 'needle');
    expect(hit).toBe('Needle');
    expect(before.length).toBeLessThan(50);
    expect(before.startsWith('…')).toBe(true);
    expect(after.length).toBe(400);
  });
  it('leaves_short_lines_whole_and_drops_colours', () =>
    expect(snippetOf('\u001b[31merror\u001b[0m: disk\n', 'disk')).toEqual({
      before: 'error: ',
      hit: 'disk',
      after: '',
    }));
});
