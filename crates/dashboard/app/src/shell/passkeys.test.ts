import { describe, expect, it } from 'vitest';
import { fromBase64Url, toBase64Url } from './base64';
import { asJson, creationOptions, passkeyError, requestOptions } from './passkeys';

const bytes = (...all: number[]) => Uint8Array.from(all);

describe('bytes in JSON', () => {
  it('come_back_as_they_were_whatever_they_are', () => {
    const every = Uint8Array.from({ length: 256 }, (_, n) => n);
    for (let end = 0; end < 256; end += 1) {
      expect(fromBase64Url(toBase64Url(every.slice(0, end)))).toEqual(every.slice(0, end));
    }
    expect(toBase64Url(bytes(0xfb, 0xff))).toBe('-_8');
  });

  it('may_be_padded_or_in_the_other_alphabet', () => {
    expect(fromBase64Url('+/8=')).toEqual(bytes(0xfb, 0xff));
  });
});

describe('the options of a ceremony', () => {
  const options = {
    challenge: 'AQID',
    rp: { id: 'hub.example.net', name: 'Roadstead' },
    user: { id: 'BA', name: 'ada@example.net', displayName: 'Ada' },
    excludeCredentials: [{ id: 'BQ', type: 'public-key' }],
  };

  it('become_bytes_where_the_browser_wants_them', () => {
    const made = creationOptions(options);
    expect(made.challenge).toEqual(bytes(1, 2, 3));
    expect(made.user).toEqual({ id: bytes(4), name: 'ada@example.net', displayName: 'Ada' });
    expect(made.excludeCredentials).toEqual([{ id: bytes(5), type: 'public-key' }]);
    expect(made.rp).toEqual(options.rp);
  });

  it('are_taken_with_and_without_their_wrapping', () => {
    expect(creationOptions({ publicKey: options })).toEqual(creationOptions(options));
    const request = {
      challenge: 'AQID',
      rpId: 'hub.example.net',
      allowCredentials: [{ id: 'BQ', type: 'public-key' }],
    };
    expect(requestOptions({ publicKey: request })).toEqual(requestOptions(request));
    expect(requestOptions({ challenge: 'AQID' })).toEqual({ challenge: bytes(1, 2, 3) });
  });
});

describe('what an authenticator answers', () => {
  it('is_sent_with_its_bytes_as_text_and_nothing_else', () => {
    const credential = {
      id: 'BQ',
      rawId: bytes(5).buffer,
      type: 'public-key',
      authenticatorAttachment: 'platform',
      response: {
        clientDataJSON: bytes(1).buffer,
        authenticatorData: bytes(2).buffer,
        signature: bytes(3).buffer,
        userHandle: null,
      },
      getClientExtensionResults: () => ({}),
    };
    expect(asJson(credential as never)).toEqual({
      id: 'BQ',
      rawId: 'BQ',
      type: 'public-key',
      authenticatorAttachment: 'platform',
      response: { clientDataJSON: 'AQ', authenticatorData: 'Ag', signature: 'Aw' },
      clientExtensionResults: {},
    });
  });

  it('has_words_for_every_refusal', () => {
    expect(passkeyError('NotAllowedError', 'x').message).toMatch(/cancelled/);
    expect(passkeyError('InvalidStateError', 'x').message).toMatch(/already/);
    expect(passkeyError('DataError', 'odd').message).toContain('odd');
    expect(passkeyError('NotAllowedError', '').isUnreachable).toBe(false);
  });
});
