import { useMutation } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { Download, ShieldCheck } from 'lucide-react';
import { useState } from 'react';
import type { ApiError } from '@/api/error';
import type { AuditVerification } from '@/api/types';
import { t } from '@/i18n';
import { Button } from '@/kit/button';
import { Page } from '@/kit/page';
import { NoPermission } from '@/kit/states';
import { WORKSPACE } from '@/shell/rights';
import { useMay } from '@/shell/session';
import { ChainState } from './chain';
import { verifyChain } from './data';
import { ExportDialog } from './export';
import { AuditFilters } from './filters';
import type { AuditSearch } from './search';
import { AuditTable } from './table';

export function AuditPage() {
  const search = useSearch({ from: '/inside/audit' });
  const navigate = useNavigate({ from: '/audit' });
  const mayRead = useMay('audit.read');
  const mayReadAll = useMay('audit.read', WORKSPACE);
  const [exporting, setExporting] = useState(false);
  const verify = useMutation<AuditVerification, ApiError>({ mutationFn: verifyChain });
  if (!mayRead) return <NoPermission missing={['audit.read']} />;
  const change = (next: AuditSearch) =>
    void navigate({ search: (before) => ({ ...before, ...next }), replace: true });
  return (
    <Page
      title={t('audit.title')}
      description={t('audit.body')}
      actions={
        mayReadAll && (
          <>
            <Button icon={ShieldCheck} busy={verify.isPending} onClick={() => verify.mutate()}>
              {t('audit.chain.check')}
            </Button>
            <Button icon={Download} onClick={() => setExporting(true)}>
              {t('audit.export.action')}
            </Button>
          </>
        )
      }
    >
      <ChainState result={verify.data} error={verify.error} onClose={verify.reset} />
      <AuditFilters
        search={search}
        onChange={change}
        onClear={() => void navigate({ search: {}, replace: true })}
      />
      <AuditTable
        search={search}
        onActor={(actor) => change({ actor })}
        onAction={(action) => change({ action })}
        onClear={() => void navigate({ search: {}, replace: true })}
      />
      <ExportDialog search={search} open={exporting} onClose={() => setExporting(false)} />
    </Page>
  );
}
