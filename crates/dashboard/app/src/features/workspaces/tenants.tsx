import { useInfiniteQuery, useQueryClient } from '@tanstack/react-query';
import { useMemo, useState } from 'react';
import { toApiError } from '@/api/error';
import { keys } from '@/api/keys';
import type { Tenant } from '@/api/types';
import { required } from '@/features/auth/validate';
import { t } from '@/i18n';
import { Button } from '@/kit/button';
import { Dialog, FormActions } from '@/kit/dialog';
import { Field } from '@/kit/field';
import { Input } from '@/kit/input';
import { Panel, Section } from '@/kit/page';
import { ErrorState, InlineError, LoadingRows } from '@/kit/states';
import { Badge } from '@/kit/status';
import { Table, Td, Th } from '@/kit/table';
import { Time } from '@/kit/time';
import { toast } from '@/kit/toast';
import { useForm } from '@/kit/use-form';
import { setPlan, tenantsQuery } from './data';
import { featureWords, parseLimit, standing, wrongFeature } from './limits';
import { QuotaNumbers } from './plan';
import '@/i18n/lazy/settings';

/** Every workspace of the hub with its plan, for whoever runs it. */
export function Tenants() {
  const list = useInfiniteQuery(tenantsQuery);
  const [changing, setChanging] = useState<Tenant | null>(null);
  const tenants = list.data?.pages.flatMap((page) => page.data) ?? [];
  return (
    <Section
      className="max-w-5xl"
      title={t('settings.tenants.title')}
      description={t('settings.tenants.body')}
    >
      <Panel>
        {list.isPending ? (
          <LoadingRows rows={2} />
        ) : list.isError && tenants.length === 0 ? (
          <ErrorState error={toApiError(list.error)} onRetry={() => void list.refetch()} />
        ) : tenants.length === 0 ? (
          <p className="px-4 py-3 text-fg-2 text-sm">{t('settings.tenants.none')}</p>
        ) : (
          <Table label={t('settings.tenants.title')}>
            <thead>
              <tr>
                <Th>{t('settings.workspace.name')}</Th>
                <Th>{t('settings.plan.title')}</Th>
                <Th className="hidden sm:table-cell">{t('settings.plan.servers')}</Th>
                <Th className="hidden sm:table-cell">{t('settings.plan.members')}</Th>
                <Th className="hidden md:table-cell">{t('settings.tenants.created')}</Th>
                <Th>
                  <span className="sr-only">{t('settings.plan.change')}</span>
                </Th>
              </tr>
            </thead>
            <tbody>
              {tenants.map((tenant) => (
                <tr key={tenant.id}>
                  <Td className="max-w-64 truncate font-medium">{tenant.name}</Td>
                  <Td className="text-fg-2">{tenant.plan.name}</Td>
                  {(['servers', 'members'] as const).map((what) => (
                    <Td key={what} className="tabular hidden whitespace-nowrap text-fg-2 sm:table-cell">
                      <QuotaNumbers used={tenant.plan.used[what]} limit={tenant.plan.limits[what]} />{' '}
                      {standing(tenant.plan.used[what], tenant.plan.limits[what]) === 'over' && (
                        <Badge tone="warn">{t('settings.plan.over')}</Badge>
                      )}
                    </Td>
                  ))}
                  <Td className="hidden text-fg-2 md:table-cell">
                    <Time at={tenant.created_at} />
                  </Td>
                  <Td className="text-right">
                    <Button
                      size="sm"
                      aria-label={`${t('settings.plan.change')}: ${tenant.name}`}
                      onClick={() => setChanging(tenant)}
                    >
                      {t('settings.plan.change')}
                    </Button>
                  </Td>
                </tr>
              ))}
            </tbody>
          </Table>
        )}
      </Panel>
      {list.hasNextPage && (
        <div className="mt-3 flex justify-center">
          <Button busy={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>
            {t('common.load_more')}
          </Button>
        </div>
      )}
      <Dialog
        open={changing !== null}
        onClose={() => setChanging(null)}
        title={t('settings.plan.change_title', { name: changing?.name ?? '' })}
        description={t('settings.plan.change_body')}
      >
        {changing && <PlanFormFields tenant={changing} onClose={() => setChanging(null)} />}
      </Dialog>
    </Section>
  );
}

function PlanFormFields({ tenant, onClose }: { tenant: Tenant; onClose: () => void }) {
  const client = useQueryClient();
  const { plan } = tenant;
  const initial = useMemo(
    () => ({
      name: plan.version === 0 ? '' : plan.name,
      servers: plan.limits.servers === null ? '' : String(plan.limits.servers),
      members: plan.limits.members === null ? '' : String(plan.limits.members),
      features: plan.features.join(' '),
    }),
    [plan],
  );
  const form = useForm({
    initial,
    validate: ({ name, servers, members, features }) => {
      const word = wrongFeature(features);
      const limit = (text: string) =>
        parseLimit(text) === undefined ? t('settings.plan.limit_invalid') : undefined;
      return {
        name: required(name),
        servers: limit(servers),
        members: limit(members),
        features: word === undefined ? undefined : t('settings.plan.features_invalid', { word }),
      };
    },
    submit: ({ name, servers, members, features }) =>
      setPlan(tenant, {
        name: name.trim(),
        limits: { servers: parseLimit(servers) ?? null, members: parseLimit(members) ?? null },
        features: featureWords(features),
      }),
    onDone: () => {
      toast.done(t('settings.plan.changed', { name: tenant.name }));
      for (const queryKey of [keys.tenants(), keys.plan()]) void client.invalidateQueries({ queryKey });
      onClose();
    },
  });
  const field = (name: 'name' | 'servers' | 'members' | 'features') => ({
    value: form.values[name],
    autoComplete: 'off',
    onChange: (event: { target: { value: string } }) => form.set(name, event.target.value),
  });
  const limitField = (name: 'servers' | 'members') => (
    <Field label={t(`settings.plan.${name}`)} error={form.errors[name]}>
      <Input inputMode="numeric" placeholder={t('settings.plan.no_limit')} {...field(name)} />
    </Field>
  );
  return (
    <form className="flex flex-col gap-4" noValidate onSubmit={form.send}>
      <Field label={t('settings.plan.name')} error={form.errors.name}>
        <Input autoFocus {...field('name')} />
      </Field>
      <div className="grid gap-4 sm:grid-cols-2">
        {limitField('servers')}
        {limitField('members')}
      </div>
      <Field
        label={t('settings.plan.features')}
        optional={t('common.optional')}
        hint={t('settings.plan.features_hint')}
        error={form.errors.features}
      >
        <Input spellCheck={false} className="font-mono" {...field('features')} />
      </Field>
      {form.failure &&
        (form.failure.status === 412 ? (
          <p role="alert" className="text-bad text-sm">
            {t('settings.changed_meanwhile')}
          </p>
        ) : (
          <InlineError error={form.failure} />
        ))}
      <FormActions>
        <Button onClick={onClose}>{t('common.cancel')}</Button>
        <Button type="submit" tone="primary" busy={form.busy}>
          {t('common.save')}
        </Button>
      </FormActions>
    </form>
  );
}
