import type { BuiltInRole, Grant, Granted, Scope } from '@/api/types';
import { t } from '@/i18n';

/** What the ids of a grant are called, as far as that is known. */
export interface GrantNames {
  role?: string | null;
  scope?: string | null;
}

export function builtInName(role: BuiltInRole): string {
  return t(`team.role.word.${role}`);
}

/** `Operator`, `Night shift`, `3 permissions`. */
export function grantedInWords(granted: Granted, roleName?: string | null): string {
  if ('role' in granted) return builtInName(granted.role);
  if ('role_id' in granted) return roleName ?? t('team.holds.unknown_role');
  return t('team.holds.permissions', { count: granted.permissions.length });
}

/** `project Shop`, `server web-1`; what has no known name is told by its kind alone. */
export function scopeInWords(scope: Scope, name?: string | null): string {
  if (scope.type === 'workspace') return t('team.everywhere');
  return t(`team.holds.named_${scope.type}`, { name: name ?? '' }).trim();
}

/** `Operator of project Shop`, `2 permissions on server web-1`, `Admin of the workspace`. */
export function grantInWords(granted: Granted, scope: Scope, names: GrantNames): string {
  const what = grantedInWords(granted, names.role);
  if ('permissions' in granted) {
    if (scope.type === 'workspace') return t('team.holds.some_workspace', { what });
    return t('team.holds.some', { what, place: scopeInWords(scope, names.scope) });
  }
  if (scope.type === 'workspace') return t('team.holds.workspace', { what });
  return t(`team.holds.${scope.type}`, { what, name: names.scope ?? '' }).trim();
}

/** The same for a grant that came with its names. */
export function knownGrantInWords(grant: Grant): string {
  const role = 'role_id' in grant.granted ? grant.role_name : null;
  return grantInWords(grant.granted, grant.scope, { role, scope: grant.scope_name });
}

export function sameGrant(
  a: { granted: Granted; scope: Scope },
  b: { granted: Granted; scope: Scope },
): boolean {
  return identity(a) === identity(b);
}

function identity({ granted, scope }: { granted: Granted; scope: Scope }): string {
  const what =
    'role' in granted
      ? `role ${granted.role}`
      : 'role_id' in granted
        ? `own ${granted.role_id}`
        : [...granted.permissions].sort().join(' ');
  return `${what} @ ${scope.type === 'workspace' ? '' : scope.id}`;
}
