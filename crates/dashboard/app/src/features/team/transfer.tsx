import { useQuery, useQueryClient } from '@tanstack/react-query';
import type { Member } from '@/api/types';
import { t } from '@/i18n';
import { Button } from '@/kit/button';
import { Dialog } from '@/kit/dialog';
import { Field } from '@/kit/field';
import { Input } from '@/kit/input';
import { InlineError } from '@/kit/states';
import { toast } from '@/kit/toast';
import { useForm } from '@/kit/use-form';
import { accountQuery } from '@/shell/account';
import { sessionQuery, useSession, workspaceOf } from '@/shell/session';
import { transferWorkspace, useRefreshTeam } from './data';

interface TransferProps {
  member: Member;
  open: boolean;
  onClose: () => void;
}

/** Hands the workspace to another member: the name is typed and the password given. */
export function TransferWorkspace({ member, open, onClose }: TransferProps) {
  const session = useSession();
  const workspace = session ? (workspaceOf(session)?.name ?? '') : '';
  return (
    <Dialog
      open={open}
      onClose={onClose}
      title={t('team.transfer_title', { workspace, name: member.name })}
      description={t('team.transfer_body', { name: member.name })}
    >
      {open && <TransferForm member={member} onClose={onClose} />}
    </Dialog>
  );
}

function TransferForm({ member, onClose }: { member: Member; onClose: () => void }) {
  const client = useQueryClient();
  const refresh = useRefreshTeam();
  const user = useSession()?.user;
  // Without one, a fresh session is enough.
  const hasPassword = useQuery(accountQuery).data?.has_password ?? true;
  const form = useForm({
    initial: { name: '', password: '' },
    validate: ({ name, password }) => ({
      name: name.trim() === member.name ? undefined : t('common.type_to_confirm', { name: member.name }),
      password: hasPassword && password === '' ? t('auth.required') : undefined,
    }),
    submit: ({ password }) => transferWorkspace({ user_id: member.id, ...(hasPassword ? { password } : {}) }),
    onDone: () => {
      toast.done(t('team.transfer_done', { name: member.name }));
      void client.invalidateQueries({ queryKey: sessionQuery.queryKey });
      refresh();
      onClose();
    },
  });
  return (
    <form className="flex flex-col gap-4" noValidate onSubmit={form.send}>
      <input type="hidden" name="username" autoComplete="username" value={user?.email ?? ''} readOnly />
      <Field label={t('common.type_to_confirm', { name: member.name })} error={form.errors.name}>
        <Input
          value={form.values.name}
          autoComplete="off"
          spellCheck={false}
          onChange={(event) => form.set('name', event.target.value)}
        />
      </Field>
      {hasPassword && (
        <Field label={t('team.transfer_password')} error={form.errors.password}>
          <Input
            type="password"
            autoComplete="current-password"
            value={form.values.password}
            onChange={(event) => form.set('password', event.target.value)}
          />
        </Field>
      )}
      {form.failure && <InlineError error={form.failure} />}
      <div className="flex justify-end gap-2">
        <Button onClick={onClose}>{t('common.cancel')}</Button>
        <Button type="submit" tone="danger" busy={form.busy}>
          {t('team.transfer')}
        </Button>
      </div>
    </form>
  );
}
