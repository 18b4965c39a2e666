import { useInfiniteQuery } from '@tanstack/react-query';
import { Link, useNavigate, useSearch } from '@tanstack/react-router';
import { UserRoundPlus, Users } from 'lucide-react';
import { toApiError } from '@/api/error';
import type { Member } from '@/api/types';
import { OthersApiKeys } from '@/features/account/api-keys';
import { t } from '@/i18n';
import { Button } from '@/kit/button';
import { Page, Panel, Section } from '@/kit/page';
import { Empty, ErrorState, LoadingRows, NoPermission } from '@/kit/states';
import { Badge } from '@/kit/status';
import { Time } from '@/kit/time';
import { Avatar } from '@/shell/avatar';
import { WORKSPACE } from '@/shell/rights';
import { useMay, useSession } from '@/shell/session';
import { membersQuery } from './data';
import { InviteDialog } from './invite';
import { Invites } from './invites';
import { Roles } from './roles';
import { knownGrantInWords } from './words';

export function TeamPage() {
  const { open } = useSearch({ from: '/inside/team' });
  const navigate = useNavigate({ from: '/team' });
  const mayRead = useMay('members.read', WORKSPACE);
  const mayManage = useMay('members.manage', WORKSPACE);
  const mayManageKeys = useMay('api-keys.manage', WORKSPACE);
  if (!mayRead) return <NoPermission missing={['members.read']} />;
  const show = (what: 'invite' | undefined) => void navigate({ search: { open: what }, replace: true });
  return (
    <Page
      title={t('team.title')}
      description={t('team.body')}
      actions={
        mayManage && (
          <Button tone="primary" icon={UserRoundPlus} onClick={() => show('invite')}>
            {t('team.invite.action')}
          </Button>
        )
      }
    >
      <div className="flex max-w-5xl flex-col gap-10">
        <Members />
        <Invites />
        <Roles />
        {mayManageKeys && <OthersApiKeys />}
      </div>
      {mayManage && <InviteDialog open={open === 'invite'} onClose={() => show(undefined)} />}
    </Page>
  );
}

function Members() {
  const list = useInfiniteQuery(membersQuery);
  const members = list.data?.pages.flatMap((page) => page.data) ?? [];
  return (
    <Section title={t('team.members')}>
      <Panel>
        {list.isPending ? (
          <LoadingRows rows={3} />
        ) : list.isError && members.length === 0 ? (
          <ErrorState error={toApiError(list.error)} onRetry={() => void list.refetch()} />
        ) : members.length === 0 ? (
          <Empty icon={Users} title={t('team.members')} />
        ) : (
          <ul aria-label={t('team.members')} className="divide-y">
            {members.map((member) => (
              <MemberRow key={member.id} member={member} />
            ))}
          </ul>
        )}
      </Panel>
      {list.hasNextPage && (
        <div className="mt-3 flex justify-center">
          <Button busy={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>
            {t('common.load_more')}
          </Button>
        </div>
      )}
    </Section>
  );
}

/** Lines of what somebody holds; the rest is on their page. */
const MOST_SHOWN = 3;

function MemberRow({ member }: { member: Member }) {
  const isMe = useSession()?.user.id === member.id;
  const rest = member.grants.length - MOST_SHOWN;
  return (
    <li className="relative grid grid-cols-[auto_1fr] items-center gap-x-3 gap-y-1 px-4 py-3 text-sm hover:bg-hover md:grid-cols-[auto_minmax(0,5fr)_minmax(0,6fr)_8rem]">
      <Avatar name={member.name} className="row-span-2 self-start md:row-span-1 md:self-center" />
      <div className="min-w-0">
        <p className="flex items-center gap-2">
          <Link
            to="/team/members/$memberId"
            params={{ memberId: member.id }}
            className="min-w-0 truncate font-medium after:absolute after:inset-0 after:-outline-offset-2"
          >
            {member.name}
          </Link>
          {isMe && <Badge tone="accent">{t('team.you')}</Badge>}
        </p>
        <p className="truncate text-fg-3 text-xs">{member.email}</p>
      </div>
      <div className="col-start-2 min-w-0 md:col-start-auto">
        {member.grants.length === 0 ? (
          <p className="text-fg-3">{t('team.grant.none_short')}</p>
        ) : (
          member.grants.slice(0, MOST_SHOWN).map((grant) => (
            <p key={grant.id} className="truncate text-fg-2">
              {knownGrantInWords(grant)}
            </p>
          ))
        )}
        {rest > 0 && <p className="text-fg-3 text-xs">+{rest}</p>}
      </div>
      <p className="hidden text-right text-fg-3 text-xs md:block">
        {t('team.joined')} <Time at={member.joined_at} />
      </p>
    </li>
  );
}
