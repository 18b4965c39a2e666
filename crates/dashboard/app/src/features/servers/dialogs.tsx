import { useMemo } from 'react';
import type { ServerDetail } from '@/api/types';
import { t } from '@/i18n';
import { Button } from '@/kit/button';
import { ConfirmDialog, Dialog } from '@/kit/dialog';
import { Field } from '@/kit/field';
import { Input } from '@/kit/input';
import { InlineError } from '@/kit/states';
import { toast } from '@/kit/toast';
import { useForm } from '@/kit/use-form';
import { useServerActions } from './data';
import { labelsToText, parseLabels } from './labels';

interface ServerDialogProps {
  server: ServerDetail;
  open: boolean;
  onClose: () => void;
}

export function EditServer({ server, open, onClose }: ServerDialogProps) {
  return (
    <Dialog open={open} onClose={onClose} title={t('servers.edit_title')}>
      {open && <EditForm server={server} onClose={onClose} />}
    </Dialog>
  );
}

function EditForm({ server, onClose }: { server: ServerDetail; onClose: () => void }) {
  const actions = useServerActions(server);
  const initial = useMemo(() => ({ name: server.name, labels: labelsToText(server.labels) }), [server]);
  const form = useForm({
    initial,
    validate: ({ name, labels }) => ({
      name: name.trim() === '' ? t('auth.required') : undefined,
      labels: parseLabels(labels).error,
    }),
    submit: ({ name, labels }) =>
      actions.change({ name: name.trim(), labels: parseLabels(labels).labels ?? {} }),
    onDone: () => {
      toast.done(t('servers.saved'));
      onClose();
    },
  });
  return (
    <form className="flex flex-col gap-4" noValidate onSubmit={form.send}>
      <Field label={t('servers.column.name')} error={form.errors.name}>
        <Input value={form.values.name} onChange={(event) => form.set('name', event.target.value)} />
      </Field>
      <Field
        label={t('servers.column.labels')}
        optional={t('common.optional')}
        hint={t('servers.labels_hint')}
        error={form.errors.labels}
      >
        <Input
          value={form.values.labels}
          placeholder="env:prod, role:web"
          onChange={(event) => form.set('labels', event.target.value)}
        />
      </Field>
      {form.failure &&
        (form.failure.status === 412 ? <ServerChanged /> : <InlineError error={form.failure} />)}
      <div className="flex justify-end gap-2">
        <Button onClick={onClose}>{t('common.cancel')}</Button>
        <Button type="submit" tone="primary" busy={form.busy}>
          {t('common.save')}
        </Button>
      </div>
    </form>
  );
}

export function ServerChanged() {
  return (
    <p role="alert" className="text-bad text-sm">
      {t('servers.changed_meanwhile')}
    </p>
  );
}

export function RevokeServer({ server, open, onClose }: ServerDialogProps) {
  const { revoke } = useServerActions(server);
  const confirm = () =>
    revoke.mutate(undefined, {
      onSuccess: () => {
        toast.done(t('servers.revoked_done', { name: server.name }));
        onClose();
      },
    });
  return (
    <ConfirmDialog
      open={open}
      onClose={onClose}
      title={t('servers.revoke_title', { name: server.name })}
      action={t('servers.revoke')}
      busy={revoke.isPending}
      error={revoke.error}
      onConfirm={confirm}
    >
      <p>{t('servers.revoke_explain')}</p>
    </ConfirmDialog>
  );
}

export function DeleteServer({
  server,
  open,
  onClose,
  onDeleted,
}: ServerDialogProps & { onDeleted: () => void }) {
  const { remove } = useServerActions(server);
  const confirm = () =>
    remove.mutate(undefined, {
      onSuccess: () => {
        toast.done(t('servers.deleted_done', { name: server.name }));
        onDeleted();
      },
    });
  return (
    <ConfirmDialog
      open={open}
      onClose={onClose}
      title={t('servers.delete_title', { name: server.name })}
      action={t('servers.delete')}
      typeToConfirm={server.name}
      busy={remove.isPending}
      error={remove.error}
      onConfirm={confirm}
    >
      <p>{t('servers.delete_explain')}</p>
      <p>{t('servers.delete_host')}</p>
    </ConfirmDialog>
  );
}
