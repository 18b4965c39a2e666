import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Link, useLocation, useNavigate } from '@tanstack/react-router';
import { api, unwrap } from '@/api/client';
import { toApiError } from '@/api/error';
import type { InviteOffer, Session } from '@/api/types';
import { RefusedAttempt } from '@/features/auth/refused';
import { MIN_PASSWORD, passwordError, required } from '@/features/auth/validate';
import { t } from '@/i18n';
import { Button } from '@/kit/button';
import { Field } from '@/kit/field';
import { Input } from '@/kit/input';
import { ErrorState, Skeleton, sentence } from '@/kit/states';
import { OuterPage } from '@/shell/outer';
import { SecondFactorFields, submitTone, useFactorForm } from '@/shell/second-factor';
import { sessionQuery } from '@/shell/session';
import '@/i18n/lazy/factors';

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
  const join = async (session: Session) => {
    // Whoever was signed in here before, what they saw is not for whoever is now.
    client.clear();
    client.setQueryData(sessionQuery.queryKey, session);
    await navigate({ to: '/', replace: true });
  };
  const form = useFactorForm({
    initial: { name: '', password: '', totp: '' },
    validate: ({ name, password }) =>
      has_account
        ? { password: password === '' ? t('auth.required') : undefined }
        : { name: required(name), password: passwordError(password) },
    send: ({ name, password }, factor): Promise<Session> => {
      const body = { token, password, ...factor, ...(has_account ? {} : { name: name.trim() }) };
      return unwrap(api.POST('/v1/invites/accept', { body }));
    },
    onDone: (session) => void join(session),
  });
  const tone = submitTone(form);
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
        <SecondFactorFields form={form} />
        {form.failure && (
          <RefusedAttempt
            error={form.failure}
            wrong={form.wanted ? t('factors.refused.second') : t('invited.wrong', { email })}
          />
        )}
        {tone && (
          <Button type="submit" tone={tone} busy={form.busy} className="w-full">
            {t('invited.accept', { workspace })}
          </Button>
        )}
      </form>
    </OuterPage>
  );
}
