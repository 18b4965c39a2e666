import { SquareTerminal } from 'lucide-react';
import { t } from '@/i18n';
import { ButtonLink } from '@/kit/button';
import { Page } from '@/kit/page';
import { useMay } from '@/shell/session';
import { JobList } from './job-list';

export function JobsPage() {
  const mayExec = useMay('servers.exec');
  return (
    <Page
      title={t('jobs.title')}
      description={t('jobs.body')}
      actions={
        mayExec && (
          <ButtonLink to="/jobs/new" tone="primary" icon={SquareTerminal}>
            {t('shell.run_command')}
          </ButtonLink>
        )
      }
    >
      <JobList from="/inside/jobs" />
    </Page>
  );
}
