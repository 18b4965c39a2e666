import { queryOptions } from '@tanstack/react-query';
import { api, unwrap } from '@/api/client';
import { toApiError } from '@/api/error';
import { keys } from '@/api/keys';
import type { Account, AuthMethods } from '@/api/types';

const PASSWORD_ONLY: AuthMethods = { password: true, passkeys: false, password_reset: false, providers: [] };

/** How people sign in to this hub. Should that be unknown, a password always is one way. */
export const methodsQuery = queryOptions({
  queryKey: keys.authMethods(),
  queryFn: async ({ signal }): Promise<AuthMethods> => {
    try {
      return await unwrap(api.GET('/v1/auth/methods', { signal }));
    } catch (thrown) {
      if (toApiError(thrown).isUnreachable) throw thrown;
      return PASSWORD_ONLY;
    }
  },
  staleTime: 5 * 60_000,
});

/** What of a person the hub keeps to know them again. */
export const accountQuery = queryOptions({
  queryKey: keys.account(),
  queryFn: ({ signal }): Promise<Account> => unwrap(api.GET('/v1/account', { signal })),
});

/** Where the browser goes to be recognised by a provider, and comes back from. */
export function providerUrl(id: string, returnTo: string, stepUp = false): string {
  const query = new URLSearchParams({ return_to: returnTo, ...(stepUp ? { step_up: 'true' } : {}) });
  return `/v1/auth/oidc/${encodeURIComponent(id)}/start?${query}`;
}
