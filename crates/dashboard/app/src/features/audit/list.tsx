import { useNavigate, useSearch } from '@tanstack/react-router';
import { X } from 'lucide-react';
import { t } from '@/i18n';
import { Button } from '@/kit/button';
import { shortId } from '@/kit/format';
import { Page } from '@/kit/page';
import type { AuditSearch } from './search';
import { AuditTable } from './table';

export function AuditPage() {
  const search = useSearch({ from: '/inside/audit' });
  const navigate = useNavigate({ from: '/audit' });
  const change = (next: AuditSearch) =>
    void navigate({ search: (before) => ({ ...before, ...next }), replace: true });
  return (
    <Page title={t('audit.title')} description={t('audit.body')}>
      {(search.action || search.actor) && (
        <div className="mb-3 flex flex-wrap gap-2">
          {search.action && (
            <Button size="sm" onClick={() => change({ action: undefined })}>
              {search.action}
              <X aria-label={t('common.remove')} className="size-3" />
            </Button>
          )}
          {search.actor && (
            <Button size="sm" onClick={() => change({ actor: undefined })}>
              {t('audit.by', { id: shortId(search.actor) })}
              <X aria-label={t('common.remove')} className="size-3" />
            </Button>
          )}
        </div>
      )}
      <AuditTable
        filter={{ action: search.action, actor_id: search.actor }}
        onActor={(actor) => change({ actor })}
        onAction={(action) => change({ action })}
      />
    </Page>
  );
}
