import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { Plus, Webhook as WebhookIcon } from 'lucide-react';
import { useState } from 'react';
import { toApiError } from '@/api/error';
import type { Webhook, WebhookCreated } from '@/api/types';
import { DeliveryStateMark } from '@/features/deliveries/state';
import { t } from '@/i18n';
import { Button } from '@/kit/button';
import { Panel } from '@/kit/page';
import { FormThenShown } from '@/kit/shown-once';
import { Empty, ErrorState, LoadingRows, NoPermission } from '@/kit/states';
import { Badge } from '@/kit/status';
import { Time } from '@/kit/time';
import { WORKSPACE } from '@/shell/rights';
import { useMay } from '@/shell/session';
import { SettingsFrame } from '@/shell/settings-frame';
import { createWebhook, useRefreshWebhooks, webhooksQuery } from './data';
import { WebhookFields } from './form';
import { secretOf } from './secret';
import { hostOf } from './url';
import '@/i18n/lazy/webhooks';

export function WebhooksPage() {
  const may = useMay('webhooks.manage', WORKSPACE);
  // A webhook is told what the audit log records: the hub lets nobody else say what and where.
  const mayTell = useMay('audit.read', WORKSPACE);
  const list = useQuery({ ...webhooksQuery, enabled: may });
  const refresh = useRefreshWebhooks();
  const [making, setMaking] = useState(false);
  if (!may) return <NoPermission missing={['webhooks.manage']} />;
  const create = mayTell && (
    <Button tone="primary" icon={Plus} onClick={() => setMaking(true)}>
      {t('webhooks.create')}
    </Button>
  );
  return (
    <SettingsFrame title={t('webhooks.title')} width="full" actions={create}>
      <p className="mb-3 text-fg-2 text-sm">
        {t('webhooks.body')} {!mayTell && t('webhooks.needs_audit')}
      </p>
      <Panel className="max-w-5xl">
        {list.isPending ? (
          <LoadingRows rows={3} />
        ) : list.isError ? (
          <ErrorState error={toApiError(list.error)} onRetry={() => void list.refetch()} />
        ) : list.data.length === 0 ? (
          <Empty icon={WebhookIcon} title={t('webhooks.none_title')} action={create}>
            {t('webhooks.none_body')}
          </Empty>
        ) : (
          <ul aria-label={t('webhooks.title')} className="divide-y">
            {list.data.map((webhook) => (
              <WebhookRow key={webhook.id} webhook={webhook} />
            ))}
          </ul>
        )}
      </Panel>
      <FormThenShown<WebhookCreated>
        open={making}
        onClose={() => setMaking(false)}
        title={t('webhooks.create')}
        shownTitle={t('webhooks.created')}
        width="lg"
        form={(onMade, close) => (
          <WebhookFields
            webhook={null}
            send={createWebhook}
            onDone={(made) => {
              refresh();
              onMade(made);
            }}
            onClose={close}
          />
        )}
        shown={secretOf}
      />
    </SettingsFrame>
  );
}

function WebhookRow({ webhook }: { webhook: Webhook }) {
  const { last_delivery: last } = webhook;
  return (
    <li className="relative flex items-center gap-3 px-4 py-3 text-sm hover:bg-hover">
      <WebhookIcon aria-hidden className="size-4 shrink-0 text-fg-3" />
      <div className="min-w-0 flex-1">
        <p className="flex flex-wrap items-center gap-2">
          <Link
            to="/settings/webhooks/$webhookId"
            params={{ webhookId: webhook.id }}
            className="min-w-0 truncate font-medium after:absolute after:inset-0 after:-outline-offset-2"
          >
            {webhook.name}
          </Link>
          <WebhookBadge webhook={webhook} />
        </p>
        <p className="truncate text-fg-2">{hostOf(webhook.url)}</p>
        <p className="truncate font-mono text-2xs text-fg-3">{webhook.events.join(', ')}</p>
      </div>
      <p className="hidden shrink-0 flex-col items-end text-right text-xs sm:flex">
        {last ? (
          <>
            <DeliveryStateMark state={last.state} />
            <span className="text-fg-3">
              <Time at={last.at} />
            </span>
          </>
        ) : (
          <span className="text-fg-3">{t('webhooks.never')}</span>
        )}
      </p>
    </li>
  );
}

export function WebhookBadge({ webhook }: { webhook: Webhook }) {
  if (webhook.disabled_reason) return <Badge tone="bad">{t('webhooks.disabled_by_hub')}</Badge>;
  if (!webhook.enabled) return <Badge tone="idle">{t('webhooks.disabled')}</Badge>;
  return null;
}
