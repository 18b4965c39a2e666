import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Fingerprint } from 'lucide-react';
import { useState } from 'react';
import { renderSVG } from 'uqr';
import { api, checked, unwrap } from '@/api/client';
import { toApiError } from '@/api/error';
import { keys } from '@/api/keys';
import { t } from '@/i18n';
import { Button } from '@/kit/button';
import { CopyButton } from '@/kit/copy-button';
import { Dialog } from '@/kit/dialog';
import { Field } from '@/kit/field';
import { Input } from '@/kit/input';
import { Panel, Section } from '@/kit/page';
import { ErrorState, InlineError, LoadingRows } from '@/kit/states';
import { Badge } from '@/kit/status';
import { Time } from '@/kit/time';
import { useForm } from '@/kit/use-form';
import { accountQuery } from '@/shell/account';
import { askForPasskey, browserHasPasskeys } from '@/shell/passkeys';
import { CodeField, type Factor } from '@/shell/second-factor';
import { renewSession } from '@/shell/session';
import { Codes } from './recovery-codes';
import '@/i18n/lazy/factors';

type Doing = 'enable' | 'disable' | 'renew' | null;

interface ProveProps {
  doing: 'disable' | 'renew';
  /** What the account has. */
  hasPassword: boolean;
  hasCodes: boolean;
  hasPasskeys: boolean;
  onDone: () => void;
}

/** One-time codes of an app as a second factor. */
export function TwoFactor() {
  const client = useQueryClient();
  const state = useQuery({
    queryKey: keys.totp(),
    queryFn: ({ signal }) => unwrap(api.GET('/v1/account/totp', { signal })),
  });
  const [doing, setDoing] = useState<Doing>(null);
  const account = useQuery(accountQuery).data;
  const hasPassword = account?.has_password ?? true;
  const hasPasskeys = account?.has_passkeys ?? false;
  const close = () => {
    setDoing(null);
    void client.invalidateQueries({ queryKey: keys.totp() });
    void renewSession(client);
  };
  return (
    <Section title={t('account.totp.title')} description={t('account.totp.body')}>
      <Panel>
        {state.isPending ? (
          <LoadingRows rows={1} />
        ) : state.isError ? (
          <ErrorState error={toApiError(state.error)} onRetry={() => void state.refetch()} />
        ) : (
          <div className="flex flex-wrap items-center gap-3 px-4 py-3 text-sm">
            <div className="min-w-0 flex-1">
              {state.data.enabled ? (
                <p className="flex items-center gap-2">
                  <Badge tone="ok">{t('account.totp.on')}</Badge>
                  {state.data.since && <Time at={state.data.since} look="date" />}
                </p>
              ) : (
                <p className="text-fg-2">
                  {hasPasskeys ? t('factors.recovery.with_passkey') : t('account.totp.off')}
                </p>
              )}
              {(state.data.enabled || hasPasskeys) && (
                <p className="mt-1 text-fg-3 text-xs">
                  {t('account.totp.left', { count: state.data.recovery_codes_left })}
                </p>
              )}
            </div>
            {(state.data.enabled || hasPasskeys) && (
              <Button size="sm" onClick={() => setDoing('renew')}>
                {t('account.totp.renew')}
              </Button>
            )}
            {state.data.enabled ? (
              <Button size="sm" onClick={() => setDoing('disable')}>
                {t('account.totp.disable')}
              </Button>
            ) : (
              <Button size={hasPasskeys ? 'sm' : 'md'} onClick={() => setDoing('enable')}>
                {t('account.totp.enable')}
              </Button>
            )}
          </div>
        )}
      </Panel>
      <Dialog open={doing !== null} onClose={close} title={t(`account.totp.${doing ?? 'enable'}`)} width="md">
        {doing === 'enable' && <Enable hasPassword={hasPassword} onDone={close} />}
        {(doing === 'disable' || doing === 'renew') && (
          <Prove
            doing={doing}
            hasPassword={hasPassword}
            hasCodes={state.data?.enabled ?? true}
            hasPasskeys={hasPasskeys && browserHasPasskeys()}
            onDone={close}
          />
        )}
      </Dialog>
    </Section>
  );
}

function Enable({ hasPassword, onDone }: { hasPassword: boolean; onDone: () => void }) {
  const [codes, setCodes] = useState<readonly string[] | null>(null);
  const [started, setStarted] = useState<{ secret: string; otpauth_url: string } | null>(null);
  const password = useForm({
    initial: { password: '' },
    validate: (values) => (hasPassword && values.password === '' ? { password: t('auth.required') } : {}),
    submit: (values) => unwrap(api.POST('/v1/account/totp', { body: hasPassword ? values : {} })),
    onDone: setStarted,
  });
  const code = useForm({
    initial: { code: '' },
    validate: (values) => (values.code.trim() === '' ? { code: t('auth.required') } : {}),
    submit: (values) => unwrap(api.POST('/v1/account/totp/confirm', { body: { code: values.code.trim() } })),
    onDone: (answer) => setCodes(answer.recovery_codes),
  });
  if (codes) return <Codes codes={codes} onDone={onDone} />;
  if (!started) {
    return (
      <form className="flex flex-col gap-4" noValidate onSubmit={password.send}>
        {hasPassword ? (
          <PasswordField
            value={password.values.password}
            error={password.errors.password}
            onChange={(value) => password.set('password', value)}
          />
        ) : (
          <p className="text-fg-2 text-sm">{t('account.totp.body')}</p>
        )}
        {password.failure && <InlineError error={password.failure} />}
        <Button type="submit" tone="primary" busy={password.busy}>
          {t('account.totp.next')}
        </Button>
      </form>
    );
  }
  return (
    <form className="flex flex-col gap-4" noValidate onSubmit={code.send}>
      <p className="text-fg-2 text-sm">{t('account.totp.scan')}</p>
      <img
        alt={t('account.totp.qr')}
        className="size-44 self-center rounded-md bg-white p-2"
        src={`data:image/svg+xml,${encodeURIComponent(renderSVG(started.otpauth_url))}`}
      />
      <p className="flex items-center gap-2 text-sm">
        <code className="mono min-w-0 break-all">{started.secret}</code>
        <CopyButton text={started.secret} label={t('account.totp.copy_secret')} />
      </p>
      <CodeField
        value={code.values.code}
        error={code.errors.code}
        onChange={(value) => code.set('code', value)}
      />
      {code.failure && <InlineError error={code.failure} />}
      <Button type="submit" tone="primary" busy={code.busy}>
        {t('account.totp.confirm')}
      </Button>
    </form>
  );
}

/** Turning it off, and other recovery codes, need both factors. */
function Prove({ doing, hasPassword, hasCodes, hasPasskeys, onDone }: ProveProps) {
  const [codes, setCodes] = useState<readonly string[] | null>(null);
  const done = (made: readonly string[] | null) => (made ? setCodes(made) : onDone());
  const prove = async (password: string, factor: Factor) => {
    const body = { ...(hasPassword ? { password } : {}), ...factor };
    if (doing === 'renew')
      return (await unwrap(api.POST('/v1/account/totp/recovery-codes', { body }))).recovery_codes;
    await checked(api.DELETE('/v1/account/totp', { body }));
    return null;
  };
  const form = useForm({
    initial: { password: '', totp: '' },
    validate: ({ password, totp }) => ({
      ...(hasPassword && password === '' ? { password: t('auth.required') } : {}),
      ...(hasCodes && totp.trim() === '' ? { totp: t('auth.required') } : {}),
    }),
    submit: ({ password, totp }) => (hasCodes ? prove(password, { totp: totp.trim() }) : byPasskey(password)),
    onDone: done,
  });
  const byPasskey = async (password: string) => {
    const { ceremony_id, options } = await unwrap(api.POST('/v1/auth/step-up/begin', { body: {} }));
    const credential = await askForPasskey(options);
    return prove(password, { passkey: { ceremony_id, credential } });
  };
  const passkey = useForm({
    initial: {},
    validate: () => ({}),
    submit: () => byPasskey(form.values.password),
    onDone: done,
  });
  const failure = form.failure ?? passkey.failure;
  if (codes) return <Codes codes={codes} onDone={onDone} />;
  return (
    <form className="flex flex-col gap-4" noValidate onSubmit={form.send}>
      <p className="text-fg-2 text-sm">{t(`account.totp.${doing}_body`)}</p>
      {hasPassword && (
        <PasswordField
          value={form.values.password}
          error={form.errors.password}
          onChange={(value) => form.set('password', value)}
        />
      )}
      {hasCodes && (
        <CodeField
          value={form.values.totp}
          error={form.errors.totp}
          onChange={(value) => form.set('totp', value)}
        />
      )}
      {failure && <InlineError error={failure} />}
      <Button type="submit" tone={doing === 'disable' ? 'danger' : 'primary'} busy={form.busy}>
        {hasCodes ? t(`account.totp.${doing}`) : t('factors.passkey.use')}
      </Button>
      {hasCodes && hasPasskeys && (
        <Button
          icon={Fingerprint}
          disabled={hasPassword && form.values.password === ''}
          busy={passkey.busy}
          onClick={() => void passkey.send()}
        >
          {t('factors.passkey.use')}
        </Button>
      )}
    </form>
  );
}

function PasswordField({
  value,
  error,
  onChange,
}: {
  value: string;
  error: string | undefined;
  onChange: (value: string) => void;
}) {
  return (
    <Field label={t('auth.password')} error={error}>
      <Input
        type="password"
        autoComplete="current-password"
        autoFocus
        value={value}
        onChange={(event) => onChange(event.target.value)}
      />
    </Field>
  );
}
