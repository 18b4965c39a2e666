import { useQuery } from '@tanstack/react-query';
import { useRouterState } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import { installationQuery } from '@/features/installation/data';
import { t } from '@/i18n';
import { Page } from '@/kit/page';
import { type TabLink, TabLinks } from '@/kit/tabs';
import { WORKSPACE } from './rights';
import { useMay } from './session';
import '@/i18n/lazy/settings';

interface SettingsFrameProps {
  /** Of the tab that is open, for the browser's own. */
  title: string;
  actions?: ReactNode;
  width?: 'full' | 'reading';
  children: ReactNode;
}

/** The heading and tabs of everything under `/settings`. */
export function SettingsFrame({ title, actions, width = 'reading', children }: SettingsFrameProps) {
  const path = useRouterState({ select: (state) => state.location.pathname });
  const mayManage = useMay('workspace.manage', WORKSPACE);
  const mayWebhooks = useMay('webhooks.manage', WORKSPACE);
  const runsHub = useRunsHub();
  const tab = (
    to: '/settings' | '/settings/webhooks' | '/settings/deliveries' | '/settings/hub',
    label: string,
  ) => ({
    link: { to },
    label,
    active: to === '/settings' ? path === to : path === to || path.startsWith(`${to}/`),
  });
  const tabs: TabLink[] = [
    ...(mayManage ? [tab('/settings', t('settings.tab.workspace'))] : []),
    ...(mayWebhooks ? [tab('/settings/webhooks', t('settings.tab.webhooks'))] : []),
    ...(mayWebhooks ? [tab('/settings/deliveries', t('settings.tab.deliveries'))] : []),
    ...(runsHub ? [tab('/settings/hub', t('settings.tab.hub'))] : []),
  ];
  return (
    <Page
      title={t('settings.main')}
      documentTitle={`${title} · ${t('settings.main')}`}
      actions={actions}
      below={tabs.length > 1 && <TabLinks label={t('settings.tab.label')} tabs={tabs} />}
      width={width}
    >
      {children}
    </Page>
  );
}

/**
 * Whether this person runs the hub. Owners of every workspace hold `hub.manage`, but it counts in the hub's first one
 * only, and which that is the hub alone knows.
 */
export function useRunsHub(): boolean {
  const holds = useMay('hub.manage', WORKSPACE);
  const installation = useQuery({ ...installationQuery, enabled: holds });
  return holds && installation.data !== undefined;
}
