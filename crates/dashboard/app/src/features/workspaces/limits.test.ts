import { describe, expect, it } from 'vitest';
import { featureWords, parseLimit, shareOf, standing, wrongFeature } from './limits';

describe('a plan', () => {
  it('stands_free_full_or_over', () => {
    expect(standing(3, null)).toBe('free');
    expect(standing(3, 4)).toBe('free');
    expect(standing(4, 4)).toBe('full');
    expect(standing(5, 4)).toBe('over');
    expect(standing(0, 0)).toBe('full');
  });

  it('is_never_more_than_full_on_its_meter', () => {
    expect(shareOf(1, 4)).toBe(25);
    expect(shareOf(9, 4)).toBe(100);
    expect(shareOf(0, 0)).toBe(100);
    expect(shareOf(9, null)).toBe(null);
  });

  it('takes_whole_numbers_or_nothing', () => {
    expect(parseLimit(' 20 ')).toBe(20);
    expect(parseLimit('')).toBe(null);
    expect(parseLimit('0')).toBe(0);
    for (const wrong of ['-1', '1.5', 'ten', '4294967296', '1e3']) expect(parseLimit(wrong)).toBe(undefined);
  });

  it('says_which_feature_is_none', () => {
    expect(featureWords('white_label,  sso sso')).toEqual(['white_label', 'sso']);
    expect(wrongFeature('white_label sso')).toBe(undefined);
    expect(wrongFeature('white-label')).toBe('white-label');
  });
});
