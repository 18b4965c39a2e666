import { useQuery } from '@tanstack/react-query';
import { Link, useParams } from '@tanstack/react-router';
import { ChevronRight, RotateCw } from 'lucide-react';
import type { ReactNode } from 'react';
import { toApiError } from '@/api/error';
import type { DeliveryAttempt, DeliveryDetail } from '@/api/types';
import { t } from '@/i18n';
import { Button } from '@/kit/button';
import { Code, TextBox } from '@/kit/code-block';
import { CopyButton } from '@/kit/copy-button';
import { Disclosure } from '@/kit/disclosure';
import { duration } from '@/kit/format';
import { Facts, Panel, Section } from '@/kit/page';
import { ErrorState, LoadingRows, NoPermission } from '@/kit/states';
import { Badge } from '@/kit/status';
import { Time } from '@/kit/time';
import { toast } from '@/kit/toast';
import { NotFoundPage } from '@/shell/fallback';
import { WORKSPACE } from '@/shell/rights';
import { useMay } from '@/shell/session';
import { SettingsFrame } from '@/shell/settings-frame';
import { deliveryQuery, useRetry } from './data';
import { DeliveryStateMark, eventInWords } from './state';
import '@/i18n/lazy/deliveries';

export function DeliveryPage() {
  const { deliveryId } = useParams({ from: '/inside/settings/deliveries/$deliveryId' });
  const may = useMay('webhooks.manage', WORKSPACE);
  const query = useQuery({ ...deliveryQuery(deliveryId), enabled: may });
  if (!may) return <NoPermission missing={['webhooks.manage']} />;
  const error = query.isError ? toApiError(query.error) : null;
  if (error?.status === 404) return <NotFoundPage />;
  return (
    <SettingsFrame title={t('deliveries.title')}>
      {query.data ? (
        <Known delivery={query.data} />
      ) : error ? (
        <ErrorState error={error} onRetry={() => void query.refetch()} />
      ) : (
        <Panel>
          <LoadingRows rows={4} />
        </Panel>
      )}
    </SettingsFrame>
  );
}

function Known({ delivery }: { delivery: DeliveryDetail }) {
  const retry = useRetry(delivery.id);
  const again = () =>
    retry.mutate(undefined, {
      onSuccess: () => toast.done(t('deliveries.again_done')),
      onError: (error) => toast.failed(error),
    });
  const rows: (readonly [string, ReactNode])[] = [
    [t('deliveries.column.event'), <Code key="event" text={delivery.event} />],
  ];
  if (delivery.subject) rows.push([t('deliveries.subject'), delivery.subject]);
  if (delivery.webhook)
    rows.push([
      t('deliveries.webhook'),
      <Link
        key="webhook"
        to="/settings/webhooks/$webhookId"
        params={{ webhookId: delivery.webhook.id }}
        className="underline"
      >
        {delivery.webhook.name}
      </Link>,
    ]);
  rows.push([t('deliveries.column.to'), <Code key="to" text={delivery.to} />]);
  rows.push([t('deliveries.attempts'), t('deliveries.attempts_of', { count: delivery.attempts })]);
  rows.push([t('deliveries.made'), <Time key="made" at={delivery.created_at} look="date" />]);
  if (delivery.next_attempt_at)
    rows.push([t('deliveries.next'), <Time key="next" at={delivery.next_attempt_at} />]);
  if (delivery.finished_at)
    rows.push([t('deliveries.finished'), <Time key="end" at={delivery.finished_at} look="date" />]);
  return (
    <div className="flex flex-col gap-8">
      <div>
        <header className="mb-3 flex flex-wrap items-center gap-x-3 gap-y-2">
          <Link to="/settings/deliveries" className="hidden text-fg-3 text-lg hover:text-fg sm:block">
            {t('deliveries.title')}
          </Link>
          <ChevronRight aria-hidden className="hidden size-4 text-fg-3 sm:block" />
          <h2 className="min-w-0 flex-1 truncate font-semibold text-lg">{eventInWords(delivery)}</h2>
          <DeliveryStateMark state={delivery.state} />
          {mayRetry(delivery) && (
            <Button icon={RotateCw} busy={retry.isPending} onClick={again}>
              {t('deliveries.again')}
            </Button>
          )}
        </header>
        <Panel>
          <Facts rows={rows} />
        </Panel>
        <p className="mt-2 text-fg-3 text-xs">{t(`deliveries.state_means.${delivery.state}`)}</p>
      </div>
      <Attempts attempts={delivery.attempts_made} />
      <Payload delivery={delivery} />
    </div>
  );
}

/** A receiver knows what it has by its id; who reads mail would get it twice. */
function mayRetry({ channel, state }: DeliveryDetail): boolean {
  return channel === 'webhook' || state !== 'delivered';
}

function Attempts({ attempts }: { attempts: readonly DeliveryAttempt[] }) {
  return (
    <Section title={t('deliveries.attempts')}>
      <Panel>
        {attempts.length === 0 ? (
          <p className="px-4 py-3 text-fg-2 text-sm">{t('deliveries.attempts_none')}</p>
        ) : (
          <ol aria-label={t('deliveries.attempts')} className="divide-y text-sm">
            {attempts.map((attempt) => (
              <li key={attempt.at} className="px-4 py-2.5">
                <p className="flex flex-wrap items-center gap-x-3 gap-y-1">
                  <Badge tone={isTaken(attempt) ? 'ok' : 'bad'}>
                    {String(attempt.status ?? t('deliveries.no_answer'))}
                  </Badge>
                  <span className="min-w-0 flex-1 basis-40 break-words">{attempt.error ?? ''}</span>
                  <span className="tabular text-fg-3 text-xs">
                    {duration(attempt.duration_ms)} · <Time at={attempt.at} look="date" />
                  </span>
                </p>
                {attempt.response_excerpt && (
                  <Disclosure label={t('deliveries.response')} className="mt-1">
                    <TextBox
                      text={attempt.response_excerpt}
                      label={t('deliveries.response')}
                      className="rounded-md text-xs"
                    />
                  </Disclosure>
                )}
              </li>
            ))}
          </ol>
        )}
      </Panel>
    </Section>
  );
}

function isTaken({ status }: DeliveryAttempt): boolean {
  return status !== null && status >= 200 && status < 300;
}

function Payload({ delivery }: { delivery: DeliveryDetail }) {
  if (delivery.channel === 'mail') return <p className="text-fg-3 text-sm">{t('deliveries.payload_mail')}</p>;
  if (delivery.payload === undefined || delivery.payload === null) return null;
  const text =
    typeof delivery.payload === 'string' ? delivery.payload : JSON.stringify(delivery.payload, null, 2);
  return (
    <Section
      title={t('deliveries.payload')}
      actions={<CopyButton text={text} label={t('common.copy')} size="sm" />}
    >
      <Panel>
        <TextBox text={text} label={t('deliveries.payload')} className="max-h-96 text-xs" />
      </Panel>
    </Section>
  );
}
