import { queryOptions, useMutation, useQueryClient } from '@tanstack/react-query';
import { api, checked, unwrap } from '@/api/client';
import type { ApiError } from '@/api/error';
import { keys } from '@/api/keys';
import type { Passkey, PasskeyAdded } from '@/api/types';
import { createPasskey, rememberPasskey } from '@/shell/passkeys';
import { renewSession } from '@/shell/session';

export const passkeysQuery = queryOptions({
  queryKey: keys.passkeys(),
  queryFn: async ({ signal }): Promise<Passkey[]> =>
    (await unwrap(api.GET('/v1/account/passkeys', { signal }))).data,
});

/** The hub asks, an authenticator answers, the hub keeps the public half. */
export async function addPasskey(name: string): Promise<PasskeyAdded> {
  const { ceremony_id, options } = await unwrap(api.POST('/v1/account/passkeys/begin', { body: {} }));
  const credential = await createPasskey(options);
  const body = { ceremony_id, credential, ...(name === '' ? {} : { name }) };
  const passkey = await unwrap(api.POST('/v1/account/passkeys', { body }));
  rememberPasskey();
  return passkey;
}

export function renamePasskey(id: string, name: string): Promise<Passkey> {
  return unwrap(api.PATCH('/v1/account/passkeys/{id}', { params: { path: { id } }, body: { name } }));
}

/** What else depends on whether there are passkeys. */
export function useRefreshPasskeys(): () => void {
  const client = useQueryClient();
  return () => {
    for (const queryKey of [keys.passkeys(), keys.account(), keys.totp()]) {
      void client.invalidateQueries({ queryKey });
    }
    void renewSession(client);
  };
}

export function useRemovePasskey(id: string) {
  const refresh = useRefreshPasskeys();
  return useMutation<unknown, ApiError>({
    mutationFn: () => checked(api.DELETE('/v1/account/passkeys/{id}', { params: { path: { id } } })),
    onSuccess: refresh,
  });
}
