import type { Held, Scope } from '@/api/types';

/** The permissions that the dashboard asks about; the hub decides, this only hides what would be refused. */
export type Permission =
  | 'servers.read'
  | 'servers.enroll'
  | 'servers.manage'
  | 'servers.exec'
  | 'jobs.read'
  | 'jobs.cancel'
  | 'projects.read'
  | 'projects.manage'
  | 'events.read'
  | 'members.read'
  | 'members.manage'
  | 'roles.manage'
  | 'api-keys.create'
  | 'api-keys.manage'
  | 'audit.read'
  | 'audit.redact'
  | 'webhooks.manage'
  | 'workspace.manage'
  | 'workspace.close'
  | 'hub.manage';

/** Where something lies: in a project, on a server, on a server of a project. */
export interface Place {
  projectId?: string | null;
  serverId?: string | null;
}

/** What concerns the whole workspace: no grant over a part of it covers that. */
export const WORKSPACE: Place = {};

export function placeOf(server: { id: string; project_id?: string | null }): Place {
  return { projectId: server.project_id ?? null, serverId: server.id };
}

/** Whether what lies there is within the scope; the same rule as the hub's. */
export function covers(scope: Scope, place: Place): boolean {
  if (scope.type === 'workspace') return true;
  return scope.type === 'project' ? place.projectId === scope.id : place.serverId === scope.id;
}

/** What is held over a place: grants add up. */
export function heldAt(grants: readonly Held[], place: Place): ReadonlySet<string> {
  return new Set(grants.filter((grant) => covers(grant.scope, place)).flatMap((grant) => grant.nodes));
}

/** What is held somewhere, if only over one thing. */
export function heldAnywhere(grants: readonly Held[]): ReadonlySet<string> {
  return new Set(grants.flatMap((grant) => grant.nodes));
}

/** Whether the permission is held there; without a place: somewhere. */
export function mayDo(grants: readonly Held[], permission: string, place?: Place): boolean {
  return grants.some(
    (grant) => grant.nodes.includes(permission) && (place === undefined || covers(grant.scope, place)),
  );
}

/**
 * Whether the permission is held on a server whose project is not known yet; `unknown` when that decides it.
 */
export function mayOnServer(
  grants: readonly Held[],
  permission: string,
  serverId: string,
): boolean | 'unknown' {
  if (mayDo(grants, permission, { serverId })) return true;
  const byProject = grants.some(
    (grant) => grant.scope.type === 'project' && grant.nodes.includes(permission),
  );
  return byProject ? 'unknown' : false;
}

/** The one server that everything held is about; null for everybody who holds more than that. */
export function onlyServer(grants: readonly Held[]): string | null {
  const [first] = grants;
  if (first?.scope.type !== 'server') return null;
  const { id } = first.scope;
  const isOne = grants.every(({ scope }) => scope.type === 'server' && scope.id === id);
  return isOne && mayDo(grants, 'servers.read', { serverId: id }) ? id : null;
}
