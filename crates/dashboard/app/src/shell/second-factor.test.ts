import { describe, expect, it } from 'vitest';
import { ApiError } from '@/api/error';
import { wantedFactor } from './second-factor';

const refused = (code: string, details = {}) => new ApiError(401, code, 'x', null, {}, null, [], details);

describe('a second factor', () => {
  it('is_wanted_only_when_the_hub_says_so', () => {
    expect(wantedFactor(refused('invalid_credentials'))).toBe(null);
    expect(wantedFactor(new Error('totp_required'))).toBe(null);
  });

  it('is_a_code_where_nothing_is_named', () => {
    expect(wantedFactor(refused('totp_required'))).toEqual({ codes: 'app', passkeys: false, ceremony: null });
  });

  it('is_what_the_hub_names', () => {
    const passkey = { ceremony_id: 'c', options: { challenge: 'AQ' } };
    expect(wantedFactor(refused('totp_required', { methods: ['passkey'], passkey }))).toEqual({
      codes: 'none',
      passkeys: true,
      ceremony: passkey,
    });
    expect(wantedFactor(refused('totp_required', { methods: ['totp', 'recovery'] }))?.passkeys).toBe(false);
    expect(wantedFactor(refused('totp_required', { methods: ['recovery', 'passkey'] }))?.codes).toBe(
      'recovery',
    );
    const broken = refused('totp_required', { methods: ['passkey'], passkey: { ceremony_id: 1 } });
    expect(wantedFactor(broken)?.ceremony).toBe(null);
  });
});
