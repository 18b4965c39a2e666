import { useQuery, useQueryClient } from '@tanstack/react-query';
import { api, checked } from '@/api/client';
import { keys } from '@/api/keys';
import { passwordError } from '@/features/auth/validate';
import { t } from '@/i18n';
import { Button } from '@/kit/button';
import { Field } from '@/kit/field';
import { Input } from '@/kit/input';
import { Section } from '@/kit/page';
import { InlineError } from '@/kit/states';
import { toast } from '@/kit/toast';
import { useForm } from '@/kit/use-form';
import { accountQuery } from '@/shell/account';
import { useSession } from '@/shell/session';
import '@/i18n/lazy/factors';

/** Changing the password; an account without one may be given one. */
export function Password() {
  const hasPassword = useQuery(accountQuery).data?.has_password ?? true;
  return <ChangePassword key={String(hasPassword)} hasPassword={hasPassword} />;
}

function ChangePassword({ hasPassword }: { hasPassword: boolean }) {
  const client = useQueryClient();
  const user = useSession()?.user;
  const form = useForm({
    initial: { current_password: '', new_password: '' },
    validate: ({ current_password, new_password }) => ({
      current_password: hasPassword && current_password === '' ? t('auth.required') : undefined,
      new_password:
        passwordError(new_password) ??
        (new_password === current_password ? t('account.same_password') : undefined),
    }),
    submit: ({ current_password, new_password }) => {
      const body = { new_password, ...(hasPassword ? { current_password } : {}) };
      return checked(api.POST('/v1/account/password', { body }));
    },
    onDone: () => {
      form.reset();
      toast.done(hasPassword ? t('account.password_changed') : t('factors.account.password_set'));
      for (const queryKey of [keys.sessions(), keys.account()]) void client.invalidateQueries({ queryKey });
    },
  });
  return (
    <Section
      title={t('account.password')}
      description={hasPassword ? t('account.password_body') : t('factors.account.no_password')}
    >
      <form className="mt-3 flex max-w-sm flex-col gap-4" noValidate onSubmit={form.send}>
        {/* Password managers store the new password under this name. */}
        <input type="hidden" name="username" autoComplete="username" value={user?.email ?? ''} readOnly />
        {hasPassword && (
          <Field label={t('account.current_password')} error={form.errors.current_password}>
            <Input
              type="password"
              autoComplete="current-password"
              value={form.values.current_password}
              onChange={(event) => form.set('current_password', event.target.value)}
            />
          </Field>
        )}
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
            {hasPassword ? t('account.change_password') : t('factors.account.set_password')}
          </Button>
        </div>
      </form>
    </Section>
  );
}
