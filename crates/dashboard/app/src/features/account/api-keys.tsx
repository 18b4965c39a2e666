import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { KeySquare, Plus } from 'lucide-react';
import { type ReactNode, useState } from 'react';
import { api, checked, unwrap } from '@/api/client';
import { type ApiError, toApiError } from '@/api/error';
import { keys } from '@/api/keys';
import type { ApiKey, ApiKeyCreated } from '@/api/types';
import { useGrantWords } from '@/features/team/names';
import { t } from '@/i18n';
import { Button } from '@/kit/button';
import { ConfirmDialog } from '@/kit/dialog';
import { Panel, Section } from '@/kit/page';
import { ConfirmThenShown, FormThenShown } from '@/kit/shown-once';
import { ErrorState, LoadingRows } from '@/kit/states';
import { Badge } from '@/kit/status';
import { Time, useNow } from '@/kit/time';
import { toast } from '@/kit/toast';
import { useMay, useSession } from '@/shell/session';
import { ApiKeyForm, tokenOf } from './api-key-form';
import { apiKeysQuery } from './api-keys-data';

/** The keys that this person made for scripts. */
export function ApiKeys() {
  const me = useSession()?.user.id;
  const mayCreate = useMay('api-keys.create');
  const list = useQuery(apiKeysQuery);
  const [making, setMaking] = useState(false);
  const own = (list.data ?? []).filter((key) => key.user_id === me);
  // Who can make none and has none has nothing to look for here.
  if (!mayCreate && own.length === 0) return null;
  return (
    <Section
      title={t('api_keys.title')}
      description={t('api_keys.body')}
      actions={
        mayCreate && (
          <Button icon={Plus} onClick={() => setMaking(true)}>
            {t('api_keys.create')}
          </Button>
        )
      }
    >
      <KeyPanel keys={own} label={t('api_keys.title')} isOwn />
      <CreateKey open={making} onClose={() => setMaking(false)} />
    </Section>
  );
}

/** The keys of other members, for those who may end them. */
export function OthersApiKeys() {
  const me = useSession()?.user.id;
  const others = (useQuery(apiKeysQuery).data ?? []).filter((key) => key.user_id !== me);
  if (others.length === 0) return null;
  return (
    <Section title={t('team.api_keys')} description={t('team.api_keys_body')}>
      <KeyPanel keys={others} label={t('team.api_keys')} isOwn={false} />
    </Section>
  );
}

function KeyPanel({ keys: shown, label, isOwn }: { keys: readonly ApiKey[]; label: string; isOwn: boolean }) {
  const list = useQuery(apiKeysQuery);
  return (
    <Panel>
      {list.isPending ? (
        <LoadingRows rows={1} />
      ) : list.isError ? (
        <ErrorState error={toApiError(list.error)} onRetry={() => void list.refetch()} />
      ) : shown.length === 0 ? (
        <p className="px-4 py-3 text-fg-2 text-sm">{t('api_keys.none')}</p>
      ) : (
        <ul aria-label={label} className="divide-y">
          {shown.map((key) => (
            <KeyRow key={key.id} apiKey={key} isOwn={isOwn} />
          ))}
        </ul>
      )}
    </Panel>
  );
}

function CreateKey({ open, onClose }: { open: boolean; onClose: () => void }) {
  return (
    <FormThenShown<ApiKeyCreated>
      open={open}
      onClose={onClose}
      title={t('api_keys.create')}
      description={t('api_keys.create_body')}
      shownTitle={t('api_keys.created')}
      form={(onMade, close) => <ApiKeyForm onMade={onMade} onClose={close} />}
      shown={tokenOf}
    />
  );
}

function KeyRow({ apiKey, isOwn }: { apiKey: ApiKey; isOwn: boolean }) {
  const [asking, setAsking] = useState<'rotate' | 'revoke' | null>(null);
  const words = useGrantWords({ permissions: apiKey.permissions }, apiKey.scope);
  const now = useNow(60_000);
  const hasEnded = apiKey.expires_at !== null && Date.parse(apiKey.expires_at) <= now;
  const facts: ReactNode[] = [
    isOwn ? null : t('api_keys.made_by', { name: apiKey.user_name }),
    apiKey.networks.length > 0 ? t('api_keys.networks_from', { networks: apiKey.networks.join(', ') }) : null,
    apiKey.last_used_at === null ? (
      t('api_keys.never_used')
    ) : (
      <>
        {t('api_keys.last_used')} <Time at={apiKey.last_used_at} />
        {apiKey.last_used_ip && ` ${t('api_keys.networks_from', { networks: apiKey.last_used_ip })}`}
      </>
    ),
    apiKey.expires_at === null ? (
      t('api_keys.never_ends')
    ) : (
      <>
        {hasEnded ? t('api_keys.ended_at') : t('api_keys.ends')} <Time at={apiKey.expires_at} />
      </>
    ),
  ];
  return (
    <li className="flex flex-wrap items-start gap-x-3 gap-y-2 px-4 py-3 text-sm">
      <KeySquare aria-hidden className="mt-0.5 size-4 shrink-0 text-fg-3" />
      <div className="min-w-0 flex-1 basis-56">
        <p className="flex items-center gap-2">
          <span className="truncate font-medium">{apiKey.name}</span>
          {hasEnded && <Badge tone="warn">{t('api_keys.ended')}</Badge>}
        </p>
        <p className="text-fg-2">{words}</p>
        <p className="break-words font-mono text-2xs text-fg-3">{apiKey.permissions.join(', ')}</p>
        <p className="mt-0.5 flex flex-wrap gap-x-3 text-fg-3 text-xs">
          {facts.map(
            (fact, index) =>
              fact && (
                // biome-ignore lint/suspicious/noArrayIndexKey: the facts never move
                <span key={index}>{fact}</span>
              ),
          )}
        </p>
      </div>
      <div className="flex gap-2 max-sm:ml-7">
        {isOwn && (
          <Button
            size="sm"
            aria-label={`${t('api_keys.rotate')}: ${apiKey.name}`}
            onClick={() => setAsking('rotate')}
          >
            {t('api_keys.rotate')}
          </Button>
        )}
        <Button
          size="sm"
          aria-label={`${t('api_keys.revoke')}: ${apiKey.name}`}
          onClick={() => setAsking('revoke')}
        >
          {t('api_keys.revoke')}
        </Button>
      </div>
      <RevokeKey apiKey={apiKey} open={asking === 'revoke'} onClose={() => setAsking(null)} />
      {isOwn && <RotateKey apiKey={apiKey} open={asking === 'rotate'} onClose={() => setAsking(null)} />}
    </li>
  );
}

interface KeyDialogProps {
  apiKey: ApiKey;
  open: boolean;
  onClose: () => void;
}

function RevokeKey({ apiKey, open, onClose }: KeyDialogProps) {
  const client = useQueryClient();
  const revoke = useMutation<unknown, ApiError>({
    mutationFn: () => checked(api.DELETE('/v1/api-keys/{id}', { params: { path: { id: apiKey.id } } })),
    onSuccess: () => {
      onClose();
      toast.done(t('api_keys.revoked', { name: apiKey.name }));
      void client.invalidateQueries({ queryKey: keys.apiKeys() });
    },
  });
  return (
    <ConfirmDialog
      open={open}
      onClose={onClose}
      title={t('api_keys.revoke_title', { name: apiKey.name })}
      action={t('api_keys.revoke')}
      busy={revoke.isPending}
      error={revoke.error}
      onConfirm={() => revoke.mutate()}
    >
      <p>{t('api_keys.revoke_body')}</p>
    </ConfirmDialog>
  );
}

function RotateKey({ apiKey, open, onClose }: KeyDialogProps) {
  const client = useQueryClient();
  const rotate = useMutation<ApiKeyCreated, ApiError, undefined>({
    mutationFn: () => unwrap(api.POST('/v1/api-keys/{id}/rotate', { params: { path: { id: apiKey.id } } })),
    onSuccess: () => client.invalidateQueries({ queryKey: keys.apiKeys() }),
  });
  return (
    <ConfirmThenShown
      open={open}
      onClose={onClose}
      title={t('api_keys.rotate_title', { name: apiKey.name })}
      shownTitle={t('api_keys.created')}
      action={t('api_keys.rotate')}
      ask={rotate}
      shown={tokenOf}
    >
      <p>{t('api_keys.rotate_body')}</p>
    </ConfirmThenShown>
  );
}
