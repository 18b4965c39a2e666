import type { WebhookCreated } from '@/api/types';
import { t } from '@/i18n';
import { Disclosure } from '@/kit/disclosure';
import type { ShownOnce } from '@/kit/shown-once';
import '@/i18n/lazy/webhooks';

/** The only time that the secret is seen. */
export function secretOf({ secret }: WebhookCreated): ShownOnce {
  return {
    label: t('webhooks.secret'),
    value: secret,
    note: t('webhooks.secret_once'),
    more: <HowToCheck />,
  };
}

export function HowToCheck() {
  return (
    <Disclosure label={t('webhooks.check')}>
      <p className="text-fg-2 text-sm">{t('webhooks.check_body')}</p>
    </Disclosure>
  );
}
