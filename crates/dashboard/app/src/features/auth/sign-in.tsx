import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Link, Navigate, useLocation, useNavigate, useSearch } from '@tanstack/react-router';
import { Fingerprint, KeyRound } from 'lucide-react';
import type { ReactNode } from 'react';
import { api, unwrap } from '@/api/client';
import type { Provider, Session } from '@/api/types';
import { t } from '@/i18n';
import { Button } from '@/kit/button';
import { Field } from '@/kit/field';
import { Input } from '@/kit/input';
import { Notice } from '@/kit/states';
import type { Errors } from '@/kit/use-form';
import { methodsQuery, providerUrl } from '@/shell/account';
import { oidcErrorIn, returnToIn } from '@/shell/oidc-error';
import { OuterPage } from '@/shell/outer';
import { browserHasPasskeys } from '@/shell/passkeys';
import { SecondFactorFields, submitTone, useFactorForm } from '@/shell/second-factor';
import { sessionQuery, setupQuery } from '@/shell/session';
import { Or } from '@/shell/step-up-form';
import { PendingFactor } from './pending-factor';
import { RefusedAttempt } from './refused';
import { useOfferedPasskey, useSignInByPasskey } from './use-passkey';
import { type SignInValues, validateSignIn } from './validate';
import '@/i18n/lazy/factors';

export function SignInPage() {
  const hash = useLocation({ select: (location) => location.hash });
  const search = useSearch({ from: '/sign-in' });
  const next = search.next ?? returnToIn(hash);
  const navigate = useNavigate();
  const client = useQueryClient();
  const setup = useQuery(setupQuery);
  const error = oidcErrorIn(hash);
  const enter = (session: Session) => {
    client.setQueryData(sessionQuery.queryKey, session);
    void navigate({ href: localPath(next) });
  };
  if (setup.data?.needs_setup) return <Navigate to="/setup" replace />;
  if (error === 'oidc_second_factor') return <PendingFactor onSignedIn={enter} />;
  return <SignIn next={next} error={error} onSignedIn={enter} />;
}

interface SignInProps {
  next: string | undefined;
  error: ReturnType<typeof oidcErrorIn>;
  onSignedIn: (session: Session) => void;
}

function SignIn({ next, error, onSignedIn }: SignInProps) {
  const methods = useQuery(methodsQuery).data;
  const passkey = useSignInByPasskey(onSignedIn);
  useOfferedPasskey(methods?.passkeys ?? false, passkey);
  const hasPasskeys = (methods?.passkeys ?? false) && browserHasPasskeys();
  const providers = methods?.providers ?? [];
  const takesPassword = methods?.password ?? true;
  const others = (
    <>
      {takesPassword && (hasPasskeys || providers.length > 0) && <Or />}
      {hasPasskeys && (
        <Button icon={Fingerprint} className="w-full" busy={passkey.busy} onClick={() => void passkey.send()}>
          {t('factors.passkey.sign_in')}
        </Button>
      )}
      {passkey.failure && <RefusedAttempt error={passkey.failure} wrong={t('factors.passkey.unknown')} />}
      <ProviderButtons providers={providers} returnTo={localPath(next)} />
    </>
  );
  return (
    <OuterPage
      title={t('auth.sign_in_title')}
      footer={
        methods?.password_reset ? (
          <Link to="/forgot-password" className="underline hover:text-fg">
            {t('factors.forgot.link')}
          </Link>
        ) : (
          t('auth.forgot')
        )
      }
    >
      <div className="flex flex-col gap-4">
        {error && (
          <div role="alert">
            <Notice tone="bad">{t(`factors.oidc.error.${error}`)}</Notice>
          </div>
        )}
        {takesPassword ? (
          <ByPassword asked={next !== undefined && !error} onSignedIn={onSignedIn} others={others} />
        ) : (
          others
        )}
      </div>
    </OuterPage>
  );
}

interface ByPasswordProps {
  /** Whether a page was asked for that needs somebody signed in. */
  asked: boolean;
  onSignedIn: (session: Session) => void;
  /** Other ways, until this one is half gone. */
  others: ReactNode;
}

function ByPassword({ asked, onSignedIn, others }: ByPasswordProps) {
  const form = useFactorForm({
    initial: { email: '', password: '', totp: '' },
    validate: (values): Errors<SignInValues> => validateSignIn(values),
    send: ({ email, password }, factor): Promise<Session> =>
      unwrap(api.POST('/v1/auth/login', { body: { email: email.trim(), password, ...factor } })),
    onDone: onSignedIn,
  });
  const tone = submitTone(form);
  return (
    <form className="flex flex-col gap-4" noValidate onSubmit={form.send}>
      {asked && !form.failure && !form.wanted && <Notice tone="idle">{t('auth.session_ended')}</Notice>}
      <Field label={t('auth.email')} error={form.errors.email}>
        <Input
          type="email"
          autoComplete="username webauthn"
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
      <SecondFactorFields form={form} />
      {form.failure && (
        <RefusedAttempt
          error={form.failure}
          wrong={form.wanted ? t('factors.refused.code') : t('auth.wrong')}
        />
      )}
      {tone && (
        <Button type="submit" tone={tone} busy={form.busy} className="w-full">
          {t('auth.sign_in')}
        </Button>
      )}
      {!form.wanted && others}
    </form>
  );
}

function ProviderButtons({ providers, returnTo }: { providers: readonly Provider[]; returnTo: string }) {
  return providers.map(({ id, name }) => (
    <Button
      key={id}
      icon={KeyRound}
      className="w-full"
      onClick={() => window.location.assign(providerUrl(id, returnTo))}
    >
      {t('factors.oidc.with', { name })}
    </Button>
  ));
}

/** Only a path of this site: a link must not lead a signed-in person elsewhere. */
export function localPath(next: string | undefined): string {
  return next?.startsWith('/') && !next.startsWith('//') && !next.includes('\\') ? next : '/';
}
