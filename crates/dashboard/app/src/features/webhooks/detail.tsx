import { useQuery } from '@tanstack/react-query';
import { Link, useNavigate, useParams } from '@tanstack/react-router';
import { ChevronRight, Ellipsis, KeyRound, Pencil, Send, Trash2 } from 'lucide-react';
import { type ReactNode, useState } from 'react';
import { toApiError } from '@/api/error';
import type { Webhook } from '@/api/types';
import { meaningOf } from '@/features/audit/actions';
import { DeliveryTable, NothingSent } from '@/features/deliveries/table';
import { memberQuery } from '@/features/team/data';
import { t } from '@/i18n';
import { Button, IconButton } from '@/kit/button';
import { Code } from '@/kit/code-block';
import { ConfirmDialog, Dialog } from '@/kit/dialog';
import { count } from '@/kit/format';
import { Menu, MenuItem } from '@/kit/menu';
import { Facts, Panel, Section } from '@/kit/page';
import { ConfirmThenShown } from '@/kit/shown-once';
import { ErrorState, LoadingRows, NoPermission, Notice } from '@/kit/states';
import { Time } from '@/kit/time';
import { toast } from '@/kit/toast';
import { NotFoundPage } from '@/shell/fallback';
import { WORKSPACE } from '@/shell/rights';
import { useMay } from '@/shell/session';
import { SettingsFrame } from '@/shell/settings-frame';
import { changeWebhook, useRefreshWebhooks, useWebhookActions, webhookQuery } from './data';
import { EVERYTHING } from './events';
import { WebhookFields } from './form';
import { WebhookBadge } from './list';
import { HowToCheck, secretOf } from './secret';
import '@/i18n/lazy/webhooks';

export function WebhookPage() {
  const { webhookId } = useParams({ from: '/inside/settings/webhooks/$webhookId' });
  const may = useMay('webhooks.manage', WORKSPACE);
  const query = useQuery({ ...webhookQuery(webhookId), enabled: may });
  if (!may) return <NoPermission missing={['webhooks.manage']} />;
  const error = query.isError ? toApiError(query.error) : null;
  if (error?.status === 404) return <NotFoundPage />;
  return (
    <SettingsFrame title={query.data?.name ?? t('webhooks.title')} width="full">
      {query.data ? (
        <Known webhook={query.data} />
      ) : error ? (
        <ErrorState error={error} onRetry={() => void query.refetch()} />
      ) : (
        <Panel className="max-w-2xl">
          <LoadingRows rows={4} />
        </Panel>
      )}
    </SettingsFrame>
  );
}

type Doing = 'edit' | 'rotate' | 'delete' | null;

function Known({ webhook }: { webhook: Webhook }) {
  const navigate = useNavigate();
  const refresh = useRefreshWebhooks();
  const { rotate, test, enable, remove } = useWebhookActions(webhook);
  const [doing, setDoing] = useState<Doing>(null);
  const mayTell = useMay('audit.read', WORKSPACE);
  const close = () => {
    setDoing(null);
    remove.reset();
  };
  const sendTest = () =>
    test.mutate(undefined, {
      onSuccess: () => toast.done(t('webhooks.tested')),
      onError: (error) => toast.failed(error),
    });
  return (
    <div className="flex flex-col gap-8">
      <div className="max-w-2xl">
        <header className="mb-3 flex flex-wrap items-center gap-2">
          <Link to="/settings/webhooks" className="hidden text-fg-3 text-lg hover:text-fg sm:block">
            {t('webhooks.title')}
          </Link>
          <ChevronRight aria-hidden className="hidden size-4 text-fg-3 sm:block" />
          <h2 className="min-w-0 truncate font-semibold text-lg">{webhook.name}</h2>
          <span className="flex-1">
            <WebhookBadge webhook={webhook} />
          </span>
          <Button icon={Send} busy={test.isPending} onClick={sendTest}>
            {t('webhooks.test')}
          </Button>
          <Menu trigger={<IconButton icon={Ellipsis} label={t('servers.actions')} />}>
            {mayTell && (
              <MenuItem icon={Pencil} onSelect={() => setDoing('edit')}>
                {t('webhooks.edit')}
              </MenuItem>
            )}
            <MenuItem icon={KeyRound} onSelect={() => setDoing('rotate')}>
              {t('webhooks.rotate')}
            </MenuItem>
            <MenuItem icon={Trash2} tone="danger" onSelect={() => setDoing('delete')}>
              {t('webhooks.delete')}
            </MenuItem>
          </Menu>
        </header>
        {webhook.disabled_reason && (
          <div className="mb-3">
            <Notice tone="bad">
              <p>{t('webhooks.disabled_reason', { reason: webhook.disabled_reason })}</p>
              {mayTell && (
                <Button
                  size="sm"
                  className="mt-2"
                  busy={enable.isPending}
                  onClick={() =>
                    enable.mutate(undefined, {
                      onSuccess: () => toast.done(t('webhooks.enabled_again', { name: webhook.name })),
                      onError: (error) => toast.failed(error),
                    })
                  }
                >
                  {t('webhooks.enable')}
                </Button>
              )}
            </Notice>
          </div>
        )}
        {webhook.missed > 0 && (
          <div className="mb-3">
            <Notice>{t('webhooks.missed', { count: webhook.missed, missed: count(webhook.missed) })}</Notice>
          </div>
        )}
        <Panel>
          <WebhookFacts webhook={webhook} />
        </Panel>
        <div className="mt-3">
          <HowToCheck />
        </div>
      </div>
      <Section title={t('webhooks.deliveries')}>
        <DeliveryTable search={{ webhook: webhook.id }} empty={<NothingSent />} />
      </Section>
      <Dialog
        open={doing === 'edit'}
        onClose={close}
        title={t('webhooks.edit_title', { name: webhook.name })}
        width="lg"
      >
        {doing === 'edit' && (
          <WebhookFields
            webhook={webhook}
            send={(form) => changeWebhook(webhook, form)}
            onDone={({ name }) => {
              toast.done(t('webhooks.saved', { name }));
              refresh();
              close();
            }}
            onClose={close}
          />
        )}
      </Dialog>
      <ConfirmThenShown
        open={doing === 'rotate'}
        onClose={close}
        title={t('webhooks.rotate_title', { name: webhook.name })}
        shownTitle={t('webhooks.rotated')}
        action={t('webhooks.rotate')}
        tone="primary"
        ask={rotate}
        shown={secretOf}
      >
        <p>{t('webhooks.rotate_body')}</p>
      </ConfirmThenShown>
      <ConfirmDialog
        open={doing === 'delete'}
        onClose={close}
        title={t('webhooks.delete_title', { name: webhook.name })}
        action={t('webhooks.delete')}
        busy={remove.isPending}
        error={remove.error}
        onConfirm={() =>
          remove.mutate(undefined, {
            onSuccess: () => {
              toast.done(t('webhooks.deleted', { name: webhook.name }));
              void navigate({ to: '/settings/webhooks' });
            },
          })
        }
      >
        <p>{t('webhooks.delete_body')}</p>
      </ConfirmDialog>
    </div>
  );
}

function WebhookFacts({ webhook }: { webhook: Webhook }) {
  const mayRead = useMay('members.read', WORKSPACE);
  const maker = useQuery({ ...memberQuery(webhook.created_by), enabled: mayRead });
  const rows: (readonly [string, ReactNode])[] = [
    [t('webhooks.url'), <Code key="url" text={webhook.url} copy />],
    [
      t('webhooks.events'),
      <ul key="events" className="flex flex-col gap-0.5">
        {webhook.events.map((event) => (
          <li key={event}>
            <Code text={event} />{' '}
            <span className="text-fg-2">
              {event === EVERYTHING ? t('webhooks.events_all') : (meaningOf(event) ?? '')}
            </span>
          </li>
        ))}
      </ul>,
    ],
  ];
  if (webhook.allow_private) rows.push([t('webhooks.allow_private'), t('common.on')]);
  rows.push([t('webhooks.made'), <Time key="made" at={webhook.created_at} look="date" />]);
  if (maker.data) rows.push([t('webhooks.created_by'), maker.data.name]);
  return <Facts rows={rows} />;
}
