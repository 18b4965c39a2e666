import { KeyRound, RefreshCw } from 'lucide-react';
import { useState } from 'react';
import type { ServerDetail } from '@/api/types';
import { t } from '@/i18n';
import { Button } from '@/kit/button';
import { ConfirmDialog } from '@/kit/dialog';
import { Panel, Section } from '@/kit/page';
import { Notice } from '@/kit/states';
import { Time } from '@/kit/time';
import { toast } from '@/kit/toast';
import { useLive } from '@/shell/live';
import { placeOf } from '@/shell/rights';
import { useMay } from '@/shell/session';
import { useTrustActions } from './data';

/** The credential with which the agent connects, and its renewal. */
export function AgentToken({ server }: { server: ServerDetail }) {
  const mayManage = useMay('servers.manage', placeOf(server));
  const { status } = useLive(server);
  const { rotate } = useTrustActions(server);
  const [asking, setAsking] = useState(false);
  const token = server.token;
  if (!token) return null;
  const confirm = () =>
    rotate.mutate(undefined, {
      onSuccess: () => {
        setAsking(false);
        toast.done(t('policy.token.started'));
      },
    });
  return (
    <Section title={t('policy.token.title')} description={t('policy.token.body')}>
      <Panel>
        <div className="flex flex-wrap items-center gap-3 px-4 py-3 text-sm">
          <KeyRound aria-hidden className="size-4 shrink-0 text-fg-3" />
          <p className="min-w-0 flex-1">
            {t('policy.token.issued')} <Time at={token.issued_at} />
          </p>
          {mayManage && !token.rotation && status !== 'revoked' && (
            <Button size="sm" onClick={() => setAsking(true)}>
              {t('policy.token.rotate')}
            </Button>
          )}
        </div>
      </Panel>
      {token.rotation && (
        <div className="mt-3">
          <Notice icon={RefreshCw} tone="idle">
            <p className="font-medium">
              {t('policy.token.under_way')} <Time at={token.rotation.started_at} />
            </p>
            <p>{status === 'online' ? t('policy.token.overlap') : t('policy.token.overlap_offline')}</p>
          </Notice>
        </div>
      )}
      <ConfirmDialog
        open={asking}
        onClose={() => setAsking(false)}
        title={t('policy.token.rotate_title', { name: server.name })}
        action={t('policy.token.rotate')}
        tone="primary"
        busy={rotate.isPending}
        error={rotate.error}
        onConfirm={confirm}
      >
        <p>{t('policy.token.rotate_body')}</p>
      </ConfirmDialog>
    </Section>
  );
}
