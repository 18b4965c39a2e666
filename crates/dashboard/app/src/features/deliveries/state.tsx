import { CircleCheck, CircleX, Clock } from 'lucide-react';
import type { Delivery, DeliveryState } from '@/api/types';
import { meaningOf } from '@/features/audit/actions';
import { t } from '@/i18n';
import { cx } from '@/kit/cx';
import { Tooltip } from '@/kit/tooltip';
import '@/i18n/lazy/deliveries';

const signs = {
  waiting: { icon: Clock, look: 'text-idle' },
  delivered: { icon: CircleCheck, look: 'text-ok' },
  failed: { icon: CircleX, look: 'text-bad' },
} as const;

export function DeliveryStateMark({ state }: { state: DeliveryState }) {
  const { icon: Icon, look } = signs[state];
  return (
    <Tooltip content={t(`deliveries.state_means.${state}`)}>
      <span className={cx('inline-flex items-center gap-1.5 whitespace-nowrap font-medium', look)}>
        <Icon aria-hidden className="size-3.5 shrink-0" />
        {t(`deliveries.state.${state}`)}
      </span>
    </Tooltip>
  );
}

/** What happened, in words where there are some. */
export function eventInWords({ channel, event }: Pick<Delivery, 'channel' | 'event'>): string {
  if (channel === 'webhook') return meaningOf(event) ?? event;
  const kind = MAILS.find((known) => known === event);
  return kind ? t(`deliveries.mail.${kind}`) : event.replaceAll('_', ' ');
}

const MAILS = [
  'api_key_made',
  'email_change_asked',
  'email_change_link',
  'email_changed',
  'invitation',
  'new_sign_in',
  'passkey_added',
  'passkey_removed',
  'password_changed',
  'password_reset',
  'recovery_code_used',
  'test',
  'totp_disabled',
  'totp_enabled',
  'webhook_disabled',
] as const;

/** What came of one attempt: a status, or why there was none. */
export function outcomeInWords({ status, error }: { status: number | null; error: string | null }): string {
  if (status !== null) return error ? `${status} · ${error}` : String(status);
  return error ?? t('deliveries.no_answer');
}
