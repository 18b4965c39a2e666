import { useEffect, useRef } from 'react';
import { api, unwrap } from '@/api/client';
import type { Session } from '@/api/types';
import { useForm } from '@/kit/use-form';
import { askForPasskey, offersByItself, rememberPasskey } from '@/shell/passkeys';

type How = Parameters<typeof askForPasskey>[1];

async function signInByPasskey(how?: How): Promise<Session> {
  const { ceremony_id, options } = await unwrap(api.POST('/v1/auth/passkey/begin', { body: {} }));
  const credential = await askForPasskey(options, how);
  const session = await unwrap(api.POST('/v1/auth/passkey', { body: { ceremony_id, credential } }));
  rememberPasskey();
  return session;
}

/** A passkey alone signs in: it names the account and verifies its user. */
export function useSignInByPasskey(onSignedIn: (session: Session) => void) {
  const offer = useRef<AbortController | null>(null);
  const form = useForm({
    initial: {},
    validate: () => ({}),
    submit: () => {
      // A browser takes one question at a time.
      offer.current?.abort();
      return signInByPasskey();
    },
    onDone: onSignedIn,
  });
  return { ...form, offer, onSignedIn };
}

/** Lets the field for the address offer passkeys beside addresses, where one was used in this browser before. */
export function useOfferedPasskey(
  isOn: boolean,
  { offer, onSignedIn }: ReturnType<typeof useSignInByPasskey>,
) {
  const enter = useRef(onSignedIn);
  useEffect(() => {
    enter.current = onSignedIn;
  });
  useEffect(() => {
    if (!isOn) return;
    const abort = new AbortController();
    offer.current = abort;
    void (async () => {
      if (!(await offersByItself()) || abort.signal.aborted) return;
      try {
        enter.current(await signInByPasskey({ conditional: true, signal: abort.signal }));
      } catch {
        // Nobody asked for it: the button says what is wrong to whoever presses it.
      }
    })();
    return () => abort.abort();
  }, [isOn, offer]);
}
