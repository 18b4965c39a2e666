import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { KeyRound } from 'lucide-react';
import { useState } from 'react';
import { api, checked, unwrap } from '@/api/client';
import { type ApiError, toApiError } from '@/api/error';
import { keys } from '@/api/keys';
import type { Identity, Provider } from '@/api/types';
import { t } from '@/i18n';
import { Button } from '@/kit/button';
import { ConfirmDialog } from '@/kit/dialog';
import { Panel, Section } from '@/kit/page';
import { ErrorState, LoadingRows } from '@/kit/states';
import { Time } from '@/kit/time';
import { toast } from '@/kit/toast';
import { methodsQuery } from '@/shell/account';
import '@/i18n/lazy/factors';

/** Accounts elsewhere that sign this person in; nothing where there are none and the hub knows no providers. */
export function Identities() {
  const providers = useQuery(methodsQuery).data?.providers ?? [];
  const list = useQuery({
    queryKey: keys.identities(),
    queryFn: async ({ signal }): Promise<Identity[]> =>
      (await unwrap(api.GET('/v1/account/identities', { signal }))).data,
  });
  const linked = list.data ?? [];
  // One of a provider that is not in the settings any more can still be taken back.
  if (providers.length === 0 && linked.length === 0) return null;
  const open = list.isSuccess
    ? providers.filter(({ id }) => !linked.some((one) => one.provider.id === id))
    : [];
  return (
    <Section title={t('factors.identity.title')} description={t('factors.identity.body')}>
      <Panel>
        {list.isPending ? (
          <LoadingRows rows={1} />
        ) : list.isError ? (
          <ErrorState error={toApiError(list.error)} onRetry={() => void list.refetch()} />
        ) : (
          <ul aria-label={t('factors.identity.title')} className="divide-y">
            {linked.map((identity) => (
              <IdentityRow key={identity.id} identity={identity} />
            ))}
            {open.map((provider) => (
              <OpenProvider key={provider.id} provider={provider} />
            ))}
          </ul>
        )}
      </Panel>
    </Section>
  );
}

function OpenProvider({ provider }: { provider: Provider }) {
  const link = useMutation<{ location: string }, ApiError>({
    mutationFn: () =>
      unwrap(
        api.POST('/v1/account/identities/{provider}/link', {
          params: { path: { provider: provider.id } },
          body: {},
        }),
      ),
    // The provider's own page; it leads back here.
    onSuccess: ({ location }) => window.location.assign(location),
    onError: (error) => toast.failed(error),
  });
  return (
    <li className="flex items-center gap-3 px-4 py-3 text-sm">
      <KeyRound aria-hidden className="size-4 shrink-0 text-fg-3" />
      <div className="min-w-0 flex-1">
        <p className="font-medium">{provider.name}</p>
        <p className="text-fg-3 text-xs">{t('factors.identity.none')}</p>
      </div>
      <Button size="sm" busy={link.isPending} onClick={() => link.mutate()}>
        {t('factors.identity.link', { name: provider.name })}
      </Button>
    </li>
  );
}

function IdentityRow({ identity }: { identity: Identity }) {
  const client = useQueryClient();
  const [asking, setAsking] = useState(false);
  const { name } = identity.provider;
  const unlink = useMutation<unknown, ApiError>({
    mutationFn: () =>
      checked(api.DELETE('/v1/account/identities/{id}', { params: { path: { id: identity.id } } })),
    onSuccess: () => {
      setAsking(false);
      toast.done(t('factors.identity.unlinked', { name }));
      void client.invalidateQueries({ queryKey: keys.identities() });
    },
  });
  const open = (next: boolean) => {
    unlink.reset();
    setAsking(next);
  };
  return (
    <li className="flex flex-wrap items-center gap-x-3 gap-y-2 px-4 py-3 text-sm">
      <KeyRound aria-hidden className="size-4 shrink-0 text-fg-3" />
      <div className="min-w-0 flex-1 basis-48">
        <p className="flex flex-wrap gap-x-2">
          <span className="font-medium">{name}</span>
          <span className="min-w-0 truncate text-fg-2">{identity.subject_hint}</span>
        </p>
        <p className="flex flex-wrap gap-x-3 text-fg-3 text-xs">
          <span>
            {identity.last_used_at === null ? (
              t('factors.identity.never_used')
            ) : (
              <>
                {t('account.last_used')} <Time at={identity.last_used_at} />
              </>
            )}
          </span>
          <span>
            {t('factors.identity.linked')} <Time at={identity.created_at} look="date" />
          </span>
        </p>
      </div>
      <Button size="sm" aria-label={`${t('factors.identity.unlink')}: ${name}`} onClick={() => open(true)}>
        {t('factors.identity.unlink')}
      </Button>
      <ConfirmDialog
        open={asking}
        onClose={() => open(false)}
        title={t('factors.identity.unlink_title', { name })}
        action={t('factors.identity.unlink')}
        busy={unlink.isPending}
        error={unlink.error}
        onConfirm={() => unlink.mutate()}
      >
        <p>{t('factors.identity.unlink_body')}</p>
      </ConfirmDialog>
    </li>
  );
}
