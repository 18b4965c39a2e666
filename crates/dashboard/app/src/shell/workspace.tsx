import { useMutation } from '@tanstack/react-query';
import { ChevronsUpDown } from 'lucide-react';
import { useEffect } from 'react';
import { api, checked } from '@/api/client';
import type { ApiError } from '@/api/error';
import type { Session } from '@/api/types';
import { t } from '@/i18n';
import { Menu, MenuChoice, MenuHeading } from '@/kit/menu';
import { toast } from '@/kit/toast';
import { Logo } from './logo';
import { workspaceOf } from './session';

const CHANNEL = 'roadstead.workspace';

/**
 * Acts in another workspace. Everything is loaded anew, in other tabs of this browser too: they share the session, and
 * what they show is of the workspace that it left.
 */
export function useWorkspaceSwitch(session: Session): (id: string) => void {
  useEffect(() => {
    if (session.workspaces.length < 2) return;
    const channel = new BroadcastChannel(CHANNEL);
    channel.onmessage = () => window.location.assign('/');
    return () => channel.close();
  }, [session.workspaces.length]);
  const enter = useMutation<unknown, ApiError, string>({
    mutationFn: (workspace_id) => checked(api.PATCH('/v1/auth/session', { body: { workspace_id } })),
    onSuccess: () => {
      const channel = new BroadcastChannel(CHANNEL);
      channel.postMessage('switched');
      channel.close();
      window.location.assign('/');
    },
    onError: (error) => toast.failed(error),
  });
  return (id) => {
    if (id !== session.workspace_id) enter.mutate(id);
  };
}

/** The name of the workspace, and a way into the others. */
export function WorkspaceMenu({ session }: { session: Session }) {
  const switchTo = useWorkspaceSwitch(session);
  const name = workspaceOf(session)?.name ?? '';
  return (
    <Menu
      align="start"
      trigger={
        <button
          type="button"
          aria-label={t('shell.workspace.choose', { name })}
          className="-mt-1 mb-3 flex h-9 w-full items-center gap-2.5 rounded-md px-2 text-left transition-colors hover:bg-hover"
        >
          <Logo className="size-6 shrink-0" />
          <span className="min-w-0 flex-1 truncate font-semibold text-base tracking-[-0.01em]">{name}</span>
          <ChevronsUpDown aria-hidden className="size-3.5 shrink-0 text-fg-3" />
        </button>
      }
    >
      <MenuHeading>{t('shell.workspace.label')}</MenuHeading>
      <MenuChoice
        label={t('shell.workspace.label')}
        value={session.workspace_id}
        onChange={switchTo}
        options={session.workspaces.map((workspace) => ({ value: workspace.id, label: workspace.name }))}
      />
    </Menu>
  );
}
