import { Gauge, Layers, type LucideIcon, ScrollText, Server, SquareTerminal, UserRound } from 'lucide-react';
import { t } from '@/i18n';
import type { Permission } from './session';

export interface Destination {
  to: '/' | '/servers' | '/jobs' | '/batches' | '/audit' | '/account';
  label: string;
  icon: LucideIcon;
  /** Second key of the `g …` sequence. */
  key: string;
  needs: Permission | null;
  /** Whether it stands in the bars; the others are in menus and the palette. */
  inBar: boolean;
}

export const destinations: readonly Destination[] = [
  { to: '/', label: t('shell.overview'), icon: Gauge, key: 'o', needs: null, inBar: true },
  { to: '/servers', label: t('shell.servers'), icon: Server, key: 's', needs: 'servers.read', inBar: true },
  { to: '/jobs', label: t('shell.jobs'), icon: SquareTerminal, key: 'j', needs: 'jobs.read', inBar: true },
  { to: '/batches', label: t('shell.batches'), icon: Layers, key: 'b', needs: 'jobs.read', inBar: true },
  { to: '/audit', label: t('shell.audit'), icon: ScrollText, key: 'a', needs: 'audit.read', inBar: true },
  { to: '/account', label: t('shell.account'), icon: UserRound, key: 'u', needs: null, inBar: false },
];
