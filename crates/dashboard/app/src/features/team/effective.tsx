import { useQuery } from '@tanstack/react-query';
import { Check } from 'lucide-react';
import { toApiError } from '@/api/error';
import type { Grant } from '@/api/types';
import { t } from '@/i18n';
import { Panel, Section } from '@/kit/page';
import { ErrorState, LoadingRows } from '@/kit/states';
import { grantableQuery } from './data';
import { effectiveRights, groupPermissions } from './permissions';
import { scopeInWords } from './words';

/** What all grants of somebody come to: by area, and over what. */
export function EffectiveRights({ grants }: { grants: readonly Grant[] }) {
  const grantable = useQuery(grantableQuery);
  const rights = effectiveRights(grants);
  const groups = groupPermissions(
    (grantable.data?.permissions ?? []).filter((permission) => rights.has(permission.name)),
  );
  return (
    <Section title={t('team.effective')} description={t('team.effective_body')}>
      <Panel>
        {grantable.isPending ? (
          <LoadingRows rows={3} />
        ) : grantable.isError ? (
          <ErrorState error={toApiError(grantable.error)} onRetry={() => void grantable.refetch()} />
        ) : groups.length === 0 ? (
          <p className="px-4 py-3 text-fg-2 text-sm">{t('team.effective_none')}</p>
        ) : (
          <dl className="divide-y text-sm">
            {groups.map((group) => (
              <div key={group.area} className="px-4 py-3 sm:flex sm:gap-4">
                <dt className="mb-1 font-medium sm:w-28 sm:shrink-0">{group.title}</dt>
                <dd className="min-w-0 flex-1">
                  <ul className="flex flex-col gap-1">
                    {group.permissions.map(({ name, meaning }) => (
                      <li key={name} className="flex flex-wrap items-baseline gap-x-3">
                        <span className="flex min-w-0 flex-1 basis-64 items-baseline gap-2">
                          <Check aria-hidden className="size-3.5 shrink-0 translate-y-0.5 text-ok" />
                          {meaning}
                        </span>
                        <span className="pl-5.5 text-fg-3 text-xs sm:max-w-64 sm:text-right">
                          {(rights.get(name) ?? [])
                            .map((place) => scopeInWords(place.scope, place.name))
                            .join(', ')}
                        </span>
                      </li>
                    ))}
                  </ul>
                </dd>
              </div>
            ))}
          </dl>
        )}
      </Panel>
    </Section>
  );
}
