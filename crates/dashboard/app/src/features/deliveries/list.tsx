import { useQuery } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { Send } from 'lucide-react';
import type { DeliveryChannel, DeliveryState } from '@/api/types';
import { webhooksQuery } from '@/features/webhooks/data';
import { t } from '@/i18n';
import { Button } from '@/kit/button';
import { Segmented } from '@/kit/segmented';
import { Select } from '@/kit/select';
import { Empty, NoPermission } from '@/kit/states';
import { WORKSPACE } from '@/shell/rights';
import { useMay } from '@/shell/session';
import { SettingsFrame } from '@/shell/settings-frame';
import { CHANNELS, type DeliverySearch, STATES } from './search';
import { DeliveryTable, NothingSent } from './table';
import '@/i18n/lazy/deliveries';

const ALL = 'all';

/** What is sent to elsewhere. The hub adds mail of no workspace for whoever runs it. */
export function DeliveriesPage() {
  const search = useSearch({ from: '/inside/settings/deliveries' });
  const navigate = useNavigate({ from: '/settings/deliveries' });
  const may = useMay('webhooks.manage', WORKSPACE);
  const webhooks = useQuery({ ...webhooksQuery, enabled: may }).data ?? [];
  if (!may) return <NoPermission missing={['webhooks.manage']} />;
  const change = (next: DeliverySearch) =>
    void navigate({ search: (before) => ({ ...before, ...next }), replace: true });
  const isFiltered =
    search.state !== undefined || search.channel !== undefined || search.webhook !== undefined;
  return (
    <SettingsFrame title={t('deliveries.title')} width="full">
      <p className="mb-3 text-fg-2 text-sm">{t('deliveries.body')}</p>
      <div className="mb-3 flex flex-wrap items-center gap-2">
        <Segmented<DeliveryState | typeof ALL>
          label={t('deliveries.column.state')}
          value={search.state ?? ALL}
          options={([ALL, ...STATES] as const).map((value) => ({
            value,
            label: value === ALL ? t('deliveries.filter_all') : t(`deliveries.state.${value}`),
          }))}
          onChange={(state) => change({ state: state === ALL ? undefined : state })}
        />
        <Segmented<DeliveryChannel | typeof ALL>
          label={t('deliveries.channel.label')}
          value={search.channel ?? ALL}
          options={([ALL, ...CHANNELS] as const).map((value) => ({
            value,
            label: value === ALL ? t('deliveries.filter_all') : t(`deliveries.channel.${value}`),
          }))}
          onChange={(channel) => change({ channel: channel === ALL ? undefined : channel })}
        />
        {webhooks.length > 0 && (
          <div className="w-full sm:w-56">
            <Select
              label={t('deliveries.webhook')}
              value={search.webhook ?? ALL}
              options={[
                { value: ALL, label: t('deliveries.all_webhooks') },
                ...webhooks.map(({ id, name }) => ({ value: id, label: name })),
              ]}
              onChange={(webhook) => change({ webhook: webhook === ALL ? undefined : webhook })}
            />
          </div>
        )}
      </div>
      <DeliveryTable
        search={search}
        empty={
          isFiltered ? (
            <Empty
              icon={Send}
              title={t('deliveries.none_match_title')}
              action={
                <Button onClick={() => void navigate({ search: {}, replace: true })}>
                  {t('servers.clear_filters')}
                </Button>
              }
            >
              {t('deliveries.none_match_body')}
            </Empty>
          ) : (
            <NothingSent />
          )
        }
      />
    </SettingsFrame>
  );
}
