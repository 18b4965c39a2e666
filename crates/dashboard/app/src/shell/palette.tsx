import { Dialog as Base } from '@base-ui/react/dialog';
import { useQuery } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import {
  CornerDownLeft,
  FolderPlus,
  type LucideIcon,
  Monitor,
  Moon,
  Plus,
  Search,
  Server,
  SquareTerminal,
  Sun,
  UserRoundPlus,
} from 'lucide-react';
import { type KeyboardEvent, useDeferredValue, useId, useState } from 'react';
import { api, unwrap } from '@/api/client';
import { keys } from '@/api/keys';
import { t } from '@/i18n';
import { cx } from '@/kit/cx';
import { readPreference, writePreference } from '@/kit/preference';
import { destinationsOf } from './navigation';
import { mayDo, onlyServer, type Permission, type Place, WORKSPACE } from './rights';
import { useGrants } from './session';
import { useTheme } from './theme';

interface Entry {
  id: string;
  group: string;
  text: string;
  icon: LucideIcon;
  run: () => void;
}

const MOST_SERVERS = 8;
const MOST_RECENT = 5;

export function Palette({ open, onClose }: { open: boolean; onClose: () => void }) {
  return (
    <Base.Root open={open} onOpenChange={(next) => !next && onClose()}>
      <Base.Portal>
        <Base.Backdrop className="fixed inset-0 z-40 bg-(--backdrop) transition-opacity duration-100 data-ending-style:opacity-0 data-starting-style:opacity-0" />
        <Base.Popup
          aria-label={t('shell.palette.title')}
          className="popup fixed inset-x-3 top-[10dvh] z-40 mx-auto flex max-h-[70dvh] max-w-xl flex-col overflow-hidden rounded-xl"
        >
          {open && <PaletteBody onClose={onClose} />}
        </Base.Popup>
      </Base.Portal>
    </Base.Root>
  );
}

function PaletteBody({ onClose }: { onClose: () => void }) {
  const [query, setQuery] = useState('');
  const [marked, setMarked] = useState(0);
  const listId = useId();
  const entries = useEntries(query);
  const at = Math.min(marked, entries.length - 1);

  const run = (entry: Entry | undefined) => {
    if (!entry) return;
    remember(entry.id);
    onClose();
    entry.run();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const by = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0;
    if (by !== 0 && entries.length > 0) {
      event.preventDefault();
      const next = (at + by + entries.length) % entries.length;
      setMarked(next);
      document.getElementById(`${listId}-${next}`)?.scrollIntoView({ block: 'nearest' });
    }
    if (event.key === 'Enter') {
      event.preventDefault();
      run(entries[at]);
    }
  };

  return (
    <>
      <div className="flex items-center gap-3 border-b px-4">
        <Search aria-hidden className="size-4 shrink-0 text-fg-3" />
        <input
          role="combobox"
          aria-expanded
          aria-controls={listId}
          aria-activedescendant={entries[at] ? `${listId}-${at}` : undefined}
          aria-label={t('shell.palette.placeholder')}
          placeholder={t('shell.palette.placeholder')}
          value={query}
          autoComplete="off"
          spellCheck={false}
          onChange={(event) => {
            setQuery(event.target.value);
            setMarked(0);
          }}
          onKeyDown={onKeyDown}
          className="h-12 w-full bg-transparent text-base outline-none placeholder:text-fg-3 pointer-coarse:text-lg"
        />
      </div>
      <div id={listId} role="listbox" aria-label={t('shell.palette.results')} className="overflow-y-auto p-2">
        {entries.map((entry, index) => (
          <div key={`${entry.group}/${entry.id}`} role="presentation">
            {entry.group !== entries[index - 1]?.group && (
              <div role="presentation" className="px-2 pt-2 pb-1 text-fg-3 text-xs">
                {entry.group}
              </div>
            )}
            {/* biome-ignore lint/a11y/useKeyWithClickEvents: the keys are the field's, which stays focused */}
            <div
              id={`${listId}-${index}`}
              role="option"
              tabIndex={-1}
              aria-selected={index === at}
              onClick={() => run(entry)}
              onPointerMove={() => setMarked(index)}
              className={cx(
                'flex h-9 items-center gap-3 rounded-md px-2 text-sm',
                index === at && 'bg-hover',
              )}
            >
              <entry.icon aria-hidden className="size-4 shrink-0 text-fg-3" />
              <span className="truncate">{entry.text}</span>
              {index === at && <CornerDownLeft aria-hidden className="ml-auto size-3.5 shrink-0 text-fg-3" />}
            </div>
          </div>
        ))}
      </div>
      {entries.length === 0 && (
        <p className="px-4 pt-2 pb-8 text-center text-fg-2 text-sm">{t('shell.palette.empty', { query })}</p>
      )}
    </>
  );
}

function useEntries(query: string): Entry[] {
  const navigate = useNavigate();
  const grants = useGrants();
  const may = (permission: Permission, place?: Place) => mayDo(grants, permission, place);
  const [, setTheme] = useTheme();
  const needle = query.trim().toLowerCase();
  const asked = useDeferredValue(needle);
  const { data: found } = useQuery({
    queryKey: [...keys.servers(), 'palette', asked],
    queryFn: ({ signal }) =>
      unwrap(
        api.GET('/v1/servers', {
          params: { query: { q: asked || undefined, limit: MOST_SERVERS, sort: 'name' } },
          signal,
        }),
      ),
    enabled: may('servers.read'),
    placeholderData: (before) => before,
  });

  const pages: Entry[] = destinationsOf(grants)
    // A list of one server stands in the palette already.
    .filter((destination) => destination.to !== '/servers' || onlyServer(grants) === null)
    .map((destination) => ({
      id: `page:${destination.to}`,
      group: t('shell.palette.pages'),
      text: destination.label,
      icon: destination.icon,
      run: () => void navigate({ to: destination.to }),
    }));
  const group = t('shell.palette.actions');
  const actions: Entry[] = [];
  if (may('servers.enroll')) {
    actions.push({
      id: 'new-server',
      group,
      text: t('shell.add_server'),
      icon: Plus,
      run: () => void navigate({ to: '/servers/new' }),
    });
  }
  if (may('servers.exec')) {
    actions.push({
      id: 'run',
      group,
      text: t('shell.run_command'),
      icon: SquareTerminal,
      run: () => void navigate({ to: '/jobs/new' }),
    });
  }
  if (may('members.manage', WORKSPACE) && may('members.read', WORKSPACE)) {
    actions.push({
      id: 'invite',
      group,
      text: t('team.invite.action'),
      icon: UserRoundPlus,
      run: () => void navigate({ to: '/team', search: { open: 'invite' } }),
    });
  }
  if (may('projects.manage', WORKSPACE)) {
    actions.push({
      id: 'new-project',
      group,
      text: t('projects.create'),
      icon: FolderPlus,
      run: () => void navigate({ to: '/projects', search: { open: 'create' } }),
    });
  }
  const themes = [
    ['light', Sun],
    ['dark', Moon],
    ['system', Monitor],
  ] as const;
  for (const [choice, icon] of themes) {
    const text = t('shell.palette.theme', { theme: t(`shell.theme.${choice}`) });
    actions.push({ id: `theme:${choice}`, group, text, icon, run: () => setTheme(choice) });
  }
  const servers: Entry[] = (found?.data ?? []).map((server) => ({
    id: `server:${server.id}`,
    group: t('shell.palette.servers'),
    text: server.name,
    icon: Server,
    run: () => void navigate({ to: '/servers/$serverId', params: { serverId: server.id } }),
  }));

  const all = [...servers, ...pages, ...actions];
  if (needle !== '') {
    return all.filter((entry) => entry.text.toLowerCase().includes(needle)).slice(0, 30);
  }
  const recent = recentIds().flatMap((id) => {
    const entry = all.find((candidate) => candidate.id === id);
    return entry ? [{ ...entry, group: t('shell.palette.recent') }] : [];
  });
  return [...recent, ...all.filter((entry) => !recent.some((known) => known.id === entry.id))];
}

function recentIds(): string[] {
  return (readPreference('palette.recent') ?? '').split(' ').filter(Boolean);
}

function remember(id: string): void {
  const next = [id, ...recentIds().filter((known) => known !== id)].slice(0, MOST_RECENT);
  writePreference('palette.recent', next.join(' '));
}
