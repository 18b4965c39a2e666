import { useQuery, useQueryClient } from '@tanstack/react-query';
import { MailCheck } from 'lucide-react';
import { useState } from 'react';
import { api, unwrap } from '@/api/client';
import { keys } from '@/api/keys';
import { emailError } from '@/features/auth/validate';
import { t } from '@/i18n';
import { Button } from '@/kit/button';
import { Dialog } from '@/kit/dialog';
import { Field } from '@/kit/field';
import { Input } from '@/kit/input';
import { Section } from '@/kit/page';
import { InlineError } from '@/kit/states';
import { toast } from '@/kit/toast';
import { useForm } from '@/kit/use-form';
import { accountQuery } from '@/shell/account';
import { renewSession, useSession } from '@/shell/session';
import '@/i18n/lazy/factors';

/** The address that signs in; a new one counts once a link that was mailed to it was opened. */
export function EmailAddress() {
  const email = useSession()?.user.email ?? '';
  const [changing, setChanging] = useState(false);
  // Kept until the page is left: the hub does not say which links it mailed.
  const [pending, setPending] = useState<string | null>(null);
  const close = () => setChanging(false);
  return (
    <Section
      title={t('factors.email.title')}
      description={t('factors.email.body', { email })}
      actions={<Button onClick={() => setChanging(true)}>{t('factors.email.change')}</Button>}
    >
      {pending !== null && (
        <div role="status" className="mt-3 flex items-start gap-3 text-sm">
          <MailCheck aria-hidden className="mt-0.5 size-4 shrink-0 text-ok" />
          <p className="min-w-0 break-words">{t('factors.email.pending', { email, pending })}</p>
        </div>
      )}
      <Dialog
        open={changing}
        onClose={close}
        title={t('factors.email.change_title')}
        description={t('factors.email.change_body')}
      >
        {changing && <ChangeForm onClose={close} onPending={setPending} />}
      </Dialog>
    </Section>
  );
}

interface ChangeFormProps {
  onClose: () => void;
  onPending: (email: string | null) => void;
}

function ChangeForm({ onClose, onPending }: ChangeFormProps) {
  const client = useQueryClient();
  const hasPassword = useQuery(accountQuery).data?.has_password ?? true;
  const form = useForm({
    initial: { email: '', password: '' },
    validate: ({ email, password }) => ({
      email: emailError(email),
      password: hasPassword && password === '' ? t('auth.required') : undefined,
    }),
    submit: ({ email, password }) => {
      const body = { email: email.trim(), ...(hasPassword ? { password } : {}) };
      return unwrap(api.POST('/v1/account/email', { body }));
    },
    onDone: (answer) => {
      if ('pending' in answer) {
        onPending(answer.pending);
      } else {
        onPending(null);
        toast.done(t('factors.email.changed', { email: answer.email }));
        for (const queryKey of [keys.sessions(), keys.account()]) void client.invalidateQueries({ queryKey });
        void renewSession(client);
      }
      onClose();
    },
  });
  return (
    <form className="flex flex-col gap-4" noValidate onSubmit={form.send}>
      <Field label={t('factors.email.new')} error={form.errors.email}>
        <Input
          type="email"
          autoComplete="email"
          autoFocus
          value={form.values.email}
          onChange={(event) => form.set('email', event.target.value)}
        />
      </Field>
      {hasPassword && (
        <Field label={t('account.current_password')} error={form.errors.password}>
          <Input
            type="password"
            autoComplete="current-password"
            value={form.values.password}
            onChange={(event) => form.set('password', event.target.value)}
          />
        </Field>
      )}
      {form.failure && <InlineError error={form.failure} />}
      <Button type="submit" tone="primary" busy={form.busy}>
        {t('factors.email.change')}
      </Button>
    </form>
  );
}
