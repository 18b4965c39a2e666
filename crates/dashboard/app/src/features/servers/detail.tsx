import { useQuery } from '@tanstack/react-query';
import { Link, Outlet, useNavigate, useParams, useRouterState } from '@tanstack/react-router';
import {
  ChevronRight,
  Ellipsis,
  FolderClosed,
  FolderInput,
  KeyRound,
  Pencil,
  ShieldAlert,
  ShieldOff,
  SquareTerminal,
  Trash2,
  Unplug,
} from 'lucide-react';
import { type ReactNode, useState } from 'react';
import { toApiError } from '@/api/error';
import type { ServerDetail } from '@/api/types';
import { useProjects } from '@/features/projects/data';
import { t } from '@/i18n';
import { ButtonLink, IconButton } from '@/kit/button';
import { cx } from '@/kit/cx';
import { bytesPerSecond, decimal, duration, percent } from '@/kit/format';
import { Labels } from '@/kit/labels';
import { Menu, MenuItem, MenuSeparator } from '@/kit/menu';
import { useDocumentTitle } from '@/kit/page';
import { ErrorState, Notice, Skeleton } from '@/kit/states';
import { Badge, ServerStatusMark } from '@/kit/status';
import { TabLinks } from '@/kit/tabs';
import { Time } from '@/kit/time';
import { useIsDisconnected } from '@/shell/connection-badge';
import { NotFoundPage } from '@/shell/fallback';
import { useLive } from '@/shell/live';
import { onlyServer, placeOf } from '@/shell/rights';
import { useGrants, useMay } from '@/shell/session';
import { serverQuery } from './data';
import { DeleteServer, EditServer, RevokeServer } from './dialogs';
import { MoveServer } from './move';
import { useWatch } from './watch';

export function ServerPage() {
  const { serverId } = useParams({ from: '/inside/servers/$serverId' });
  const query = useQuery(serverQuery(serverId));
  const error = query.isError ? toApiError(query.error) : null;
  // Deleted, or no longer for this person to see: what was known of it goes as well.
  if (error?.status === 404) return <NotFoundPage />;
  if (query.data) return <KnownServer key={serverId} server={query.data} />;
  if (error) return <ErrorState error={error} onRetry={() => void query.refetch()} />;
  return (
    <div role="status" aria-label={t('common.loading')} className="px-4 pt-5 sm:px-6 lg:px-8">
      <Skeleton className="h-7 w-56" />
      <Skeleton className="mt-6 h-16 w-full rounded-lg" />
      <Skeleton className="mt-6 h-80 w-full rounded-lg" />
    </div>
  );
}

type OpenDialog = 'edit' | 'move' | 'revoke' | 'delete' | null;

function KnownServer({ server }: { server: ServerDetail }) {
  useDocumentTitle(server.name);
  useWatch(server.id);
  const navigate = useNavigate();
  const [dialog, setDialog] = useState<OpenDialog>(null);
  const live = useLive(server);
  // The tab says it itself, and more.
  const isPolicyTab = useRouterState({ select: (state) => state.location.pathname.endsWith('/policy') });
  const close = () => setDialog(null);
  return (
    <>
      <StickyBar server={server} onAction={setDialog} />
      <div className="mx-auto w-full max-w-[1440px] px-4 pt-5 pb-nav sm:px-6 lg:px-8">
        {live.status === 'offline' && (
          <div className="mb-5">
            <Notice icon={Unplug}>
              {live.lastSeenAt ? (
                <>
                  {t('servers.offline_since')} <Time at={live.lastSeenAt} />. {t('servers.offline_body')}
                </>
              ) : (
                t('servers.offline_body')
              )}
            </Notice>
          </div>
        )}
        {live.status === 'revoked' && (
          <div className="mb-5">
            <Notice icon={ShieldOff} tone="idle">
              {t('servers.revoked_body')}
            </Notice>
          </div>
        )}
        {server.policy?.problem && !isPolicyTab && (
          <div className="mb-5">
            <Notice icon={ShieldAlert}>
              {t('servers.policy_problem', { problem: server.policy.problem })}
            </Notice>
          </div>
        )}
        <LiveStrip server={server} />
        <Outlet />
      </div>
      <EditServer server={server} open={dialog === 'edit'} onClose={close} />
      <MoveServer server={server} open={dialog === 'move'} onClose={close} />
      <RevokeServer server={server} open={dialog === 'revoke'} onClose={close} />
      <DeleteServer
        server={server}
        open={dialog === 'delete'}
        onClose={close}
        onDeleted={() => void navigate({ to: '/servers' })}
      />
    </>
  );
}

/** The one truth about the server, in sight however far the page is scrolled. */
function StickyBar({ server, onAction }: { server: ServerDetail; onAction: (dialog: OpenDialog) => void }) {
  const live = useLive(server);
  const place = placeOf(server);
  const mayExec = useMay('servers.exec', place);
  const mayManage = useMay('servers.manage', place);
  const mayMove = useMay('projects.manage', place) && mayManage;
  const mayEnroll = useMay('servers.enroll', place);
  const navigate = useNavigate();
  const mayReadJobs = useMay('jobs.read', place);
  const mayReadAudit = useMay('audit.read', place);
  const projects = useProjects();
  const project = projects.find((one) => one.id === server.project_id);
  const isOnly = onlyServer(useGrants()) === server.id;
  const path = useRouterState({ select: (state) => state.location.pathname });
  const params = { serverId: server.id };
  return (
    <header className="sticky top-0 z-20 border-b bg-bg/95 backdrop-blur-sm">
      <div className="mx-auto w-full max-w-[1440px] px-4 pt-4 sm:px-6 lg:px-8">
        <div className="flex items-center gap-3">
          <div className="flex min-w-0 flex-1 flex-wrap items-center gap-x-3 gap-y-1">
            <div className="flex min-w-0 items-center gap-1">
              {!isOnly && (
                <>
                  <Link to="/servers" className="hidden text-fg-3 text-xl hover:text-fg sm:block">
                    {t('servers.title')}
                  </Link>
                  <ChevronRight aria-hidden className="hidden size-4 shrink-0 text-fg-3 sm:block" />
                </>
              )}
              <h1 className="min-w-0 truncate font-semibold text-xl tracking-[-0.01em]">{server.name}</h1>
            </div>
            <span className="flex items-center gap-2">
              <ServerStatusMark status={live.status} soft />
              {server.maintenance && <Badge>{t('servers.maintenance')}</Badge>}
              {live.lastSeenAt && live.status !== 'online' && (
                <span className="text-fg-3 text-xs">
                  <Time at={live.lastSeenAt} />
                </span>
              )}
            </span>
            {project && (
              <Link
                to="/servers"
                search={{ project: project.id }}
                className="hidden max-w-48 items-center gap-1 text-fg-2 text-xs hover:text-fg hover:underline sm:flex"
              >
                <FolderClosed aria-hidden className="size-3.5 shrink-0 text-fg-3" />
                <span className="truncate">{project.name}</span>
              </Link>
            )}
            <span className="hidden lg:block">
              <Labels labels={server.labels} max={4} />
            </span>
          </div>
          {mayExec && live.status !== 'revoked' && (
            <ButtonLink to="/jobs/new" search={{ server: server.id }} tone="primary" icon={SquareTerminal}>
              <span className="hidden sm:inline">{t('shell.run_command')}</span>
              <span className="sm:hidden">{t('servers.run')}</span>
            </ButtonLink>
          )}
          {mayManage && (
            <Menu trigger={<IconButton icon={Ellipsis} label={t('servers.actions')} />}>
              <MenuItem icon={Pencil} onSelect={() => onAction('edit')}>
                {t('servers.edit')}
              </MenuItem>
              {mayMove && (projects.length > 0 || server.project_id !== null) && (
                <MenuItem icon={FolderInput} onSelect={() => onAction('move')}>
                  {t('projects.move')}
                </MenuItem>
              )}
              {mayEnroll && (
                <MenuItem
                  icon={KeyRound}
                  onSelect={() => void navigate({ to: '/servers/new', search: { server: server.id } })}
                >
                  {t('servers.reenroll')}
                </MenuItem>
              )}
              <MenuSeparator />
              {live.status !== 'revoked' && (
                <MenuItem icon={ShieldOff} tone="danger" onSelect={() => onAction('revoke')}>
                  {t('servers.revoke')}
                </MenuItem>
              )}
              <MenuItem icon={Trash2} tone="danger" onSelect={() => onAction('delete')}>
                {t('servers.delete')}
              </MenuItem>
            </Menu>
          )}
        </div>
        <div className="mt-2">
          <TabLinks
            label={server.name}
            tabs={[
              {
                link: { to: '/servers/$serverId', params },
                label: t('servers.tab.metrics'),
                active: !/\/(jobs|policy|activity)$/.test(path),
              },
              ...(mayReadJobs
                ? [
                    {
                      link: { to: '/servers/$serverId/jobs' as const, params },
                      label: t('servers.tab.jobs'),
                      active: path.endsWith('/jobs'),
                    },
                  ]
                : []),
              {
                link: { to: '/servers/$serverId/policy' as const, params },
                label: t('servers.tab.policy'),
                active: path.endsWith('/policy'),
              },
              ...(mayReadAudit
                ? [
                    {
                      link: { to: '/servers/$serverId/activity' as const, params },
                      label: t('servers.tab.activity'),
                      active: path.endsWith('/activity'),
                    },
                  ]
                : []),
            ]}
          />
        </div>
      </div>
    </header>
  );
}

/** The present in one line of numbers. */
function LiveStrip({ server }: { server: ServerDetail }) {
  const { live, status } = useLive(server);
  const isDisconnected = useIsDisconnected();
  const fresh = status === 'online' && !isDisconnected;
  const stats: (readonly [string, ReactNode])[] = [
    [t('servers.column.cpu'), percent(live?.cpu_percent)],
    [t('servers.column.memory'), percent(live?.memory_percent)],
    [t('servers.column.disk'), percent(live?.disk_percent)],
    [t('servers.column.load'), decimal(live?.load1)],
    [t('servers.network_in'), bytesPerSecond(live?.rx_bytes_per_s)],
    [t('servers.network_out'), bytesPerSecond(live?.tx_bytes_per_s)],
    // The last one has room on wide screens only; the facts have it as well.
    [t('servers.column.uptime'), live ? duration(live.uptime_s * 1_000) : '–'],
  ];
  return (
    <section aria-label={t('servers.now')} className="mb-6">
      <dl
        className={cx(
          'grid grid-cols-3 gap-px overflow-hidden rounded-lg border bg-line lg:grid-cols-6 xl:grid-cols-7',
          !fresh && 'text-fg-3',
        )}
      >
        {stats.map(([name, value]) => (
          <div key={name} className="bg-surface px-3 py-2.5 last:hidden sm:px-4 xl:last:block">
            <dt className="text-fg-3 text-xs">{name}</dt>
            <dd className="tabular mt-0.5 truncate font-semibold text-base tracking-[-0.01em] sm:text-lg">
              {value}
            </dd>
          </div>
        ))}
      </dl>
      {!fresh && live && (
        <p className="mt-1.5 text-fg-3 text-xs">
          {t('servers.as_of')} <Time at={live.at} />
        </p>
      )}
    </section>
  );
}
