import {
  FolderClosed,
  Gauge,
  Layers,
  type LucideIcon,
  ScrollText,
  Server,
  Settings,
  SquareTerminal,
  UserRound,
  Users,
} from 'lucide-react';
import type { Held } from '@/api/types';
import { t } from '@/i18n';
import { mayDo, onlyServer, type Permission, type Place, WORKSPACE } from './rights';

/** The first page of the settings that one may see. */
type SettingsPath = '/settings' | '/settings/webhooks' | '/settings/hub';

export interface Destination {
  to: '/' | '/servers' | '/jobs' | '/batches' | '/projects' | '/team' | '/audit' | SettingsPath | '/account';
  label: string;
  icon: LucideIcon;
  /** Second key of the `g …` sequence. */
  key: string;
  needs: Permission | null;
  /** Where it is needed; somewhere by default. */
  at?: Place;
  /** `bar`: on a phone too; `side`: there it is in the menu; `menu`: in menus and the palette only. */
  stands: 'bar' | 'side' | 'menu';
}

const all: readonly Destination[] = [
  { to: '/', label: t('shell.overview'), icon: Gauge, key: 'o', needs: null, stands: 'bar' },
  {
    to: '/servers',
    label: t('shell.servers'),
    icon: Server,
    key: 's',
    needs: 'servers.read',
    stands: 'bar',
  },
  { to: '/jobs', label: t('shell.jobs'), icon: SquareTerminal, key: 'j', needs: 'jobs.read', stands: 'bar' },
  { to: '/batches', label: t('shell.batches'), icon: Layers, key: 'b', needs: 'jobs.read', stands: 'bar' },
  {
    to: '/projects',
    label: t('shell.projects'),
    icon: FolderClosed,
    key: 'p',
    needs: 'projects.read',
    stands: 'side',
  },
  {
    to: '/team',
    label: t('shell.team'),
    icon: Users,
    key: 't',
    needs: 'members.read',
    at: WORKSPACE,
    stands: 'side',
  },
  { to: '/audit', label: t('shell.audit'), icon: ScrollText, key: 'a', needs: 'audit.read', stands: 'side' },
  ...(
    [
      ['/settings', 'workspace.manage'],
      ['/settings/webhooks', 'webhooks.manage'],
      ['/settings/hub', 'hub.manage'],
    ] as const
  ).map(([to, needs]) => ({
    to,
    label: t('shell.settings'),
    icon: Settings,
    key: ',',
    needs,
    at: WORKSPACE,
    stands: 'side' as const,
  })),
  { to: '/account', label: t('shell.account'), icon: UserRound, key: 'u', needs: null, stands: 'menu' },
];

/** Where somebody may go. To whom one server is everything, its page is the overview. */
export function destinationsOf(grants: readonly Held[]): readonly Destination[] {
  const open = all.filter(({ to, needs, at }) => {
    if (to === '/') return grants.length === 0 || (onlyServer(grants) === null && seesAnything(grants));
    return needs === null || mayDo(grants, needs, at);
  });
  return open.filter(({ key }, index) => open.findIndex((one) => one.key === key) === index);
}

function seesAnything(grants: readonly Held[]): boolean {
  return mayDo(grants, 'servers.read') || mayDo(grants, 'jobs.read');
}
