import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Monitor } from 'lucide-react';
import { useState } from 'react';
import { api, checked, unwrap } from '@/api/client';
import { type ApiError, toApiError } from '@/api/error';
import { keys } from '@/api/keys';
import type { AccountSession } from '@/api/types';
import { t } from '@/i18n';
import { Button } from '@/kit/button';
import { ConfirmDialog } from '@/kit/dialog';
import { Panel, Section } from '@/kit/page';
import { ErrorState, LoadingRows } from '@/kit/states';
import { Badge } from '@/kit/status';
import { Time } from '@/kit/time';
import { toast } from '@/kit/toast';
import { deviceOf } from './device';
import '@/i18n/lazy/factors';

/** Where this person is signed in, and the way to end that. */
export function Sessions() {
  const client = useQueryClient();
  const [asking, setAsking] = useState(false);
  const sessions = useQuery({
    queryKey: keys.sessions(),
    queryFn: ({ signal }) =>
      unwrap(api.GET('/v1/account/sessions', { params: { query: { limit: 100 } }, signal })),
    staleTime: 0,
  });
  const revoke = useMutation<unknown, ApiError, string>({
    mutationFn: (id) => checked(api.DELETE('/v1/account/sessions/{id}', { params: { path: { id } } })),
    onSuccess: () => client.invalidateQueries({ queryKey: keys.sessions() }),
    onError: (error) => toast.failed(error),
  });
  const endOthers = useMutation<unknown, ApiError>({
    mutationFn: () => checked(api.DELETE('/v1/account/sessions')),
    onSuccess: () => {
      setAsking(false);
      toast.done(t('factors.account.sessions_ended'));
      void client.invalidateQueries({ queryKey: keys.sessions() });
    },
  });
  const hasOthers = sessions.data?.data.some((one) => !one.current) ?? false;
  return (
    <Section
      title={t('account.sessions')}
      description={t('account.sessions_body')}
      actions={
        hasOthers && (
          <Button
            onClick={() => {
              endOthers.reset();
              setAsking(true);
            }}
          >
            {t('factors.account.sessions_end')}
          </Button>
        )
      }
    >
      <Panel>
        {sessions.isPending ? (
          <LoadingRows rows={2} />
        ) : sessions.isError ? (
          <ErrorState error={toApiError(sessions.error)} onRetry={() => void sessions.refetch()} />
        ) : (
          <ul aria-label={t('account.sessions')} className="divide-y">
            {sessions.data.data.map((one) => (
              <SessionRow
                key={one.id}
                session={one}
                busy={revoke.isPending && revoke.variables === one.id}
                onRevoke={() => revoke.mutate(one.id)}
              />
            ))}
          </ul>
        )}
      </Panel>
      <ConfirmDialog
        open={asking}
        onClose={() => setAsking(false)}
        title={t('factors.account.sessions_end_title')}
        action={t('factors.account.sessions_end')}
        busy={endOthers.isPending}
        error={endOthers.error}
        onConfirm={() => endOthers.mutate()}
      >
        <p>{t('factors.account.sessions_end_body')}</p>
      </ConfirmDialog>
    </Section>
  );
}

function SessionRow({
  session,
  busy,
  onRevoke,
}: {
  session: AccountSession;
  busy: boolean;
  onRevoke: () => void;
}) {
  return (
    <li className="flex items-center gap-3 px-4 py-3 text-sm">
      <Monitor aria-hidden className="size-4 shrink-0 text-fg-3" />
      <div className="min-w-0 flex-1">
        <p className="flex items-center gap-2">
          <span className="truncate font-medium" title={session.user_agent ?? undefined}>
            {deviceOf(session.user_agent ?? null)}
          </span>
          {session.current && <Badge tone="accent">{t('account.this_session')}</Badge>}
        </p>
        <p className="flex flex-wrap gap-x-3 text-fg-3 text-xs">
          <span>{session.ip ?? '–'}</span>
          <span>
            {t('account.last_used')} <Time at={session.last_seen_at} />
          </span>
          <span>
            {t('account.signed_in')} <Time at={session.created_at} look="date" />
          </span>
        </p>
      </div>
      {!session.current && (
        <Button
          size="sm"
          busy={busy}
          aria-label={`${t('account.end_session')}: ${deviceOf(session.user_agent ?? null)}`}
          onClick={onRevoke}
        >
          {t('account.end_session')}
        </Button>
      )}
    </li>
  );
}
