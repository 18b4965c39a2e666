import { t } from '@/i18n';
import { Dialog } from '@/kit/dialog';
import { Kbd, modKey } from '@/kit/kbd';

const groups = [
  {
    title: t('shell.shortcuts.group_general'),
    rows: [
      [`${modKey} K`, t('shell.shortcuts.palette')],
      ['/', t('shell.shortcuts.search')],
      ['n', t('shell.shortcuts.new_server')],
      ['r', t('shell.shortcuts.run')],
      ['?', t('shell.shortcuts.sheet')],
      ['Esc', t('shell.shortcuts.close')],
    ],
  },
  {
    title: t('shell.shortcuts.group_go'),
    rows: [
      ['g o', t('shell.shortcuts.overview')],
      ['g s', t('shell.shortcuts.servers')],
      ['g j', t('shell.shortcuts.jobs')],
      ['g b', t('shell.shortcuts.batches')],
      ['g p', t('shell.shortcuts.projects')],
      ['g t', t('shell.shortcuts.team')],
      ['g a', t('shell.shortcuts.audit')],
      ['g u', t('shell.shortcuts.account')],
    ],
  },
  {
    title: t('shell.shortcuts.group_lists'),
    rows: [
      ['↓ ↑', t('shell.shortcuts.rows')],
      ['Enter', t('shell.shortcuts.open_row')],
    ],
  },
] as const;

export function ShortcutSheet({ open, onClose }: { open: boolean; onClose: () => void }) {
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
