import { useParams } from '@tanstack/react-router';
import { JobList } from '@/features/jobs/job-list';

export function JobsTab() {
  const { serverId } = useParams({ from: '/inside/servers/$serverId' });
  return <JobList from="/inside/servers/$serverId/jobs" serverId={serverId} />;
}
