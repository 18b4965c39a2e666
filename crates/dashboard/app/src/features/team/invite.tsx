import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { keys } from '@/api/keys';
import type { InviteCreated } from '@/api/types';
import { emailError } from '@/features/auth/validate';
import { t } from '@/i18n';
import { Button } from '@/kit/button';
import { CommandLine } from '@/kit/code-block';
import { Dialog, FormActions } from '@/kit/dialog';
import { Field } from '@/kit/field';
import { Input } from '@/kit/input';
import { Select } from '@/kit/select';
import { InlineError } from '@/kit/states';
import { useForm } from '@/kit/use-form';
import { createInvite } from './data';
import { GrantFields } from './grant-fields';
import { blankGrant, grantedOf, grantProblems, scopeOf } from './values';

const SPANS = ['86400', '604800', '2592000'] as const;
type Span = (typeof SPANS)[number];

interface InviteDialogProps {
  open: boolean;
  onClose: () => void;
}

export function InviteDialog({ open, onClose }: InviteDialogProps) {
  // The link is a secret: it lives here until the dialog is closed, and nowhere else.
  const [made, setMade] = useState<InviteCreated | null>(null);
  const close = () => {
    setMade(null);
    onClose();
  };
  return (
    <Dialog
      open={open}
      onClose={close}
      title={made ? t('team.invite.link_title') : t('team.invite.action')}
      description={made ? undefined : t('team.invite.body')}
      width="md"
    >
      {open &&
        (made ? <Made invite={made} onClose={close} /> : <InviteForm onMade={setMade} onClose={close} />)}
    </Dialog>
  );
}

function Made({ invite, onClose }: { invite: InviteCreated; onClose: () => void }) {
  return (
    <div className="flex flex-col gap-4">
      <CommandLine command={invite.url} label={t('team.invite.link')} />
      <p className="text-fg-2 text-sm">{t('team.invite.link_body', { email: invite.email })}</p>
      <div className="flex justify-end">
        <Button onClick={onClose}>{t('common.close')}</Button>
      </div>
    </div>
  );
}

function InviteForm({ onMade, onClose }: { onMade: (invite: InviteCreated) => void; onClose: () => void }) {
  const client = useQueryClient();
  const form = useForm({
    initial: { ...blankGrant, email: '', span: '604800' as Span },
    validate: (values) => ({ email: emailError(values.email), ...grantProblems(values) }),
    submit: (values) =>
      createInvite({
        email: values.email.trim(),
        granted: grantedOf(values),
        scope: scopeOf(values) ?? { type: 'workspace' },
        ttl_s: Number(values.span),
      }),
    onDone: (invite) => {
      void client.invalidateQueries({ queryKey: keys.invites() });
      onMade(invite);
    },
  });
  const { values, errors, set } = form;
  return (
    <form className="flex flex-col gap-5" noValidate onSubmit={form.send}>
      <Field label={t('team.invite.email')} error={errors.email}>
        <Input
          type="email"
          autoComplete="off"
          autoFocus
          value={values.email}
          onChange={(event) => set('email', event.target.value)}
        />
      </Field>
      <GrantFields values={values} errors={errors} onChange={form.patch} />
      <Field label={t('team.invite.holds_for')} className="sm:max-w-48">
        <Select<Span>
          label={t('team.invite.holds_for')}
          value={values.span}
          options={SPANS.map((value) => ({ value, label: t(`team.invite.span.${value}`) }))}
          onChange={(span) => set('span', span)}
        />
      </Field>
      {form.failure && <InlineError error={form.failure} />}
      <FormActions>
        <Button onClick={onClose}>{t('common.cancel')}</Button>
        <Button type="submit" tone="primary" busy={form.busy}>
          {t('team.invite.create')}
        </Button>
      </FormActions>
    </form>
  );
}
