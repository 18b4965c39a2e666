import { useQueryClient } from '@tanstack/react-query';
import { Link, Outlet, useNavigate, useRouterState } from '@tanstack/react-router';
import { BookOpen, Ellipsis, Keyboard, LogOut, Monitor, Moon, Search, Sun, UserRound } from 'lucide-react';
import { lazy, type ReactElement, Suspense, useEffect, useState } from 'react';
import { api, checked } from '@/api/client';
import { toApiError } from '@/api/error';
import type { Session } from '@/api/types';
import { t } from '@/i18n';
import { Kbd, modKey } from '@/kit/kbd';
import { Menu, MenuChoice, MenuHeading, MenuItem, MenuSeparator } from '@/kit/menu';
import { Notice } from '@/kit/states';
import { Toasts, toast } from '@/kit/toast';
import { Avatar } from './avatar';
import { ConnectionBadge } from './connection-badge';
import { startLive } from './live';
import { Logo } from './logo';
import { type Destination, destinationsOf } from './navigation';
import { oidcErrorIn } from './oidc-error';
import { mayDo } from './rights';
import { sessionQuery, useSession, workspaceOf } from './session';
import { useShortcuts } from './shortcuts';
import { StepUp } from './step-up';
import { useTheme } from './theme';
import { useWorkspaceSwitch, WorkspaceMenu } from './workspace';

const Palette = lazy(() => import('./palette').then((module) => ({ default: module.Palette })));
const ProviderReturn = lazy(() =>
  import('./provider-return').then((module) => ({ default: module.ProviderReturn })),
);
const ShortcutSheet = lazy(() =>
  import('./shortcut-sheet').then((module) => ({ default: module.ShortcutSheet })),
);

/** Everything around the pages of a signed-in person. */
export function Layout() {
  const session = useSession();
  const client = useQueryClient();
  const userId = session?.user.id;
  const grants = session?.grants ?? [];
  const mayFollow = mayDo(grants, 'events.read');
  useEffect(() => (userId && mayFollow ? startLive(client, userId) : undefined), [client, userId, mayFollow]);
  const [paletteOpen, setPaletteOpen] = useState(false);
  const [sheetOpen, setSheetOpen] = useState(false);
  // The hub's page that leads back here loads everything anew.
  const [returned] = useState(() => oidcErrorIn(window.location.hash));
  useShortcuts({
    openPalette: () => setPaletteOpen(true),
    openSheet: () => setSheetOpen(true),
    destinations: destinationsOf(grants),
    mayEnroll: mayDo(grants, 'servers.enroll'),
    mayExec: mayDo(grants, 'servers.exec'),
  });
  if (!session) return null;
  const openPalette = () => setPaletteOpen(true);
  const openSheet = () => setSheetOpen(true);
  return (
    <div className="flex min-h-dvh">
      <a
        href="#content"
        className="-translate-y-20 fixed top-2 left-2 z-50 rounded-md bg-accent px-3 py-2 text-accent-fg text-sm focus:translate-y-0"
      >
        {t('shell.skip')}
      </a>
      <Sidebar session={session} openPalette={openPalette} openSheet={openSheet} />
      <main id="content" tabIndex={-1} className="min-w-0 flex-1 outline-none">
        {session.totp_enrollment_required && (
          <div className="px-4 pt-4 md:px-8">
            <Notice>
              {t('auth.must_enroll')}{' '}
              <Link to="/account" className="underline">
                {t('auth.enroll')}
              </Link>
            </Notice>
          </div>
        )}
        <Outlet />
      </main>
      <BottomBar session={session} openPalette={openPalette} openSheet={openSheet} />
      <ConnectionBadge />
      <RouteAnnouncer />
      <StepUp />
      <Toasts />
      <Suspense>
        {returned && <ProviderReturn error={returned} />}
        {paletteOpen && <Palette open onClose={() => setPaletteOpen(false)} />}
        {sheetOpen && <ShortcutSheet open onClose={() => setSheetOpen(false)} />}
      </Suspense>
    </div>
  );
}

/** Tells screen readers which page came: a change of the address alone is silent. */
function RouteAnnouncer() {
  const path = useRouterState({ select: (state) => state.resolvedLocation?.pathname });
  const [title, setTitle] = useState('');
  useEffect(() => {
    void path;
    // The page sets its title in an effect of its own, after this one.
    const timer = setTimeout(() => setTitle(document.title), 200);
    return () => clearTimeout(timer);
  }, [path]);
  return (
    <p aria-live="polite" className="sr-only">
      {title}
    </p>
  );
}

interface BarProps {
  session: Session;
  openPalette: () => void;
  openSheet: () => void;
}

function useDestinations(session: Session) {
  const path = useRouterState({ select: (state) => state.location.pathname });
  return destinationsOf(session.grants).map((destination) => ({
    ...destination,
    active:
      destination.to === '/'
        ? path === '/'
        : isWithin(path, destination.to.startsWith('/settings') ? '/settings' : destination.to),
  }));
}

function isWithin(path: string, page: string): boolean {
  return path === page || path.startsWith(`${page}/`);
}

function Sidebar({ session, openPalette, openSheet }: BarProps) {
  const items = useDestinations(session);
  return (
    <aside className="sticky top-0 hidden h-dvh w-56 shrink-0 flex-col border-r px-3 py-4 md:flex">
      {session.workspaces.length > 1 ? (
        <WorkspaceMenu session={session} />
      ) : (
        <Link to="/" className="mb-4 flex items-center gap-2.5 rounded-md px-2">
          <Logo className="size-6 shrink-0" />
          <span className="min-w-0 truncate font-semibold text-base tracking-[-0.01em]">
            {workspaceOf(session)?.name ?? 'Roadstead'}
          </span>
        </Link>
      )}
      <button
        type="button"
        onClick={openPalette}
        className="mb-4 flex h-8 items-center gap-2 rounded-md border bg-surface px-2 text-fg-3 text-sm transition-colors hover:border-line-strong hover:text-fg-2"
      >
        <Search aria-hidden className="size-3.5" />
        <span className="flex-1 text-left">{t('shell.palette.open')}</span>
        <Kbd keys={`${modKey} K`} />
      </button>
      <nav aria-label={t('shell.main_navigation')} className="flex flex-col gap-0.5">
        {items
          .filter((item) => item.stands !== 'menu')
          .map(({ to, label, icon: Icon, active }) => (
            <Link
              key={to}
              to={to}
              aria-current={active ? 'page' : undefined}
              className="flex h-8 items-center gap-2.5 rounded-md px-2 font-medium text-fg-2 text-sm transition-colors hover:bg-hover hover:text-fg aria-[current]:bg-pressed aria-[current]:text-fg"
            >
              <Icon aria-hidden className="size-4 text-fg-3 in-aria-[current]:text-accent" />
              {label}
            </Link>
          ))}
      </nav>
      <div className="mt-auto">
        <AccountMenu session={session} openSheet={openSheet} side="top">
          <button
            type="button"
            className="flex h-11 w-full items-center gap-2.5 rounded-md px-2 text-left transition-colors hover:bg-hover"
          >
            <Avatar name={session.user.name} />
            <span className="min-w-0 flex-1">
              <span className="block truncate font-medium text-sm leading-4">{session.user.name}</span>
              <span className="block truncate text-2xs text-fg-3">{session.user.email}</span>
            </span>
            <Ellipsis aria-hidden className="size-4 text-fg-3" />
          </button>
        </AccountMenu>
      </div>
    </aside>
  );
}

function BottomBar({ session, openPalette, openSheet }: BarProps) {
  const items = useDestinations(session);
  const look =
    'flex flex-1 flex-col items-center justify-center gap-0.5 text-2xs text-fg-3 aria-[current]:text-accent';
  return (
    <nav
      aria-label={t('shell.main_navigation')}
      className="fixed inset-x-0 bottom-0 z-20 flex h-[calc(56px+env(safe-area-inset-bottom))] border-t bg-surface pb-[env(safe-area-inset-bottom)] md:hidden"
    >
      {items
        .filter((item) => item.stands === 'bar')
        .map(({ to, label, icon: Icon, active }) => (
          <Link key={to} to={to} aria-current={active ? 'page' : undefined} className={look}>
            <Icon aria-hidden className="size-5" />
            {label}
          </Link>
        ))}
      <AccountMenu
        session={session}
        openSheet={openSheet}
        openPalette={openPalette}
        pages={items.filter((item) => item.stands === 'side')}
        side="top"
      >
        <button type="button" className={look}>
          <Ellipsis aria-hidden className="size-5" />
          {t('common.more')}
        </button>
      </AccountMenu>
    </nav>
  );
}

interface AccountMenuProps {
  session: Session;
  openSheet: () => void;
  openPalette?: () => void;
  /** Pages that the bar has no room for. */
  pages?: readonly Destination[];
  side: 'top' | 'bottom';
  children: ReactElement<Record<string, unknown>>;
}

function AccountMenu({ session, openSheet, openPalette, pages = [], side, children }: AccountMenuProps) {
  const navigate = useNavigate();
  const client = useQueryClient();
  const [theme, setTheme] = useTheme();
  const switchTo = useWorkspaceSwitch(session);
  const signOut = async () => {
    try {
      await checked(api.POST('/v1/auth/logout'));
    } catch (thrown) {
      const error = toApiError(thrown);
      if (error.status !== 401) {
        toast.failed(error);
        return;
      }
    }
    client.removeQueries({ queryKey: sessionQuery.queryKey });
    await navigate({ to: '/sign-in' });
    client.clear();
  };
  return (
    <Menu trigger={children} side={side} align="start">
      {openPalette && (
        <MenuItem icon={Search} onSelect={openPalette}>
          {t('shell.palette.open')}
        </MenuItem>
      )}
      {pages.map(({ to, label, icon }) => (
        <MenuItem key={to} icon={icon} onSelect={() => void navigate({ to })}>
          {label}
        </MenuItem>
      ))}
      {pages.length > 0 && <MenuSeparator />}
      <MenuItem icon={UserRound} onSelect={() => void navigate({ to: '/account' })}>
        {t('shell.account')}
      </MenuItem>
      <MenuItem icon={Keyboard} hint="?" onSelect={openSheet}>
        {t('shell.shortcuts.title')}
      </MenuItem>
      <MenuItem icon={BookOpen} onSelect={() => window.open('/docs', '_blank', 'noopener')}>
        {t('shell.docs')}
      </MenuItem>
      {openPalette && session.workspaces.length > 1 && (
        <>
          <MenuSeparator />
          <MenuHeading>{t('shell.workspace.label')}</MenuHeading>
          <MenuChoice
            label={t('shell.workspace.label')}
            value={session.workspace_id}
            onChange={switchTo}
            options={session.workspaces.map(({ id, name }) => ({ value: id, label: name }))}
          />
        </>
      )}
      <MenuSeparator />
      <MenuHeading>{t('shell.theme.label')}</MenuHeading>
      <MenuChoice
        label={t('shell.theme.label')}
        value={theme}
        onChange={setTheme}
        options={[
          { value: 'light', label: t('shell.theme.light'), icon: Sun },
          { value: 'dark', label: t('shell.theme.dark'), icon: Moon },
          { value: 'system', label: t('shell.theme.system'), icon: Monitor },
        ]}
      />
      <MenuSeparator />
      <MenuItem icon={LogOut} onSelect={() => void signOut()}>
        {t('shell.sign_out')}
      </MenuItem>
    </Menu>
  );
}
