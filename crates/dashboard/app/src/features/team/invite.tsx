import { useQueryClient } from '@tanstack/react-query';
import { keys } from '@/api/keys';
import type { InviteCreated } from '@/api/types';
import { emailError } from '@/features/auth/validate';
import { t } from '@/i18n';
import { Button } from '@/kit/button';
import { FormActions } from '@/kit/dialog';
import { Field } from '@/kit/field';
import { Input } from '@/kit/input';
import { Select } from '@/kit/select';
import { FormThenShown, type ShownOnce } from '@/kit/shown-once';
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
  return (
    <FormThenShown<InviteCreated>
      open={open}
      onClose={onClose}
      title={t('team.invite.action')}
      description={t('team.invite.body')}
      shownTitle={t('team.invite.link_title')}
      form={(onMade, close) => <InviteForm onMade={onMade} onClose={close} />}
      shown={linkOf}
    />
  );
}

/** The only time that the link is seen. */
function linkOf(invite: InviteCreated): ShownOnce {
  // A hub that sends mail has sent it already.
  const isMailed = 'mailed' in invite && invite.mailed === true;
  return {
    label: t('team.invite.link'),
    value: invite.url,
    note: isMailed
      ? t('team.invite.link_mailed', { email: invite.email })
      : t('team.invite.link_body', { email: invite.email }),
  };
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
