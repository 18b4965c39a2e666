import { useQuery } from '@tanstack/react-query';
import { api, unwrap } from '@/api/client';
import type { Session } from '@/api/types';
import { t } from '@/i18n';
import { Button } from '@/kit/button';
import { methodsQuery } from '@/shell/account';
import { OuterPage } from '@/shell/outer';
import { SecondFactorFields, useFactorForm, type Wanted } from '@/shell/second-factor';
import { RefusedAttempt } from './refused';
import '@/i18n/lazy/factors';

/** A provider has recognised somebody whose account has a second factor of ours. */
export function PendingFactor({ onSignedIn }: { onSignedIn: (session: Session) => void }) {
  const methods = useQuery(methodsQuery).data;
  const form = useFactorForm({
    initial: { totp: '' },
    validate: () => ({}),
    send: (_, factor): Promise<Session> => unwrap(api.POST('/v1/auth/oidc/complete', { body: factor })),
    onDone: onSignedIn,
    initially: { codes: 'app', passkeys: false, ceremony: null },
  });
  // Which of them the account has is not known before it is asked.
  const wanted: Wanted = { codes: 'app', passkeys: methods?.passkeys ?? false, ceremony: null };
  const { failure } = form;
  return (
    <OuterPage
      title={t('factors.oidc.code_title')}
      description={t('factors.oidc.code_body')}
      footer={
        // The whole page anew: what was begun with the provider is given up.
        <a href="/sign-in" className="underline hover:text-fg">
          {t('factors.oidc.another')}
        </a>
      }
    >
      <form className="flex flex-col gap-4" noValidate onSubmit={form.send}>
        <SecondFactorFields form={{ ...form, wanted }} />
        {failure &&
          (failure.status === 401 && failure.code !== 'invalid_credentials' ? (
            <p role="alert" className="rounded-md bg-bad-soft px-3 py-2 text-bad text-sm">
              {t('factors.oidc.error.oidc_expired')}
            </p>
          ) : (
            <RefusedAttempt error={failure} wrong={t('factors.refused.second')} />
          ))}
        <Button type="submit" tone="primary" busy={form.busy} className="w-full">
          {t('auth.sign_in')}
        </Button>
      </form>
    </OuterPage>
  );
}
