import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { Columns3, Plus, Server as ServerIcon, X } from 'lucide-react';
import { useEffect, useState } from 'react';
import { toApiError } from '@/api/error';
import type { ServerStatus, ServerTotals } from '@/api/types';
import { useProjects } from '@/features/projects/data';
import { t } from '@/i18n';
import { Button, ButtonLink } from '@/kit/button';
import { cx } from '@/kit/cx';
import { count, shortId } from '@/kit/format';
import { SearchInput } from '@/kit/input';
import { Menu, MenuCheck, MenuHeading } from '@/kit/menu';
import { Page, Panel } from '@/kit/page';
import { usePreference } from '@/kit/preference';
import { Select } from '@/kit/select';
import { Empty, ErrorState, LoadingRows, NoPermission } from '@/kit/states';
import { serverSigns } from '@/kit/status';
import { useIsDisconnected } from '@/shell/connection-badge';
import { useMay } from '@/shell/session';
import { serverColumns } from './columns';
import { serverListQuery, serverTotalsQuery } from './data';
import { SERVER_STATUSES, type ServerListSearch, splitList, toggleInList } from './search';
import { ServerTable } from './table';

const TYPING_MS = 200;

export function ServersPage() {
  const search = useSearch({ from: '/inside/servers' });
  const navigate = useNavigate({ from: '/servers' });
  const mayRead = useMay('servers.read');
  const mayEnroll = useMay('servers.enroll');
  const isDisconnected = useIsDisconnected();
  const list = useInfiniteQuery({ ...serverListQuery(search), enabled: mayRead });
  const totals = useQuery({ ...serverTotalsQuery(search), enabled: mayRead }).data;
  const projects = useProjects();
  const [hidden, setHidden] = usePreference('servers.hidden-columns', defaultHidden());

  const change = (next: Partial<ServerListSearch>) =>
    void navigate({ search: (before) => ({ ...before, ...next }), replace: true });

  if (!mayRead) return <NoPermission missing={['servers.read']} />;
  const servers = list.data?.pages.flatMap((page) => page.data) ?? [];
  const isFiltered = Boolean(search.q || search.status || search.label || search.project);
  const clear = () => change({ q: undefined, status: undefined, label: undefined, project: undefined });
  const all = totals ? sum(totals) : null;
  // Where there are no projects to see, nothing of them is.
  const offered = serverColumns.filter((column) => column.id !== 'project' || projects.length > 0);
  const columns = offered.filter((column) => column.fixed || !splitList(hidden).includes(column.id));

  return (
    <Page
      title={t('servers.title')}
      description={all === null ? ' ' : t('servers.count', { count: all, shown: count(all) })}
      actions={
        mayEnroll && (
          <ButtonLink to="/servers/new" search={{ project: search.project }} tone="primary" icon={Plus}>
            {t('shell.add_server')}
          </ButtonLink>
        )
      }
    >
      <div className="mb-3 flex flex-wrap items-center gap-2">
        <ServerSearch value={search.q ?? ''} onChange={(q) => change({ q: q || undefined })} />
        <StatusFilter
          chosen={search.status}
          totals={totals}
          onToggle={(status) => change({ status: toggleInList(search.status, status) })}
        />
        <ProjectFilter chosen={search.project} onChoose={(project) => change({ project })} />
        {splitList(search.label).map((label) => (
          <Button key={label} size="sm" onClick={() => change({ label: toggleInList(search.label, label) })}>
            {label}
            <X aria-label={t('common.remove')} className="size-3" />
          </Button>
        ))}
        {isFiltered && (
          <Button size="sm" tone="ghost" onClick={clear}>
            {t('servers.clear_filters')}
          </Button>
        )}
        <div className="ml-auto hidden md:block">
          <Menu
            trigger={
              <Button size="sm" tone="ghost" icon={Columns3}>
                {t('servers.columns')}
              </Button>
            }
          >
            <MenuHeading>{t('servers.columns')}</MenuHeading>
            {offered
              .filter((column) => !column.fixed)
              .map((column) => (
                <MenuCheck
                  key={column.id}
                  checked={!splitList(hidden).includes(column.id)}
                  onChange={() => setHidden(toggleInList(hidden, column.id) ?? '')}
                >
                  {column.title}
                </MenuCheck>
              ))}
          </Menu>
        </div>
      </div>

      <Panel className={cx('overflow-visible', isDisconnected && 'opacity-60 grayscale')}>
        {list.isPending ? (
          <LoadingRows />
        ) : list.isError && servers.length === 0 ? (
          <ErrorState error={toApiError(list.error)} onRetry={() => void list.refetch()} />
        ) : servers.length === 0 ? (
          <NoServers isFiltered={isFiltered} mayEnroll={mayEnroll} onClear={clear} />
        ) : (
          <ServerTable
            servers={servers}
            columns={columns}
            total={rowsExpected(totals, search.status, servers.length)}
            sort={search.sort ?? 'name'}
            onSort={(sort) => change({ sort: sort === 'name' ? undefined : sort })}
            onLabel={(label) => change({ label: toggleInList(search.label, label) })}
            onEnd={() => {
              if (list.hasNextPage && !list.isFetchingNextPage) void list.fetchNextPage();
            }}
          />
        )}
      </Panel>
    </Page>
  );
}

/** Follows the typing at once and the URL a moment later. */
function ServerSearch({ value, onChange }: { value: string; onChange: (value: string) => void }) {
  const [text, setText] = useState(value);
  const [sent, setSent] = useState(value);
  if (value !== sent) {
    // The URL changed by itself: a filter was cleared, or the back button pressed.
    setSent(value);
    setText(value);
  }
  useEffect(() => {
    if (text === sent) return;
    const timer = setTimeout(() => {
      setSent(text);
      onChange(text);
    }, TYPING_MS);
    return () => clearTimeout(timer);
  });
  return (
    <SearchInput
      isPageSearch
      label={t('servers.search')}
      value={text}
      onChange={setText}
      className="w-full sm:w-64"
    />
  );
}

const ALL = 'all';

/** Only where there is a choice. A project that cannot be named (any more) can be let go of even so. */
function ProjectFilter({
  chosen,
  onChoose,
}: {
  chosen: string | undefined;
  onChoose: (project: string | undefined) => void;
}) {
  const projects = useProjects();
  const isKnown = projects.some((project) => project.id === chosen);
  if (projects.length === 0 && chosen === undefined) return null;
  return (
    <div className="w-full sm:w-44">
      <Select
        label={t('projects.of_project')}
        value={chosen ?? ALL}
        options={[
          { value: ALL, label: t('projects.all') },
          ...projects.map(({ id, name }) => ({ value: id, label: name })),
          ...(chosen === undefined || isKnown ? [] : [{ value: chosen, label: shortId(chosen) }]),
        ]}
        onChange={(project) => onChoose(project === ALL ? undefined : project)}
      />
    </div>
  );
}

interface StatusFilterProps {
  chosen: string | undefined;
  totals: ServerTotals | undefined;
  onToggle: (status: ServerStatus) => void;
}

function StatusFilter({ chosen, totals, onToggle }: StatusFilterProps) {
  const shown = SERVER_STATUSES.filter(
    (status) =>
      ['online', 'suspect', 'offline'].includes(status) ||
      (totals?.[status] ?? 0) > 0 ||
      splitList(chosen).includes(status),
  );
  const tones = {
    ok: 'text-ok',
    warn: 'text-warn',
    bad: 'text-bad',
    idle: 'text-idle',
    accent: 'text-accent',
  };
  return (
    <fieldset aria-label={t('servers.filter_status')} className="flex flex-wrap gap-1">
      {shown.map((status) => {
        const { icon: Icon, tone } = serverSigns[status];
        return (
          <button
            key={status}
            type="button"
            aria-pressed={splitList(chosen).includes(status)}
            onClick={() => onToggle(status)}
            className="flex h-8 items-center gap-1.5 rounded-md border px-2.5 text-fg-2 text-xs transition-colors hover:border-line-strong hover:text-fg aria-pressed:border-accent aria-pressed:bg-accent-soft aria-pressed:text-fg pointer-coarse:h-9"
          >
            <Icon aria-hidden className={cx('size-3.5', tones[tone])} />
            {t(`status.server.${status}`)}
            <span className="tabular font-medium text-fg">{totals ? count(totals[status]) : '–'}</span>
          </button>
        );
      })}
    </fieldset>
  );
}

function NoServers({
  isFiltered,
  mayEnroll,
  onClear,
}: {
  isFiltered: boolean;
  mayEnroll: boolean;
  onClear: () => void;
}) {
  if (isFiltered) {
    return (
      <Empty
        icon={ServerIcon}
        title={t('servers.none_match_title')}
        action={<Button onClick={onClear}>{t('servers.clear_filters')}</Button>}
      >
        {t('servers.none_match_body')}
      </Empty>
    );
  }
  return (
    <Empty
      icon={ServerIcon}
      title={t('servers.none_title')}
      action={
        mayEnroll && (
          <ButtonLink to="/servers/new" tone="primary" icon={Plus}>
            {t('shell.add_server')}
          </ButtonLink>
        )
      }
    >
      {t('servers.none_body')}
    </Empty>
  );
}

function defaultHidden(): string {
  return serverColumns
    .filter((column) => !column.byDefault)
    .map((column) => column.id)
    .join(',');
}

function sum(totals: ServerTotals): number {
  return SERVER_STATUSES.reduce((all, status) => all + totals[status], 0);
}

/** How many rows there will be when all pages are loaded. */
function rowsExpected(totals: ServerTotals | undefined, status: string | undefined, loaded: number): number {
  if (!totals) return loaded;
  const chosen = splitList(status);
  const expected = SERVER_STATUSES.filter((one) => chosen.length === 0 || chosen.includes(one)).reduce(
    (all, one) => all + totals[one],
    0,
  );
  return Math.max(loaded, expected);
}
