import type { BuiltInRole, Granted, Project, Scope, Server } from '@/api/types';
import { t } from '@/i18n';
import { type Place, placeOf, WORKSPACE } from '@/shell/rights';

export type ScopeKind = Scope['type'];

/** Where something will hold, as a form has it. */
export interface ScopeValues {
  /** Named as the hub names the field, so that what it says about it stands here. */
  scope: ScopeKind;
  project: Pick<Project, 'id' | 'name'> | null;
  server: Pick<Server, 'id' | 'name' | 'project_id'> | null;
}

export const wholeWorkspace: ScopeValues = { scope: 'workspace', project: null, server: null };

/** Null until something is chosen. */
export function scopeOf({ scope, project, server }: ScopeValues): Scope | null {
  if (scope === 'workspace') return { type: 'workspace' };
  if (scope === 'project') return project && { type: 'project', id: project.id };
  return server && { type: 'server', id: server.id };
}

/** Where that is; null until something is chosen. */
export function placeOfValues({ scope, project, server }: ScopeValues): Place | null {
  if (scope === 'workspace') return WORKSPACE;
  if (scope === 'project') return project && { projectId: project.id };
  return server && placeOf(server);
}

export function scopeProblem(values: ScopeValues): string | undefined {
  if (scopeOf(values)) return undefined;
  return values.scope === 'project' ? t('team.grant.choose_project') : t('team.grant.choose_server');
}

/** What will be granted and where, as a form has it. */
export interface GrantValues extends ScopeValues {
  /** `role:operator`, `own:ID` or `permissions`; named as the hub names the field. */
  granted: string;
  permissions: string[];
}

export const blankGrant: GrantValues = { ...wholeWorkspace, granted: 'role:viewer', permissions: [] };

export function grantedOf({ granted, permissions }: GrantValues): Granted {
  const [kind, name = ''] = granted.split(':');
  if (kind === 'role') return { role: name as BuiltInRole };
  return kind === 'own' ? { role_id: name } : { permissions };
}

export function grantProblems(values: GrantValues): { granted?: string; scope?: string } {
  return {
    granted:
      values.granted === 'permissions' && values.permissions.length === 0
        ? t('team.grant.choose_permissions')
        : undefined,
    scope: scopeProblem(values),
  };
}
