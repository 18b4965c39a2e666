import type { Grant, Grantable, Scope } from '@/api/types';
import { t } from '@/i18n';

type PermissionView = Grantable['permissions'][number];

const AREAS = [
  'api-keys',
  'audit',
  'events',
  'hub',
  'jobs',
  'members',
  'projects',
  'roles',
  'servers',
  'webhooks',
  'workspace',
] as const;

export interface PermissionGroup {
  area: string;
  title: string;
  permissions: readonly PermissionView[];
}

/** By area, in the hub's order; those that a word fits, in their names, meanings or the area's title. */
export function groupPermissions(permissions: readonly PermissionView[], query = ''): PermissionGroup[] {
  const groups = new Map<string, PermissionView[]>();
  const words = query.trim().toLowerCase().split(/\s+/).filter(Boolean);
  for (const permission of permissions) {
    const area = permission.name.split('.')[0] ?? '';
    const text = `${areaTitle(area)} ${permission.name} ${permission.meaning}`.toLowerCase();
    if (!words.every((word) => text.includes(word))) continue;
    groups.set(area, [...(groups.get(area) ?? []), permission]);
  }
  return [...groups].map(([area, list]) => ({ area, title: areaTitle(area), permissions: list }));
}

/** An area that this dashboard does not know is called as the hub calls it. */
export function areaTitle(area: string): string {
  const known = AREAS.find((one) => one === area);
  return known ? t(`team.area.${known}`) : area.replaceAll('-', ' ');
}

export interface PlacedScope {
  scope: Scope;
  name: string | null;
}

/** Each permission of somebody with where it holds, widest first: what holds everywhere names nothing narrower. */
export function effectiveRights(
  grants: readonly Pick<Grant, 'scope' | 'scope_name' | 'permissions'>[],
): Map<string, PlacedScope[]> {
  const rights = new Map<string, PlacedScope[]>();
  for (const { scope, scope_name, permissions } of grants) {
    for (const permission of permissions) {
      const before = rights.get(permission) ?? [];
      if (before.some((known) => known.scope.type === 'workspace')) continue;
      if (scope.type === 'workspace') {
        rights.set(permission, [{ scope, name: null }]);
        continue;
      }
      const isKnown = before.some((known) => known.scope.type !== 'workspace' && known.scope.id === scope.id);
      if (!isKnown) rights.set(permission, [...before, { scope, name: scope_name }]);
    }
  }
  return rights;
}
