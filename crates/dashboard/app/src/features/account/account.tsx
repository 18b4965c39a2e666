import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Monitor } from 'lucide-react';
import { api, checked, unwrap } from '@/api/client';
import { type ApiError, toApiError } from '@/api/error';
import { keys } from '@/api/keys';
import type { AccountSession } from '@/api/types';
import { passwordError } from '@/features/auth/validate';
import { t } from '@/i18n';
import { Button } from '@/kit/button';
import { Field } from '@/kit/field';
import { Input } from '@/kit/input';
import { Page, Panel, Section } from '@/kit/page';
import { Segmented } from '@/kit/segmented';
import { ErrorState, InlineError, LoadingRows } from '@/kit/states';
import { Badge } from '@/kit/status';
import { Time } from '@/kit/time';
import { toast } from '@/kit/toast';
import { useForm } from '@/kit/use-form';
import { Avatar } from '@/shell/avatar';
import { useSession } from '@/shell/session';
import { type ThemeChoice, useTheme } from '@/shell/theme';
import { ApiKeys } from './api-keys';
import { deviceOf } from './device';
import { Membership } from './membership';
import { OperatorKeys } from './operator-keys';
import { TwoFactor } from './two-factor';

export function AccountPage() {
  const session = useSession();
  if (!session) return null;
  return (
    <Page title={t('account.title')} width="reading">
      <div className="flex flex-col gap-10">
        <div className="flex items-center gap-3">
          <Avatar name={session.user.name} className="size-10 text-sm" />
          <div className="min-w-0">
            <p className="truncate font-medium">{session.user.name}</p>
            <p className="truncate text-fg-2 text-sm">{session.user.email}</p>
          </div>
        </div>
        <Appearance />
        <Membership />
        <ApiKeys />
        <OperatorKeys />
        <TwoFactor />
        <Sessions />
        <Password />
      </div>
    </Page>
  );
}

function Appearance() {
  const [theme, setTheme] = useTheme();
  return (
    <Section title={t('account.appearance')}>
      <Segmented<ThemeChoice>
        label={t('shell.theme.label')}
        value={theme}
        options={(['light', 'dark', 'system'] as const).map((value) => ({
          value,
          label: t(`shell.theme.${value}`),
        }))}
        onChange={setTheme}
      />
    </Section>
  );
}

function Sessions() {
  const client = useQueryClient();
  const sessions = useQuery({
    queryKey: keys.sessions(),
    queryFn: ({ signal }) =>
      unwrap(api.GET('/v1/account/sessions', { params: { query: { limit: 100 } }, signal })),
    staleTime: 0,
  });
  const revoke = useMutation<unknown, ApiError, string>({
    mutationFn: (id) => checked(api.DELETE('/v1/account/sessions/{id}', { params: { path: { id } } })),
    onSuccess: () => client.invalidateQueries({ queryKey: keys.sessions() }),
    onError: (error) => toast.failed(error),
  });
  return (
    <Section title={t('account.sessions')} description={t('account.sessions_body')}>
      <Panel>
        {sessions.isPending ? (
          <LoadingRows rows={2} />
        ) : sessions.isError ? (
          <ErrorState error={toApiError(sessions.error)} onRetry={() => void sessions.refetch()} />
        ) : (
          <ul className="divide-y">
            {sessions.data.data.map((one) => (
              <SessionRow
                key={one.id}
                session={one}
                busy={revoke.isPending && revoke.variables === one.id}
                onRevoke={() => revoke.mutate(one.id)}
              />
            ))}
          </ul>
        )}
      </Panel>
    </Section>
  );
}

function SessionRow({
  session,
  busy,
  onRevoke,
}: {
  session: AccountSession;
  busy: boolean;
  onRevoke: () => void;
}) {
  return (
    <li className="flex items-center gap-3 px-4 py-3 text-sm">
      <Monitor aria-hidden className="size-4 shrink-0 text-fg-3" />
      <div className="min-w-0 flex-1">
        <p className="flex items-center gap-2">
          <span className="truncate font-medium" title={session.user_agent ?? undefined}>
            {deviceOf(session.user_agent ?? null)}
          </span>
          {session.current && <Badge tone="accent">{t('account.this_session')}</Badge>}
        </p>
        <p className="flex flex-wrap gap-x-3 text-fg-3 text-xs">
          <span>{session.ip ?? '–'}</span>
          <span>
            {t('account.last_used')} <Time at={session.last_seen_at} />
          </span>
          <span>
            {t('account.signed_in')} <Time at={session.created_at} look="date" />
          </span>
        </p>
      </div>
      {!session.current && (
        <Button size="sm" busy={busy} onClick={onRevoke}>
          {t('account.end_session')}
        </Button>
      )}
    </li>
  );
}

function Password() {
  const client = useQueryClient();
  const user = useSession()?.user;
  const form = useForm({
    initial: { current_password: '', new_password: '' },
    validate: ({ current_password, new_password }) => ({
      current_password: current_password === '' ? t('auth.required') : undefined,
      new_password:
        passwordError(new_password) ??
        (new_password === current_password ? t('account.same_password') : undefined),
    }),
    submit: (body) => checked(api.POST('/v1/account/password', { body })),
    onDone: () => {
      form.reset();
      toast.done(t('account.password_changed'));
      void client.invalidateQueries({ queryKey: keys.sessions() });
    },
  });
  return (
    <Section title={t('account.password')} description={t('account.password_body')}>
      <form className="mt-3 flex max-w-sm flex-col gap-4" noValidate onSubmit={form.send}>
        {/* Password managers store the new password under this name. */}
        <input type="hidden" name="username" autoComplete="username" value={user?.email ?? ''} readOnly />
        <Field label={t('account.current_password')} error={form.errors.current_password}>
          <Input
            type="password"
            autoComplete="current-password"
            value={form.values.current_password}
            onChange={(event) => form.set('current_password', event.target.value)}
          />
        </Field>
        <Field label={t('account.new_password')} error={form.errors.new_password}>
          <Input
            type="password"
            autoComplete="new-password"
            value={form.values.new_password}
            onChange={(event) => form.set('new_password', event.target.value)}
          />
        </Field>
        {form.failure &&
          (form.failure.code === 'invalid_credentials' ? (
            <p role="alert" className="text-bad text-sm">
              {t('account.wrong_password')}
            </p>
          ) : (
            <InlineError error={form.failure} />
          ))}
        <div>
          <Button type="submit" busy={form.busy}>
            {t('account.change_password')}
          </Button>
        </div>
      </form>
    </Section>
  );
}
