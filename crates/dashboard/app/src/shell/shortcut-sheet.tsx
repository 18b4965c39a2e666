import type { Held } from '@/api/types';
import { t } from '@/i18n';
import { Dialog } from '@/kit/dialog';
import { Kbd, modKey } from '@/kit/kbd';
import { destinationsOf } from './navigation';
import { mayDo } from './rights';
import { useGrants } from './session';

type Row = readonly [keys: string, text: string];

/** The keys that lead somewhere for this person. */
function groupsFor(grants: readonly Held[]): readonly { title: string; rows: readonly Row[] }[] {
  const words: Record<string, string> = {
    '/': t('shell.shortcuts.overview'),
    '/servers': t('shell.shortcuts.servers'),
    '/jobs': t('shell.shortcuts.jobs'),
    '/batches': t('shell.shortcuts.batches'),
    '/projects': t('shell.shortcuts.projects'),
    '/team': t('shell.shortcuts.team'),
    '/audit': t('shell.shortcuts.audit'),
    '/settings': t('shell.shortcuts.settings'),
    '/settings/webhooks': t('shell.shortcuts.settings'),
    '/settings/hub': t('shell.shortcuts.settings'),
    '/account': t('shell.shortcuts.account'),
  };
  return [
    {
      title: t('shell.shortcuts.group_general'),
      rows: [
        [`${modKey} K`, t('shell.shortcuts.palette')],
        ['/', t('shell.shortcuts.search')],
        ...(mayDo(grants, 'servers.enroll') ? [['n', t('shell.shortcuts.new_server')] as const] : []),
        ...(mayDo(grants, 'servers.exec') ? [['r', t('shell.shortcuts.run')] as const] : []),
        ['?', t('shell.shortcuts.sheet')],
        ['Esc', t('shell.shortcuts.close')],
      ],
    },
    {
      title: t('shell.shortcuts.group_go'),
      rows: destinationsOf(grants).map(({ to, key, label }) => [`g ${key}`, words[to] ?? label] as const),
    },
    {
      title: t('shell.shortcuts.group_lists'),
      rows: [
        ['↓ ↑', t('shell.shortcuts.rows')],
        ['Enter', t('shell.shortcuts.open_row')],
      ],
    },
  ];
}

export function ShortcutSheet({ open, onClose }: { open: boolean; onClose: () => void }) {
  const groups = groupsFor(useGrants());
  return (
    <Dialog open={open} onClose={onClose} title={t('shell.shortcuts.title')} width="lg">
      <div className="grid gap-x-10 gap-y-6 sm:grid-cols-2">
        {groups.map((group) => (
          <section key={group.title}>
            <h3 className="mb-1 font-medium text-fg-3 text-xs">{group.title}</h3>
            <dl className="divide-y">
              {group.rows.map(([keys, text]) => (
                <div key={keys} className="flex h-8 items-center justify-between gap-4 text-sm">
                  <dt>{text}</dt>
                  <dd>
                    <Kbd keys={keys} />
                  </dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
    </Dialog>
  );
}
