import { useQuery } from '@tanstack/react-query';
import { useRouterState } from '@tanstack/react-router';
import { Fingerprint, KeyRound } from 'lucide-react';
import { api, checked, unwrap } from '@/api/client';
import { t } from '@/i18n';
import { Button } from '@/kit/button';
import { Field } from '@/kit/field';
import { Input } from '@/kit/input';
import { InlineError, LoadingRows, Notice } from '@/kit/states';
import { useForm } from '@/kit/use-form';
import { accountQuery, methodsQuery, providerUrl } from './account';
import { askForPasskey, browserHasPasskeys } from './passkeys';
import { SecondFactorFields, submitTone, useFactorForm } from './second-factor';
import '@/i18n/lazy/factors';

/** By whatever the account has: its password with a code, a passkey, or the provider that it came from. */
export function StepUpForm({ onShown }: { onShown: () => void }) {
  const account = useQuery(accountQuery);
  const methods = useQuery(methodsQuery);
  if (account.isPending || methods.isPending) return <LoadingRows rows={1} />;
  // Should the account not be known, it has a password: nearly all have.
  const hasPassword = account.data?.has_password ?? true;
  const hasPasskeys = (account.data?.has_passkeys ?? false) && browserHasPasskeys();
  const providers = hasPassword ? [] : (methods.data?.providers ?? []);
  return (
    <div className="flex flex-col gap-4">
      {hasPassword && <ByPassword onShown={onShown} />}
      {hasPassword && hasPasskeys && <Or />}
      {hasPasskeys && <ByPasskey onShown={onShown} isOnly={!hasPassword} />}
      {providers.length > 0 && <ByProvider providers={providers} />}
      {!hasPassword && !hasPasskeys && providers.length === 0 && (
        <Notice>{t('factors.step_up.no_way')}</Notice>
      )}
    </div>
  );
}

export function Or() {
  return (
    <p className="flex items-center gap-3 text-fg-3 text-xs before:h-px before:flex-1 before:bg-line after:h-px after:flex-1 after:bg-line">
      {t('factors.or')}
    </p>
  );
}

function ByPassword({ onShown }: { onShown: () => void }) {
  const form = useFactorForm({
    initial: { password: '', totp: '' },
    validate: ({ password }) => (password === '' ? { password: t('auth.required') } : {}),
    send: ({ password }, factor) => checked(api.POST('/v1/auth/step-up', { body: { password, ...factor } })),
    onDone: onShown,
  });
  const tone = submitTone(form);
  return (
    <form className="flex flex-col gap-4" noValidate onSubmit={form.send}>
      <Field label={t('auth.password')} error={form.errors.password}>
        <Input
          type="password"
          autoComplete="current-password"
          autoFocus
          value={form.values.password}
          onChange={(event) => form.set('password', event.target.value)}
        />
      </Field>
      <SecondFactorFields form={form} />
      {form.failure && <InlineError error={form.failure} />}
      {tone && (
        <Button type="submit" tone={tone} busy={form.busy}>
          {t('auth.step_up')}
        </Button>
      )}
    </form>
  );
}

/** It verifies its user itself: no password besides. */
function ByPasskey({ onShown, isOnly }: { onShown: () => void; isOnly: boolean }) {
  const form = useForm({
    initial: {},
    validate: () => ({}),
    submit: async () => {
      const { ceremony_id, options } = await unwrap(api.POST('/v1/auth/step-up/begin', { body: {} }));
      const credential = await askForPasskey(options);
      await checked(api.POST('/v1/auth/step-up', { body: { passkey: { ceremony_id, credential } } }));
    },
    onDone: onShown,
  });
  return (
    <>
      <Button
        icon={Fingerprint}
        tone={isOnly ? 'primary' : 'secondary'}
        autoFocus={isOnly}
        busy={form.busy}
        onClick={() => void form.send()}
      >
        {t('factors.passkey.use')}
      </Button>
      {form.failure && <InlineError error={form.failure} />}
    </>
  );
}

/** Leaves the page: what waits for the answer is given up, and said to be. */
function ByProvider({ providers }: { providers: readonly { id: string; name: string }[] }) {
  // Without what is behind the #: the hub writes there what went wrong.
  const here = useRouterState({ select: ({ location }) => location.pathname + location.searchStr });
  return (
    <>
      {providers.map(({ id, name }) => (
        <div key={id} className="flex flex-col gap-1.5">
          <Button
            icon={KeyRound}
            className="w-full"
            onClick={() => window.location.assign(providerUrl(id, here, true))}
          >
            {t('factors.step_up.with_provider', { name })}
          </Button>
          <p className="text-fg-3 text-xs">{t('factors.step_up.with_provider_body', { name })}</p>
        </div>
      ))}
    </>
  );
}
