import { useQueryClient } from '@tanstack/react-query';
import { keys } from '@/api/keys';
import type { AuditEntry } from '@/api/types';
import { required } from '@/features/auth/validate';
import { t } from '@/i18n';
import { Button } from '@/kit/button';
import { Dialog, FormActions } from '@/kit/dialog';
import { Field } from '@/kit/field';
import { Input } from '@/kit/input';
import { InlineError, Notice } from '@/kit/states';
import { toast } from '@/kit/toast';
import { useForm } from '@/kit/use-form';
import { redactEntry } from './data';

const LONGEST = 500;

interface RedactDialogProps {
  entry: AuditEntry;
  open: boolean;
  onClose: () => void;
}

/** Takes personal data out of an entry for good. The chain holds: what goes was in it as a digest only. */
export function RedactDialog({ entry, open, onClose }: RedactDialogProps) {
  return (
    <Dialog open={open} onClose={onClose} title={t('audit.redact.title')} width="md">
      {open && <RedactForm entry={entry} onClose={onClose} />}
    </Dialog>
  );
}

function RedactForm({ entry, onClose }: Omit<RedactDialogProps, 'open'>) {
  const client = useQueryClient();
  const form = useForm({
    initial: { reason: '' },
    validate: ({ reason }) => ({
      reason:
        required(reason) ??
        (reason.trim().length > LONGEST ? t('audit.redact.too_long', { length: LONGEST }) : undefined),
    }),
    submit: ({ reason }) => redactEntry(entry.id, reason.trim()),
    onDone: () => {
      toast.done(t('audit.redact.done'));
      void client.invalidateQueries({ queryKey: keys.audit() });
      onClose();
    },
  });
  return (
    <form className="flex flex-col gap-4 text-sm" noValidate onSubmit={form.send}>
      <dl className="divide-y rounded-md border">
        {(['goes', 'stays'] as const).map((part) => (
          <div key={part} className="px-3 py-2">
            <dt className="font-medium">{t(`audit.redact.${part}`)}</dt>
            <dd className="text-fg-2">{t(`audit.redact.${part}_what`)}</dd>
          </div>
        ))}
      </dl>
      <Notice>{t('audit.redact.for_good')}</Notice>
      <Field label={t('audit.redact.reason')} hint={t('audit.redact.reason_hint')} error={form.errors.reason}>
        <Input
          value={form.values.reason}
          autoFocus
          autoComplete="off"
          onChange={(event) => form.set('reason', event.target.value)}
        />
      </Field>
      {form.failure && <InlineError error={form.failure} />}
      <FormActions>
        <Button onClick={onClose}>{t('common.cancel')}</Button>
        <Button type="submit" tone="danger" busy={form.busy}>
          {t('audit.redact.action')}
        </Button>
      </FormActions>
    </form>
  );
}
