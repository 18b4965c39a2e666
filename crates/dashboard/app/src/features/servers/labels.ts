import { t } from '@/i18n';

const KEY = /^[a-z0-9][a-z0-9._/-]{0,62}$/;
const MAX_VALUE = 128;
const MAX_LABELS = 32;

/** Reads `env:prod, role:web` (commas, spaces or lines between). Returns the labels or what is wrong. */
export function parseLabels(
  text: string,
): { labels: Record<string, string>; error?: undefined } | { labels?: undefined; error: string } {
  const labels: Record<string, string> = {};
  for (const part of text.split(/[,\s]+/).filter(Boolean)) {
    const split = part.search(/[:=]/);
    const key = split < 0 ? part : part.slice(0, split);
    const value = split < 0 ? '' : part.slice(split + 1);
    if (!KEY.test(key)) return { error: t('servers.label_key_invalid', { key }) };
    if (value.length > MAX_VALUE) return { error: t('servers.label_value_long', { key }) };
    if (Object.hasOwn(labels, key)) return { error: t('servers.label_twice', { key }) };
    labels[key] = value;
  }
  if (Object.keys(labels).length > MAX_LABELS)
    return { error: t('servers.labels_too_many', { most: MAX_LABELS }) };
  return { labels };
}

export function labelsToText(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map(([key, value]) => (value === '' ? key : `${key}:${value}`))
    .join(', ');
}
