import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { toApiError } from '@/api/error';
import { memberQuery } from '@/features/team/data';
import { LeaveWorkspace } from '@/features/team/leave';
import { knownGrantInWords } from '@/features/team/words';
import { t } from '@/i18n';
import { Button } from '@/kit/button';
import { Panel, Section } from '@/kit/page';
import { ErrorState, LoadingRows } from '@/kit/states';
import { useSession, workspaceOf } from '@/shell/session';

/** What this person holds in the workspace that the session acts in, and the way out of it. */
export function Membership() {
  const session = useSession();
  const me = useQuery({ ...memberQuery(session?.user.id ?? ''), enabled: session !== undefined });
  const [leaving, setLeaving] = useState(false);
  if (!session) return null;
  return (
    <Section
      title={workspaceOf(session)?.name ?? t('shell.workspace.label')}
      description={t('account.membership_body')}
      actions={<Button onClick={() => setLeaving(true)}>{t('team.leave')}</Button>}
    >
      <Panel>
        {me.isPending ? (
          <LoadingRows rows={1} />
        ) : me.isError ? (
          <ErrorState error={toApiError(me.error)} onRetry={() => void me.refetch()} />
        ) : me.data.grants.length === 0 ? (
          <p className="px-4 py-3 text-fg-2 text-sm">{t('account.membership_none')}</p>
        ) : (
          <ul className="divide-y">
            {me.data.grants.map((grant) => (
              <li key={grant.id} className="px-4 py-2.5 text-sm">
                {knownGrantInWords(grant)}
              </li>
            ))}
          </ul>
        )}
      </Panel>
      <LeaveWorkspace open={leaving} onClose={() => setLeaving(false)} />
    </Section>
  );
}
