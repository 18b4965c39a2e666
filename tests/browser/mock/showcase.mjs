// Everything that a job, a batch or a server's trust can look like, for tests that look at it.
import { iso, uuid } from './data.mjs';
import { showPeople } from './showcase-people.mjs';
import { showTenants } from './showcase-settings.mjs';
import { showWebhooks } from './showcase-webhooks.mjs';
import { fingerprintOf, KEYS } from './trust.mjs';

const ENDS = [
  ['rejected', 'policy_denied', 'the policy of this server does not allow commands as root'],
  ['rejected', 'bad_signature', 'the signature does not fit the hub key that this server has pinned'],
  ['interrupted', 'server_restarted', 'the server restarted while the job ran'],
  ['expired', null, null],
  ['lost', 'outcome_unknown', 'the worker left no result'],
  ['failed', 'out_of_memory', 'the job was ended by the kernel for want of memory'],
];

/** Fills the mock and says where to look: ids of jobs by what they show, of batches, of servers. */
export function showcase(mock) {
  const now = Date.now();
  const online = mock.servers.filter((server) => server.status === 'online');
  const offline = mock.servers.find((server) => server.status === 'offline') ?? online.at(-1);
  const [reserved, restricted, unreadable, busy] = online.slice(4, 8);
  const operators = [
    { fingerprint: fingerprintOf(KEYS.laptop), comment: 'ada@laptop' },
    { fingerprint: fingerprintOf(KEYS.office), comment: 'grace@office' },
  ];
  Object.assign(reserved.policy, { source: 'file', require_operator_signature: ['root'], operators, file: { require_operator_signature: ['root'] } });
  Object.assign(restricted.policy, {
    source: 'file', hub_seq: 3, file: { tiers: ['read', 'typed', 'root'], users: ['deploy', 'www-data'], paths: ['/srv', '/var/www'] }, hub: { users: ['deploy'], kinds: ['exec'] },
  });
  restricted.restrictions = { rules: { users: ['deploy'], kinds: ['exec'] }, seq: 3, in_force: true };
  Object.assign(unreadable.policy, { source: 'unreadable', tiers: [], problem: 'line 4: unknown key "tier", did you mean "tiers"?' });
  offline.restrictions = { rules: { tiers: ['read', 'typed'] }, seq: 1, in_force: false };
  offline.token = { issued_at: iso(now - 31 * 86_400_000), rotation: { started_at: iso(now - 86_400_000) } };
  mock.trust.addKey({ public_key: KEYS.laptop, name: 'Laptop' });

  const jobs = {};
  const past = { created_at: iso(now - 900_000), sent_at: iso(now - 890_000), started_at: iso(now - 880_000), finished_at: iso(now - 600_000), duration_ms: 280_000 };
  for (const [state, code, message] of ENDS) {
    const neverRan = state === 'rejected' || state === 'expired';
    const job = mock.addJob(state === 'rejected' ? restricted : online[1], { command: `make ${code ?? state}`, user: 'root' }, state, {
      ...past, ...(neverRan ? { started_at: null, duration_ms: null } : {}), error: code && { code, message },
    });
    mock.logs.get(job.id).end();
    jobs[code ?? state] = job;
  }
  jobs.reconciling = mock.addJob(offline, { command: 'apt-get -y dist-upgrade' }, 'reconciling', { ...past, finished_at: null, duration_ms: null });
  jobs.queued_offline = mock.addJob(offline, { command: 'systemctl reload nginx' }, 'queued');
  mock.addJob(busy, { command: './reindex.sh' }, 'running', { ...past, finished_at: null, duration_ms: null });
  jobs.queued_behind = mock.addJob(busy, { command: './rebuild-cache.sh --all' }, 'queued', { created_at: iso(now + 1), exclusive: true, limits: { cpu_percent: 150, memory_bytes: 512 * 1024 ** 2 } });
  jobs.awaiting = mock.addJob(reserved, { command: 'systemctl restart postgresql\njournalctl -u postgresql -n 20', cwd: '/srv/app', env: { LANG: 'C' } }, 'awaiting_signature', {
    timeout_s: 600, limits: { memory_bytes: 1024 ** 3 },
  });
  mock.trust.await(jobs.awaiting);
  jobs.tampered = mock.addJob(reserved, { command: 'uptime' }, 'awaiting_signature');
  mock.trust.await(jobs.tampered, { server_id: uuid(1, 999), args: { command: 'rm -rf /srv' } });
  jobs.truncated = mock.addJob(online[2], { command: './verbose-import.sh', secret_env: { API_TOKEN: '***' } }, 'succeeded', { ...past, exit_code: 0, log: { bytes: 0, truncated: true, removed_at: null } });
  const log = mock.logs.get(jobs.truncated.id);
  log.write('import began\nrow 1\nrow 2\n');
  log.drop(734_003_200);
  log.write('row 9 999 999\nimport done\n');
  log.end();
  jobs.removed = mock.addJob(online[2], { command: './nightly.sh' }, 'succeeded', { ...past, exit_code: 0, log: { bytes: 0, truncated: false, removed_at: iso(now - 86_400_000) } });
  mock.logs.get(jobs.removed.id).end();

  const batches = { halted: haltedBatch(mock, online, jobs), large: largeBatch(mock, now) };
  batches.paused = mock.batches.add(online.slice(0, 6), { selector: { server_ids: online.slice(0, 6).map((one) => one.id) }, strategy: { batch_size: 2 }, state: 'paused', args: { command: 'certbot renew' } });
  batches.done = mock.batches.add(online.slice(0, 3), { selector: { labels: { role: 'web' } }, state: 'succeeded', wave: 0, finished_at: iso(now), created_at: iso(now - 7_200_000), args: { command: 'nginx -t && systemctl reload nginx' } });
  for (const row of batches.done.rows) row.job = { id: uuid(2, 1), state: 'succeeded', exit_code: 0, error: null, started_at: iso(now - 60_000), finished_at: iso(now), duration_ms: 1_204 };

  mock.audit.unshift(refusal(restricted, jobs.policy_denied, now));
  showTenants(mock);
  return { jobs, batches, people: showPeople(mock), webhooks: showWebhooks(mock), servers: { reserved, restricted, unreadable, offline, busy } };
}

function haltedBatch(mock, online, jobs) {
  const strategy = { canary: 1, batch_size: 3, max_failures: 0, pause_s: 60 };
  const batch = mock.batches.add(online.slice(0, 12), { selector: { labels: { env: 'prod' } }, strategy, args: { command: 'apt-get update && apt-get -y install nginx', user: 'root' } });
  const end = (row, state, code, error = null) => {
    row.job = { id: jobs.truncated.id, state, exit_code: code, error, started_at: iso(Date.now() - 40_000), finished_at: iso(Date.now() - 30_000), duration_ms: 9_400 };
  };
  end(batch.rows[0], 'succeeded', 0);
  end(batch.rows[1], 'succeeded', 0);
  end(batch.rows[2], 'failed', 100);
  end(batch.rows[3], 'rejected', null, { code: 'policy_denied', message: 'the policy of this server does not allow commands as root' });
  batch.rows[3].job.duration_ms = null;
  Object.assign(batch, { state: 'halted', wave: 1, halt: { failures: 2, message: '2 jobs failed where 0 may; nothing more is begun' } });
  return batch;
}

/** Ten thousand rows without servers behind them. */
function largeBatch(mock, now) {
  const servers = Array.from({ length: 10_000 }, (_, n) => ({ id: uuid(15, n + 1), name: `edge-${String(n + 1).padStart(5, '0')}` }));
  const batch = mock.batches.add(servers, { strategy: { canary: 10, batch_percent: 10, max_failures: 500 }, wave: 5, created_at: iso(now - 3_600_000), args: { command: 'update-ca-certificates' } });
  for (const [n, row] of batch.rows.slice(0, 5_200).entries()) {
    const failed = n % 97 === 5;
    row.job = { id: uuid(2, 1), state: n >= 5_010 ? 'running' : failed ? 'timed_out' : 'succeeded', exit_code: n >= 5_010 || failed ? null : 0, error: null, started_at: iso(now - 9_000), finished_at: n >= 5_010 ? null : iso(now), duration_ms: n >= 5_010 ? null : 800 + (n % 400) };
  }
  return batch;
}

function refusal(server, job, now) {
  return {
    id: uuid(4, 9_999), at: iso(now - 600_000), actor: { type: 'agent', id: server.id, name: server.name }, action: 'security.event', subject: { type: 'server', id: server.id, name: server.name },
    server_id: server.id, result: 'ok', ip: '203.0.113.20', user_agent: null, request_id: null,
    details: { event_id: uuid(16, 1), kind: 'security.rejected_command', severity: 'critical', subject: job.id, at: iso(now), data: { code: 'policy_denied', job_id: job.id, message: job.error.message } },
    prev_hash: null, hash: 'b5bb9d8014a0f9b1d61e21e796d78dccdf1352f23cd32812f4850b878ae4944c',
  };
}
