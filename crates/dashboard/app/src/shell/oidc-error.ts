const CODES = [
  'oidc_address_taken',
  'oidc_denied',
  'oidc_expired',
  'oidc_failed',
  'oidc_identity_taken',
  'oidc_second_factor',
  'oidc_unknown_account',
] as const;

export type OidcError = (typeof CODES)[number] | 'other';

/** What a provider's answer came to, as the hub writes it behind the # of an address; null where there is none. */
export function oidcErrorIn(hash: string): OidcError | null {
  const code = new URLSearchParams(hash.replace(/^#/, '')).get('error');
  if (code === null) return null;
  return CODES.find((known) => known === code) ?? 'other';
}

/** Where the person wanted to go who stands on the sign-in page because of that. */
export function returnToIn(hash: string): string | undefined {
  return new URLSearchParams(hash.replace(/^#/, '')).get('return_to') ?? undefined;
}
