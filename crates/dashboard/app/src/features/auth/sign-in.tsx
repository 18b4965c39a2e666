import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Navigate, useNavigate, useSearch } from '@tanstack/react-router';
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
import { validateSignIn } from './validate';

export function SignInPage() {
  const { next } = useSearch({ from: '/sign-in' });
  const navigate = useNavigate();
  const client = useQueryClient();
  const setup = useQuery(setupQuery);
  const form = useForm({
    initial: { email: '', password: '' },
    validate: validateSignIn,
    submit: ({ email, password }) =>
      unwrap(api.POST('/v1/auth/login', { body: { email: email.trim(), password } })),
    onDone: (session) => {
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
        {form.failure && <SignInFailure error={form.failure} />}
        <Button type="submit" tone="primary" busy={form.busy} className="w-full">
          {t('auth.sign_in')}
        </Button>
      </form>
    </OuterPage>
  );
}

function SignInFailure({ error }: { error: ApiError }) {
  if (error.code === 'invalid_credentials') {
    return (
      <p role="alert" className="rounded-md bg-bad-soft px-3 py-2 text-bad text-sm">
        {t('auth.wrong')}
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
