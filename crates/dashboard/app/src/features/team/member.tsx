import { useQuery } from '@tanstack/react-query';
import { Link, useNavigate, useParams } from '@tanstack/react-router';
import { ChevronRight, Crown, Ellipsis, LogOut, Plus, UserRoundMinus } from 'lucide-react';
import { useState } from 'react';
import { toApiError } from '@/api/error';
import type { Grant, Member } from '@/api/types';
import { t } from '@/i18n';
import { Button, IconButton } from '@/kit/button';
import { ConfirmDialog } from '@/kit/dialog';
import { Menu, MenuItem } from '@/kit/menu';
import { Panel, Section, useDocumentTitle } from '@/kit/page';
import { permissionsInWords } from '@/kit/permission-words';
import { ErrorState, Skeleton, sentence } from '@/kit/states';
import { Badge } from '@/kit/status';
import { Time } from '@/kit/time';
import { toast } from '@/kit/toast';
import { Avatar } from '@/shell/avatar';
import { NotFoundPage } from '@/shell/fallback';
import { WORKSPACE } from '@/shell/rights';
import { useMay, useSession } from '@/shell/session';
import { AddGrant } from './add-grant';
import { memberQuery, useMemberActions } from './data';
import { EffectiveRights } from './effective';
import { LeaveWorkspace, RemoveMember } from './leave';
import { TransferWorkspace } from './transfer';
import { knownGrantInWords, sameGrant } from './words';

export function MemberPage() {
  const { memberId } = useParams({ from: '/inside/team/members/$memberId' });
  const query = useQuery(memberQuery(memberId));
  const error = query.isError ? toApiError(query.error) : null;
  if (error?.status === 404) return <NotFoundPage />;
  if (query.data) return <KnownMember key={memberId} member={query.data} />;
  if (error) return <ErrorState error={error} onRetry={() => void query.refetch()} />;
  return (
    <div role="status" aria-label={t('common.loading')} className="px-4 pt-7 sm:px-6 lg:px-8">
      <Skeleton className="h-10 w-56" />
      <Skeleton className="mt-8 h-48 w-full max-w-3xl rounded-lg" />
    </div>
  );
}

type OpenDialog = 'remove' | 'leave' | 'transfer' | null;

function KnownMember({ member }: { member: Member }) {
  useDocumentTitle(member.name);
  const navigate = useNavigate();
  const mayRead = useMay('members.read', WORKSPACE);
  const mayManage = useMay('members.manage', WORKSPACE);
  const mayHandOver = useMay('workspace.close', WORKSPACE);
  const isMe = useSession()?.user.id === member.id;
  const [dialog, setDialog] = useState<OpenDialog>(null);
  const close = () => setDialog(null);
  return (
    <div className="mx-auto w-full max-w-[1440px] px-4 pt-5 pb-nav sm:px-6 md:pt-7 lg:px-8">
      <div className="flex max-w-3xl flex-col gap-8">
        <header className="flex items-center gap-3">
          <Avatar name={member.name} className="size-10 text-sm" />
          <div className="min-w-0 flex-1">
            <div className="flex min-w-0 items-center gap-1">
              {mayRead && (
                <>
                  <Link to="/team" className="hidden text-fg-3 text-xl hover:text-fg sm:block">
                    {t('team.title')}
                  </Link>
                  <ChevronRight aria-hidden className="hidden size-4 shrink-0 text-fg-3 sm:block" />
                </>
              )}
              <h1 className="min-w-0 truncate font-semibold text-xl tracking-[-0.01em]">{member.name}</h1>
              {isMe && (
                <span className="ml-1">
                  <Badge tone="accent">{t('team.you')}</Badge>
                </span>
              )}
            </div>
            <p className="flex flex-wrap gap-x-3 text-fg-2 text-sm">
              <span className="min-w-0 truncate">{member.email}</span>
              <span className="text-fg-3">
                {t('team.joined')} <Time at={member.joined_at} />
              </span>
            </p>
          </div>
          {(isMe || mayManage) && (
            <Menu trigger={<IconButton icon={Ellipsis} label={t('servers.actions')} />}>
              {mayHandOver && !isMe && (
                <MenuItem icon={Crown} onSelect={() => setDialog('transfer')}>
                  {t('team.transfer')}
                </MenuItem>
              )}
              {isMe ? (
                <MenuItem icon={LogOut} tone="danger" onSelect={() => setDialog('leave')}>
                  {t('team.leave')}
                </MenuItem>
              ) : (
                <MenuItem icon={UserRoundMinus} tone="danger" onSelect={() => setDialog('remove')}>
                  {t('team.remove')}
                </MenuItem>
              )}
            </Menu>
          )}
        </header>
        <Grants member={member} isMe={isMe} mayManage={mayManage} />
        <EffectiveRights grants={member.grants} />
      </div>
      <RemoveMember
        member={member}
        open={dialog === 'remove'}
        onClose={close}
        onRemoved={() => void navigate({ to: '/team' })}
      />
      <LeaveWorkspace open={dialog === 'leave'} onClose={close} />
      <TransferWorkspace member={member} open={dialog === 'transfer'} onClose={close} />
    </div>
  );
}

function Grants({ member, isMe, mayManage }: { member: Member; isMe: boolean; mayManage: boolean }) {
  const [adding, setAdding] = useState(false);
  const [removing, setRemoving] = useState<Grant | null>(null);
  const { setGrants } = useMemberActions(member);
  const remove = (grant: Grant) =>
    setGrants.mutate(
      member.grants.filter((one) => !sameGrant(one, grant)).map(({ granted, scope }) => ({ granted, scope })),
      {
        onSuccess: () => {
          setRemoving(null);
          toast.done(t('team.grant.removed'));
        },
      },
    );
  return (
    <Section
      title={t('team.grant.title')}
      description={t('team.grant.body')}
      actions={
        mayManage && (
          <Button icon={Plus} onClick={() => setAdding(true)}>
            {t('team.grant.add')}
          </Button>
        )
      }
    >
      <Panel>
        {member.grants.length === 0 ? (
          <p className="px-4 py-3 text-fg-2 text-sm">{t('team.grant.none', { name: member.name })}</p>
        ) : (
          <ul aria-label={t('team.grant.title')} className="divide-y">
            {member.grants.map((grant) => {
              const words = knownGrantInWords(grant);
              return (
                <li key={grant.id} className="flex items-center gap-3 px-4 py-2.5 text-sm">
                  <div className="min-w-0 flex-1">
                    <p className="flex flex-wrap items-center gap-2 font-medium">
                      {words}
                      {isMapped(grant) && <Badge tone="idle">{t('team.grant.mapped')}</Badge>}
                    </p>
                    {'permissions' in grant.granted && (
                      <p className="text-fg-3 text-xs">{sentence(permissionsInWords(grant.permissions))}</p>
                    )}
                  </div>
                  {mayManage && !isMapped(grant) && (
                    <Button
                      size="sm"
                      aria-label={t('common.remove_one', { name: words })}
                      onClick={() => {
                        setGrants.reset();
                        setRemoving(grant);
                      }}
                    >
                      {t('team.grant.remove')}
                    </Button>
                  )}
                </li>
              );
            })}
          </ul>
        )}
      </Panel>
      <AddGrant member={member} open={adding} onClose={() => setAdding(false)} />
      {removing && (
        <ConfirmDialog
          open
          onClose={() => setRemoving(null)}
          title={t('team.grant.remove_title', { grant: knownGrantInWords(removing) })}
          action={t('team.grant.remove')}
          busy={setGrants.isPending}
          error={setGrants.error}
          onConfirm={() => remove(removing)}
        >
          <p>{t('team.grant.remove_body', { name: member.name })}</p>
          {isMe && <p className="font-medium text-warn">{t('team.grant.remove_own')}</p>}
        </ConfirmDialog>
      )}
    </Section>
  );
}

/** Given by groups of a sign-in provider: it comes and goes with them, at each sign-in. */
function isMapped(grant: Grant): boolean {
  return 'source' in grant && String(grant.source).startsWith('oidc');
}
