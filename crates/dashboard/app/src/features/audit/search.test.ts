import { describe, expect, it } from 'vitest';
import { auditSearch, exportUrl, filterOf, isFiltered, localField, momentOf } from './search';

const NOW = Date.parse('2026-11-21T12:00:00Z');

describe('what the audit log is narrowed to', () => {
  it('is_read_from_the_address_and_nothing_else_is', () => {
    const search = auditSearch({ q: 'grace', result: 'denied', since: '24h', actor: '', limit: '5' });
    expect(search).toEqual({ q: 'grace', result: 'denied', since: '24h' });
    expect(auditSearch({ result: 'maybe', since: '2h', from: 'yesterday' })).toEqual({});
  });

  it('is_a_fixed_stretch_or_a_span_that_ends_now_never_both', () => {
    expect(auditSearch({ since: '7d', from: '2026-11-01T00:00:00Z' })).toEqual({
      from: '2026-11-01T00:00:00.000Z',
    });
  });

  it('is_asked_in_the_words_of_the_hub', () => {
    expect(filterOf({ actor: 'a', server: 's', since: '1h' }, NOW)).toEqual({
      actor_id: 'a',
      server_id: 's',
      from: '2026-11-21T11:00:00.000Z',
    });
    expect(filterOf({}, NOW)).toEqual({});
    expect(isFiltered({})).toBe(false);
    expect(isFiltered({ q: 'x' })).toBe(true);
  });

  it('is_exported_as_it_is_shown', () => {
    expect(exportUrl({}, 'jsonl', NOW)).toBe('/v1/audit/export?format=jsonl');
    expect(exportUrl({ q: 'a&b', result: 'failed' }, 'csv', NOW)).toBe(
      '/v1/audit/export?format=csv&q=a%26b&result=failed',
    );
  });

  it('keeps_a_moment_through_its_field', () => {
    const moment = '2026-11-21T14:03:00.000Z';
    expect(momentOf(localField(moment))).toBe(moment);
    expect(localField(undefined)).toBe('');
    expect(momentOf('')).toBe(undefined);
    expect(momentOf('soon')).toBe(undefined);
  });
});
