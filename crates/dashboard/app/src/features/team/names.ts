import { useQuery } from '@tanstack/react-query';
import type { Granted, Scope } from '@/api/types';
import { useProjects } from '@/features/projects/data';
import { serverQuery } from '@/features/servers/data';
import { shortId } from '@/kit/format';
import { useMay } from '@/shell/session';
import { rolesQuery } from './data';
import { grantInWords } from './words';

/** The name of a project or server; the end of its id where it cannot be known, null for the workspace. */
export function useScopeName(scope: Scope): string | null {
  const projects = useProjects();
  const mayRead = useMay('servers.read');
  const server = useQuery({
    ...serverQuery(scope.type === 'server' ? scope.id : ''),
    enabled: scope.type === 'server' && mayRead,
    refetchInterval: false,
  });
  if (scope.type === 'workspace') return null;
  if (scope.type === 'server') return server.data?.name ?? (server.isLoading ? '' : shortId(scope.id));
  return projects.find((project) => project.id === scope.id)?.name ?? shortId(scope.id);
}

/** A grant that came without the names of what it is about. */
export function useGrantWords(granted: Granted, scope: Scope): string {
  const roles = useQuery({ ...rolesQuery, enabled: 'role_id' in granted }).data;
  const role = 'role_id' in granted ? roles?.find((one) => one.id === granted.role_id)?.name : null;
  return grantInWords(granted, scope, { role, scope: useScopeName(scope) });
}
