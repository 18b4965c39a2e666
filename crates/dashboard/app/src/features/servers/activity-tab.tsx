import { useParams } from '@tanstack/react-router';
import { AuditTable } from '@/features/audit/table';

/** Everything that was done to this server and on it, by whom. */
export function ActivityTab() {
  const { serverId } = useParams({ from: '/inside/servers/$serverId' });
  return <AuditTable search={{ server: serverId }} ofOneServer />;
}
