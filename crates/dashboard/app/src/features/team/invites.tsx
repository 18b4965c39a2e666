import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Mail } from 'lucide-react';
import { useState } from 'react';
import { api, checked } from '@/api/client';
import { type ApiError, toApiError } from '@/api/error';
import { keys } from '@/api/keys';
import type { Invite } from '@/api/types';
import { t } from '@/i18n';
import { Button } from '@/kit/button';
import { ConfirmDialog } from '@/kit/dialog';
import { Panel, Section } from '@/kit/page';
import { ErrorState, LoadingRows } from '@/kit/states';
import { Badge } from '@/kit/status';
import { Time } from '@/kit/time';
import { toast } from '@/kit/toast';
import { WORKSPACE } from '@/shell/rights';
import { useMay } from '@/shell/session';
import { invitesQuery } from './data';
import { useGrantWords } from './names';

/** Invitations that nobody accepted yet. */
export function Invites() {
  const list = useQuery(invitesQuery);
  return (
    <Section title={t('team.invite.title')}>
      <Panel>
        {list.isPending ? (
          <LoadingRows rows={1} />
        ) : list.isError ? (
          <ErrorState error={toApiError(list.error)} onRetry={() => void list.refetch()} />
        ) : list.data.length === 0 ? (
          <p className="px-4 py-3 text-fg-2 text-sm">{t('team.invite.none')}</p>
        ) : (
          <ul aria-label={t('team.invite.title')} className="divide-y">
            {list.data.map((invite) => (
              <InviteRow key={invite.id} invite={invite} />
            ))}
          </ul>
        )}
      </Panel>
    </Section>
  );
}

function InviteRow({ invite }: { invite: Invite }) {
  const client = useQueryClient();
  const mayManage = useMay('members.manage', WORKSPACE);
  const words = useGrantWords(invite.granted, invite.scope);
  const [asking, setAsking] = useState(false);
  const withdraw = useMutation<unknown, ApiError>({
    mutationFn: () => checked(api.DELETE('/v1/team/invites/{id}', { params: { path: { id: invite.id } } })),
    onSuccess: () => {
      setAsking(false);
      toast.done(t('team.invite.withdrawn'));
      void client.invalidateQueries({ queryKey: keys.invites() });
    },
  });
  return (
    <li className="flex items-center gap-3 px-4 py-3 text-sm">
      <Mail aria-hidden className="size-4 shrink-0 self-start text-fg-3 max-md:mt-0.5 md:self-center" />
      <div className="grid min-w-0 flex-1 grid-cols-[minmax(0,1fr)] gap-x-3 gap-y-0.5 md:grid-cols-[minmax(0,5fr)_minmax(0,6fr)_8rem]">
        <p className="flex items-center gap-2">
          <span className="min-w-0 truncate font-medium">{invite.email}</span>
          {invite.expired && <Badge tone="warn">{t('team.invite.expired')}</Badge>}
        </p>
        <p className="truncate text-fg-2">{words}</p>
        <p className="text-fg-3 text-xs md:self-center">
          {!invite.expired && (
            <>
              {t('api_keys.ends')} <Time at={invite.expires_at} />
            </>
          )}
        </p>
      </div>
      {mayManage && (
        <Button
          size="sm"
          aria-label={`${t('team.invite.withdraw')}: ${invite.email}`}
          onClick={() => setAsking(true)}
        >
          {t('team.invite.withdraw')}
        </Button>
      )}
      <ConfirmDialog
        open={asking}
        onClose={() => setAsking(false)}
        title={t('team.invite.withdraw_title', { email: invite.email })}
        action={t('team.invite.withdraw')}
        busy={withdraw.isPending}
        error={withdraw.error}
        onConfirm={() => withdraw.mutate()}
      >
        <p>{t('team.invite.withdraw_body')}</p>
      </ConfirmDialog>
    </li>
  );
}
