import { useQuery } from '@tanstack/react-query';
import { mayDo, mayOnServer, type Permission, placeOf } from '@/shell/rights';
import { useGrants } from '@/shell/session';
import { serverQuery } from './data';

/**
 * Whether the caller may on a server of which only the id is at hand; without one: somewhere. Where the server's project
 * decides, it is asked for.
 */
export function useMayAt(permission: Permission, serverId: string | undefined): boolean {
  const grants = useGrants();
  const may = serverId === undefined ? mayDo(grants, permission) : mayOnServer(grants, permission, serverId);
  const isAsked = may === 'unknown' && mayDo(grants, 'servers.read');
  const server = useQuery({ ...serverQuery(serverId ?? ''), enabled: isAsked, refetchInterval: false }).data;
  if (may !== 'unknown') return may;
  return server !== undefined && mayDo(grants, permission, placeOf(server));
}
