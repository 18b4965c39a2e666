import { queryOptions } from '@tanstack/react-query';
import { api, idempotencyKey, unwrap } from '@/api/client';
import { keys } from '@/api/keys';
import type { OperatorKey } from '@/api/types';

export const operatorKeysQuery = queryOptions({
  queryKey: keys.operatorKeys(),
  queryFn: ({ signal }) => unwrap(api.GET('/v1/account/operator-keys', { signal })),
});

export interface NewOperatorKey {
  publicKey: string;
  name: string;
}

export function addOperatorKey({ publicKey, name }: NewOperatorKey): Promise<OperatorKey> {
  return unwrap(
    api.POST('/v1/account/operator-keys', {
      headers: { 'idempotency-key': idempotencyKey() },
      body: {
        public_key: oneLine(publicKey),
        ...(name.trim() === '' ? {} : { name: name.trim() }),
      },
    }),
  );
}

/** Terminals break long lines where they are copied. */
export function oneLine(text: string): string {
  return text.trim().replace(/\s*\n\s*/g, '');
}

export type KeyProblem = 'missing' | 'private' | 'other_type' | 'not_a_key';

/** What is wrong with a pasted public key, as far as it can be told without the hub. */
export function problemOfKey(text: string): KeyProblem | null {
  const key = oneLine(text);
  if (key === '') return 'missing';
  if (/PRIVATE KEY/.test(key)) return 'private';
  if (/^ssh-ed25519 +AAAA[A-Za-z0-9+/]{60,}={0,2}( .*)?$/.test(key)) return null;
  return /^(ssh-rsa|ssh-dss|ecdsa-|sk-)/.test(key) ? 'other_type' : 'not_a_key';
}

/** The entry for a host's policy file; a comment cannot break out of its quotes. */
export function policyLine(key: Pick<OperatorKey, 'public_key' | 'name'>): string {
  const [type, blob] = key.public_key.split(/\s+/);
  const comment = key.name.replace(/[^\p{L}\p{N} ._@-]/gu, '');
  return `operators = ["${[type, blob, comment].filter(Boolean).join(' ')}"]`;
}
