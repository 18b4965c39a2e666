import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Navigate, useNavigate, useSearch } from '@tanstack/react-router';
import { useState } from 'react';
import { api, unwrap } from '@/api/client';
import type { ApiError } from '@/api/error';
import { t } from '@/i18n';
import { Button } from '@/kit/button';
import { Field } from '@/kit/field';
import { Input } from '@/kit/input';
import { InlineError, Notice } from '@/kit/states';
import { useForm } from '@/kit/use-form';
import { OuterPage } from '@/shell/outer';
import { sessionQuery, setupQuery } from '@/shell/session';
import { CodeField, isCodeWanted } from '@/shell/step-up';
import { validateSignIn } from './validate';

export function SignInPage() {
  const { next } = useSearch({ from: '/sign-in' });
  const navigate = useNavigate();
  const client = useQueryClient();
  const setup = useQuery(setupQuery);
  // The hub asks for a code once the password was right.
  const [needsCode, setNeedsCode] = useState(false);
  const form = useForm({
    initial: { email: '', password: '', totp: '' },
    validate: (values) => ({
      ...validateSignIn(values),
      ...(needsCode && values.totp.trim() === '' ? { totp: t('auth.required') } : {}),
    }),
    submit: async ({ email, password, totp }) => {
      const body = { email: email.trim(), password, ...(needsCode ? { totp: totp.trim() } : {}) };
      try {
        return await unwrap(api.POST('/v1/auth/login', { body }));
      } catch (thrown) {
        if (!isCodeWanted(thrown)) throw thrown;
        setNeedsCode(true);
        return null;
      }
    },
    onDone: (session) => {
      if (!session) return;
      client.setQueryData(sessionQuery.queryKey, session);
      void navigate({ href: localPath(next) });
    },
  });
  if (setup.data?.needs_setup) return <Navigate to="/setup" replace />;
  return (
    <OuterPage title={t('auth.sign_in_title')} footer={t('auth.forgot')}>
      <form className="flex flex-col gap-4" noValidate onSubmit={form.send}>
        {next !== undefined && !form.failure && <Notice tone="idle">{t('auth.session_ended')}</Notice>}
        <Field label={t('auth.email')} error={form.errors.email}>
          <Input
            type="email"
            autoComplete="username"
            autoFocus
            value={form.values.email}
            onChange={(event) => form.set('email', event.target.value)}
          />
        </Field>
        <Field label={t('auth.password')} error={form.errors.password}>
          <Input
            type="password"
            autoComplete="current-password"
            value={form.values.password}
            onChange={(event) => form.set('password', event.target.value)}
          />
        </Field>
        {needsCode && (
          <CodeField
            value={form.values.totp}
            error={form.errors.totp}
            onChange={(code) => form.set('totp', code)}
          />
        )}
        {form.failure && <SignInFailure error={form.failure} withCode={needsCode} />}
        <Button type="submit" tone="primary" busy={form.busy} className="w-full">
          {t('auth.sign_in')}
        </Button>
      </form>
    </OuterPage>
  );
}

function SignInFailure({ error, withCode }: { error: ApiError; withCode: boolean }) {
  if (error.code === 'invalid_credentials') {
    return (
      <p role="alert" className="rounded-md bg-bad-soft px-3 py-2 text-bad text-sm">
        {withCode ? t('auth.wrong_code') : t('auth.wrong')}
      </p>
    );
  }
  if (error.status === 429) {
    return (
      <p role="alert" className="rounded-md bg-warn-soft px-3 py-2 text-sm text-warn">
        {error.retryAfterSeconds
          ? t('auth.too_many_in', { seconds: error.retryAfterSeconds })
          : t('auth.too_many')}
      </p>
    );
  }
  return <InlineError error={error} />;
}

/** Only a path of this site: a link must not lead a signed-in person elsewhere. */
export function localPath(next: string | undefined): string {
  return next?.startsWith('/') && !next.startsWith('//') && !next.includes('\\') ? next : '/';
}
