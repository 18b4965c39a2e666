import i18next from 'i18next';
import '@/i18n';

/** `servers.exec` → `run commands on servers`; a permission that this dashboard does not know keeps its name. */
export function permissionInWords(name: string): string {
  const key = `rights.${name}`;
  const words: unknown = i18next.exists(key) ? i18next.t(key as never, { returnObjects: true }) : null;
  return typeof words === 'string' ? words : name;
}

/** Several, as part of a sentence. */
export function permissionsInWords(names: readonly string[]): string {
  return new Intl.ListFormat('en-GB', { type: 'conjunction' }).format(names.map(permissionInWords));
}

/** Which permissions somebody lacks, and who can give them: nobody gives what they do not hold themselves. */
export function missingInWords(missing: readonly string[]): string {
  const who = missing.includes('hub.manage')
    ? i18next.t('error.forbidden_who_hub')
    : missing.includes('workspace.close')
      ? i18next.t('error.forbidden_who_owner')
      : i18next.t('error.forbidden_who');
  return `${i18next.t('error.forbidden_missing', { what: permissionsInWords(missing) })} ${who}`;
}
