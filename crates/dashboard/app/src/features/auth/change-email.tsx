import { useQueryClient } from '@tanstack/react-query';
import { Link, useLocation } from '@tanstack/react-router';
import { useState } from 'react';
import { api, checked } from '@/api/client';
import { toApiError } from '@/api/error';
import { t } from '@/i18n';
import { Button, ButtonLink } from '@/kit/button';
import { useForm } from '@/kit/use-form';
import { OuterPage } from '@/shell/outer';
import { sessionQuery } from '@/shell/session';
import { RefusedAttempt } from './refused';
import '@/i18n/lazy/factors';

/** `/change-email#TOKEN`: opened from the mailbox of the new address. A press is asked for, since programs open links too. */
export function ChangeEmailPage() {
  const token = useLocation({ select: (location) => location.hash })
    .replace(/^#/, '')
    .trim();
  const client = useQueryClient();
  const [end, setEnd] = useState<'done' | 'gone' | null>(null);
  const form = useForm({
    initial: {},
    validate: () => ({}),
    submit: async () => {
      try {
        return await checked(api.POST('/v1/auth/email-change/complete', { body: { token } }));
      } catch (thrown) {
        if ([404, 410].includes(toApiError(thrown).status)) setEnd('gone');
        throw thrown;
      }
    },
    onDone: () => {
      // Whoever is signed in here has another address, or is not signed in any more.
      client.removeQueries({ queryKey: sessionQuery.queryKey });
      setEnd('done');
    },
  });
  if (token === '' || end === 'gone') {
    return (
      <OuterPage
        title={t('factors.reset.gone_title')}
        description={token === '' ? t('factors.reset.short') : t('factors.email.gone')}
        footer={
          <Link to="/sign-in" className="underline hover:text-fg">
            {t('invited.sign_in')}
          </Link>
        }
      >
        <ButtonLink to="/account" className="w-full">
          {t('factors.email.to_account')}
        </ButtonLink>
      </OuterPage>
    );
  }
  if (end === 'done') {
    return (
      <OuterPage title={t('factors.reset.done_title')} description={t('factors.email.done')}>
        <ButtonLink to="/account" tone="primary" className="w-full">
          {t('factors.email.to_account')}
        </ButtonLink>
      </OuterPage>
    );
  }
  return (
    <OuterPage title={t('factors.email.confirm_title')} description={t('factors.email.confirm_body')}>
      <form className="flex flex-col gap-4" noValidate onSubmit={form.send}>
        {form.failure && <RefusedAttempt error={form.failure} wrong={form.failure.message} />}
        <Button type="submit" tone="primary" autoFocus busy={form.busy} className="w-full">
          {t('factors.email.confirm')}
        </Button>
      </form>
    </OuterPage>
  );
}
