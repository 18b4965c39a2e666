import { useQueryClient } from '@tanstack/react-query';
import { Link, useLocation } from '@tanstack/react-router';
import { useState } from 'react';
import { api, checked } from '@/api/client';
import { toApiError } from '@/api/error';
import { t } from '@/i18n';
import { Button, ButtonLink } from '@/kit/button';
import { Field } from '@/kit/field';
import { Input } from '@/kit/input';
import { OuterPage } from '@/shell/outer';
import { SecondFactorFields, submitTone, useFactorForm } from '@/shell/second-factor';
import { sessionQuery } from '@/shell/session';
import { RefusedAttempt } from './refused';
import { MIN_PASSWORD, passwordError } from './validate';
import '@/i18n/lazy/factors';

/** `/reset-password#TOKEN`: the token is behind the #, so that it is in no log of a proxy. */
export function ResetPasswordPage() {
  const token = useLocation({ select: (location) => location.hash })
    .replace(/^#/, '')
    .trim();
  const [isDone, setIsDone] = useState(false);
  const [isGone, setIsGone] = useState(false);
  if (token === '') return <NoLink why={t('factors.reset.short')} />;
  if (isGone) return <NoLink why={t('factors.reset.gone')} />;
  if (isDone) {
    return (
      <OuterPage title={t('factors.reset.done_title')} description={t('factors.reset.done')}>
        <ButtonLink to="/sign-in" tone="primary" className="w-full">
          {t('auth.sign_in')}
        </ButtonLink>
      </OuterPage>
    );
  }
  return <Reset token={token} onDone={() => setIsDone(true)} onGone={() => setIsGone(true)} />;
}

function NoLink({ why }: { why: string }) {
  return (
    <OuterPage
      title={t('factors.reset.gone_title')}
      description={why}
      footer={
        <Link to="/sign-in" className="underline hover:text-fg">
          {t('invited.sign_in')}
        </Link>
      }
    >
      <ButtonLink to="/forgot-password" className="w-full">
        {t('factors.forgot.again')}
      </ButtonLink>
    </OuterPage>
  );
}

interface ResetProps {
  token: string;
  onDone: () => void;
  onGone: () => void;
}

function Reset({ token, onDone, onGone }: ResetProps) {
  const client = useQueryClient();
  const form = useFactorForm({
    initial: { password: '', totp: '' },
    validate: ({ password }) => ({ password: passwordError(password) }),
    send: async ({ password }, factor) => {
      try {
        const body = { token, password, ...factor };
        return await checked(api.POST('/v1/auth/password-reset/complete', { body }));
      } catch (thrown) {
        // 410 is also what a passkey's answer gets that came too late.
        if (!factor.passkey && [404, 410].includes(toApiError(thrown).status)) onGone();
        throw thrown;
      }
    },
    onDone: () => {
      // Whoever was signed in here is not any more.
      client.removeQueries({ queryKey: sessionQuery.queryKey });
      onDone();
    },
  });
  const tone = submitTone(form);
  return (
    <OuterPage title={t('factors.reset.title')} description={t('factors.reset.body')}>
      <form className="flex flex-col gap-4" noValidate onSubmit={form.send}>
        <Field
          label={t('factors.reset.password')}
          hint={t('auth.password_hint', { length: MIN_PASSWORD })}
          error={form.errors.password}
        >
          <Input
            type="password"
            autoComplete="new-password"
            autoFocus
            value={form.values.password}
            onChange={(event) => form.set('password', event.target.value)}
          />
        </Field>
        <SecondFactorFields form={form} />
        {form.failure && <RefusedAttempt error={form.failure} wrong={t('factors.refused.second')} />}
        {tone && (
          <Button type="submit" tone={tone} busy={form.busy} className="w-full">
            {t('factors.reset.set')}
          </Button>
        )}
      </form>
    </OuterPage>
  );
}
