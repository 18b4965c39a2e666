import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Link, useLocation, useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import { api, unwrap } from '@/api/client';
import { type ApiError, toApiError } from '@/api/error';
import type { InviteOffer, Session } from '@/api/types';
import { MIN_PASSWORD, passwordError, required } from '@/features/auth/validate';
import { t } from '@/i18n';
import { Button } from '@/kit/button';
import { Field } from '@/kit/field';
import { Input } from '@/kit/input';
import { ErrorState, InlineError, Skeleton, sentence } from '@/kit/states';
import { useForm } from '@/kit/use-form';
import { OuterPage } from '@/shell/outer';
import { sessionQuery } from '@/shell/session';
import { CodeField, isCodeWanted } from '@/shell/step-up';

/** `/invite#TOKEN`: the token is behind the #, so that it is in no log of a proxy. */
export function InvitePage() {
  const token = useLocation({ select: (location) => location.hash })
    .replace(/^#/, '')
    .trim();
  const offer = useQuery({
    queryKey: ['invite', token],
    queryFn: ({ signal }): Promise<InviteOffer> =>
      unwrap(api.POST('/v1/invites/look-up', { body: { token }, signal })),
    enabled: token !== '',
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 0,
  });
  if (token === '') return <NotOpen why={t('invited.link_short')} />;
  if (offer.data) return <Accept token={token} offer={offer.data} />;
  if (offer.isError) {
    const error = toApiError(offer.error);
    if (error.status === 410 || error.status === 422) return <NotOpen why={sentence(error.message)} />;
    return (
      <OuterPage title={t('invited.title_waiting')}>
        <ErrorState error={error} onRetry={() => void offer.refetch()} className="px-0 py-6" />
      </OuterPage>
    );
  }
  return (
    <OuterPage title={t('invited.title_waiting')}>
      <div role="status" aria-label={t('common.loading')}>
        <Skeleton className="h-32 w-full rounded-lg" />
      </div>
    </OuterPage>
  );
}

function NotOpen({ why }: { why: string }) {
  return (
    <OuterPage
      title={t('invited.gone_title')}
      description={why}
      footer={
        <Link to="/sign-in" className="underline hover:text-fg">
          {t('invited.sign_in')}
        </Link>
      }
    >
      {null}
    </OuterPage>
  );
}

function Accept({ token, offer }: { token: string; offer: InviteOffer }) {
  const client = useQueryClient();
  const navigate = useNavigate();
  const { workspace, email, has_account } = offer;
  // The hub asks for a code once the password was right.
  const [needsCode, setNeedsCode] = useState(false);
  const form = useForm({
    initial: { name: '', password: '', totp: '' },
    validate: ({ name, password, totp }) =>
      has_account
        ? {
            password: password === '' ? t('auth.required') : undefined,
            totp: needsCode && totp.trim() === '' ? t('auth.required') : undefined,
          }
        : { name: required(name), password: passwordError(password) },
    submit: async ({ name, password, totp }): Promise<Session | null> => {
      const code = needsCode ? { totp: totp.trim() } : {};
      const body = { token, password, ...(has_account ? code : { name: name.trim() }) };
      try {
        return await unwrap(api.POST('/v1/invites/accept', { body }));
      } catch (thrown) {
        if (!isCodeWanted(thrown)) throw thrown;
        setNeedsCode(true);
        return null;
      }
    },
    onDone: async (session) => {
      if (!session) return;
      // Whoever was signed in here before, what they saw is not for whoever is now.
      client.clear();
      client.setQueryData(sessionQuery.queryKey, session);
      await navigate({ to: '/', replace: true });
    },
  });
  return (
    <OuterPage
      title={t('invited.title', { workspace })}
      description={has_account ? t('invited.body_account', { email }) : t('invited.body_new', { email })}
    >
      <form className="flex flex-col gap-4" noValidate onSubmit={form.send}>
        <input type="hidden" name="username" autoComplete="username" value={email} readOnly />
        {!has_account && (
          <Field label={t('invited.name')} error={form.errors.name}>
            <Input
              autoComplete="name"
              autoFocus
              value={form.values.name}
              onChange={(event) => form.set('name', event.target.value)}
            />
          </Field>
        )}
        <Field
          label={has_account ? t('invited.password') : t('invited.password_new')}
          hint={has_account ? undefined : t('auth.password_hint', { length: MIN_PASSWORD })}
          error={form.errors.password}
        >
          <Input
            type="password"
            autoComplete={has_account ? 'current-password' : 'new-password'}
            autoFocus={has_account}
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
        {form.failure && <Failure error={form.failure} email={email} />}
        <Button type="submit" tone="primary" busy={form.busy} className="w-full">
          {t('invited.accept', { workspace })}
        </Button>
      </form>
    </OuterPage>
  );
}

function Failure({ error, email }: { error: ApiError; email: string }) {
  if (error.code === 'invalid_credentials') {
    return (
      <p role="alert" className="rounded-md bg-bad-soft px-3 py-2 text-bad text-sm">
        {t('invited.wrong', { email })}
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
