import { t } from '@/i18n';
import '@/i18n/lazy/webhooks';

/** What is wrong with an address; whether it leads anywhere is for the hub to see. */
export function urlProblem(text: string, allowPrivate: boolean): string | undefined {
  if (text.trim() === '') return t('auth.required');
  const url = URL.canParse(text.trim()) ? new URL(text.trim()) : null;
  if (!url || !['http:', 'https:'].includes(url.protocol)) return t('webhooks.url_invalid');
  if (url.username !== '' || url.password !== '') return t('webhooks.url_user');
  return url.protocol === 'http:' && !allowPrivate ? t('webhooks.url_plain') : undefined;
}

export function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).host : url;
}
