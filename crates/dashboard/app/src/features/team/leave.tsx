import type { Member } from '@/api/types';
import { t } from '@/i18n';
import { ConfirmDialog } from '@/kit/dialog';
import { toast } from '@/kit/toast';
import { useSession, workspaceOf } from '@/shell/session';
import { useMemberActions } from './data';

interface RemoveMemberProps {
  member: Member;
  open: boolean;
  onClose: () => void;
  onRemoved: () => void;
}

export function RemoveMember({ member, open, onClose, onRemoved }: RemoveMemberProps) {
  const { remove } = useMemberActions(member);
  return (
    <ConfirmDialog
      open={open}
      onClose={onClose}
      title={t('team.remove_title', { name: member.name })}
      action={t('team.remove')}
      typeToConfirm={member.name}
      busy={remove.isPending}
      error={remove.error}
      onConfirm={() =>
        remove.mutate(undefined, {
          onSuccess: () => {
            toast.done(t('team.removed', { name: member.name }));
            onRemoved();
          },
        })
      }
    >
      <p>{t('team.remove_body', { name: member.name })}</p>
    </ConfirmDialog>
  );
}

/** Ends one's own membership of the workspace that the session acts in. */
export function LeaveWorkspace({ open, onClose }: { open: boolean; onClose: () => void }) {
  const session = useSession();
  const { remove } = useMemberActions({ id: session?.user.id ?? '' });
  const name = session ? (workspaceOf(session)?.name ?? '') : '';
  return (
    <ConfirmDialog
      open={open}
      onClose={onClose}
      title={t('team.leave_title', { name })}
      action={t('team.leave')}
      typeToConfirm={name}
      busy={remove.isPending}
      error={remove.error}
      // Nothing that is cached may be seen any more.
      onConfirm={() => remove.mutate(undefined, { onSuccess: () => window.location.assign('/') })}
    >
      <p>{t('team.leave_body')}</p>
    </ConfirmDialog>
  );
}
