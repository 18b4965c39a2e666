import { describe, expect, it } from 'vitest';
import { bytes, decimal, duration, percent, relativeTime, shortId, utcTime } from './format';

describe('format', () => {
  it.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1.00 KiB'],
    [1536, '1.50 KiB'],
    [1024 * 1024 - 1, '1.00 MiB'],
    [8 * 1024 ** 3, '8.00 GiB'],
    [123_456_789, '118 MiB'],
    [null, '–'],
    [Number.NaN, '–'],
  ])('bytes(%s) is %s', (value, text) => expect(bytes(value)).toBe(text));

  it.each([
    [0, '0 %'],
    [0.4, '0.4 %'],
    [9.96, '10 %'],
    [99.6, '100 %'],
    [null, '–'],
  ])('percent(%s) is %s', (value, text) => expect(percent(value)).toBe(text));

  it.each([
    [0, '0 ms'],
    [999, '999 ms'],
    [12_440, '12.4 s'],
    [59_990, '1 min'],
    [200_000, '3 min 20 s'],
    [7_500_000, '2 h 5 min'],
    [352_800_000, '4 d 2 h'],
    [null, '–'],
  ])('duration(%s) is %s', (value, text) => expect(duration(value)).toBe(text));

  it('tells_the_past_from_the_future', () => {
    const now = Date.parse('2026-01-01T12:00:00Z');
    expect(relativeTime('2026-01-01T11:59:58Z', now)).toBe('just now');
    expect(relativeTime('2026-01-01T11:55:00Z', now)).toBe('5 min ago');
    expect(relativeTime('2026-01-01T13:30:00Z', now)).toBe('in 1 h');
    expect(relativeTime('rubbish', now)).toBe('–');
  });

  it('never_throws_on_bad_input', () => {
    expect(utcTime('rubbish')).toBe('–');
    expect(decimal(undefined)).toBe('–');
    expect(shortId('0193c0de-7e57-7000-8000-0123456789ab')).toBe('456789ab');
  });
});
