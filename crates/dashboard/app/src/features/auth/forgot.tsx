import { Link } from '@tanstack/react-router';
import { MailCheck } from 'lucide-react';
import { useState } from 'react';
import { api, checked } from '@/api/client';
import { t } from '@/i18n';
import { Button } from '@/kit/button';
import { Field } from '@/kit/field';
import { Input } from '@/kit/input';
import { useForm } from '@/kit/use-form';
import { OuterPage } from '@/shell/outer';
import { RefusedAttempt } from './refused';
import { emailError } from './validate';
import '@/i18n/lazy/factors';

/** The hub answers the same whether or not there is such an account, and so does this page. */
export function ForgotPasswordPage() {
  const [sentTo, setSentTo] = useState<string | null>(null);
  const form = useForm({
    initial: { email: '' },
    validate: ({ email }) => ({ email: emailError(email) }),
    submit: async ({ email }) => {
      await checked(api.POST('/v1/auth/password-reset', { body: { email: email.trim() } }));
      return email.trim();
    },
    onDone: setSentTo,
  });
  const footer = (
    <Link to="/sign-in" className="underline hover:text-fg">
      {t('invited.sign_in')}
    </Link>
  );
  if (sentTo !== null) {
    return (
      <OuterPage title={t('factors.forgot.sent_title')} footer={footer}>
        <div role="status" className="flex items-start gap-3 text-sm">
          <MailCheck aria-hidden className="mt-0.5 size-4 shrink-0 text-ok" />
          <p className="min-w-0 break-words">{t('factors.forgot.sent', { email: sentTo })}</p>
        </div>
        <Button className="mt-6 w-full" onClick={() => setSentTo(null)}>
          {t('factors.forgot.again')}
        </Button>
      </OuterPage>
    );
  }
  return (
    <OuterPage title={t('factors.forgot.title')} description={t('factors.forgot.body')} footer={footer}>
      <form className="flex flex-col gap-4" noValidate onSubmit={form.send}>
        <Field label={t('auth.email')} error={form.errors.email}>
          <Input
            type="email"
            autoComplete="username"
            autoFocus
            value={form.values.email}
            onChange={(event) => form.set('email', event.target.value)}
          />
        </Field>
        {form.failure &&
          (form.failure.status === 409 ? (
            <p role="alert" className="rounded-md bg-bad-soft px-3 py-2 text-bad text-sm">
              {t('factors.forgot.no_mail')}
            </p>
          ) : (
            <RefusedAttempt error={form.failure} wrong={form.failure.message} />
          ))}
        <Button type="submit" tone="primary" busy={form.busy} className="w-full">
          {t('factors.forgot.send')}
        </Button>
      </form>
    </OuterPage>
  );
}
