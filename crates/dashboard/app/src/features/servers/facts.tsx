import type { ReactNode } from 'react';
import type { ServerDetail } from '@/api/types';
import { useProjects } from '@/features/projects/data';
import { t } from '@/i18n';
import { Code } from '@/kit/code-block';
import { bytes, duration } from '@/kit/format';
import { Facts, Panel, Section } from '@/kit/page';
import { Time } from '@/kit/time';

/** What the machine is, as it said at its last hello. */
export function ServerFacts({ server }: { server: ServerDetail }) {
  const { host, agent } = server;
  const rows: (readonly [string, ReactNode])[] = [];
  const add = (name: string, value: ReactNode) => {
    if (value !== null && value !== undefined && value !== '') rows.push([name, value]);
  };
  if (host) {
    add(t('servers.fact.hostname'), <Code text={host.hostname} />);
    add(t('servers.fact.os'), `${host.os} ${host.os_version}`.trim());
    add(t('servers.fact.kernel'), <Code text={host.kernel} />);
    add(t('servers.fact.arch'), host.arch);
    add(t('servers.fact.cpus'), host.cpus);
    add(t('servers.fact.memory'), bytes(host.memory_bytes));
  }
  if (server.live) add(t('servers.column.uptime'), duration(server.live.uptime_s * 1_000));
  add(t('servers.fact.processes'), server.processes);
  if (agent) add(t('servers.fact.agent'), `${agent.version} · ${agent.target}`);
  const project = useProjects().find((one) => one.id === server.project_id);
  add(t('projects.of_project'), project?.name);
  const usage = server.agent_usage;
  if (usage)
    add(
      t('servers.fact.agent_usage'),
      t('servers.fact.agent_usage_value', {
        memory: bytes(usage.rss_bytes),
        spool: bytes(usage.spool_bytes),
      }),
    );
  const skew = server.clock_offset_ms;
  if (typeof skew === 'number') add(t('servers.fact.clock'), clockOffset(skew));
  if (server.registered_at) add(t('servers.fact.registered'), <Time at={server.registered_at} look="date" />);
  add(t('servers.fact.id'), <Code text={server.id} copy />);
  return (
    <Section title={t('servers.facts')}>
      <Panel>
        <Facts rows={rows} />
      </Panel>
    </Section>
  );
}

const NOTICEABLE_MS = 500;

function clockOffset(ms: number): ReactNode {
  if (Math.abs(ms) < NOTICEABLE_MS) return t('servers.fact.clock_right');
  const seconds = (Math.abs(ms) / 1_000).toFixed(1);
  return (
    <span className="text-warn">
      {ms > 0 ? t('servers.fact.clock_ahead', { seconds }) : t('servers.fact.clock_behind', { seconds })}
    </span>
  );
}
