import { useState } from 'react';
import { api, checked } from '@/api/client';
import { t } from '@/i18n';
import { Button } from '@/kit/button';
import { Dialog } from '@/kit/dialog';
import { InlineError } from '@/kit/states';
import type { OidcError } from './oidc-error';
import { SecondFactorFields, submitTone, useFactorForm } from './second-factor';
import '@/i18n/lazy/factors';

/** Somebody signed in came back from a provider, and something is missing or went wrong. */
export function ProviderReturn({ error }: { error: OidcError }) {
  const [isOpen, setIsOpen] = useState(true);
  const close = () => {
    setIsOpen(false);
    // Reloading must not say it again. Nothing depends on the address but what is behind the #.
    window.history.replaceState(window.history.state, '', window.location.pathname + window.location.search);
  };
  const wantsFactor = error === 'oidc_second_factor';
  return (
    <Dialog
      open={isOpen}
      onClose={close}
      title={wantsFactor ? t('auth.step_up_title') : t('factors.oidc.return_title')}
      description={t(`factors.oidc.error.${error}`)}
    >
      {wantsFactor ? (
        <Factor onShown={close} />
      ) : (
        <div className="flex justify-end">
          <Button onClick={close}>{t('common.close')}</Button>
        </div>
      )}
    </Dialog>
  );
}

/** The provider confirmed who is there; the hub keeps that for a moment, for the second factor to come. */
function Factor({ onShown }: { onShown: () => void }) {
  const form = useFactorForm({
    initial: { totp: '' },
    validate: () => ({}),
    send: (_, factor) => checked(api.POST('/v1/auth/step-up', { body: factor })),
    onDone: onShown,
    initially: { codes: 'app', passkeys: false, ceremony: null },
  });
  return (
    <form className="flex flex-col gap-4" noValidate onSubmit={form.send}>
      <SecondFactorFields form={form} />
      {form.failure && <InlineError error={form.failure} />}
      <Button type="submit" tone={submitTone(form) ?? 'primary'} busy={form.busy}>
        {t('auth.step_up')}
      </Button>
    </form>
  );
}
