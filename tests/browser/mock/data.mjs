// Made-up servers, jobs and metrics, the same at every start.
const NAMES = ['atlas', 'breton', 'cove', 'delta', 'ember', 'fjord', 'gale', 'harbor', 'inlet', 'juno', 'kelp', 'lagoon'];
const ROLES = ['web', 'db', 'cache', 'queue', 'build'];
const GIB = 1024 ** 3;

/** A small seeded generator (mulberry32): numbers repeat from run to run. */
export function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

export function uuid(kind, n) {
  return `0193c0de-${kind.toString(16).padStart(4, '0')}-7000-8000-${n.toString(16).padStart(12, '0')}`;
}

export const iso = (ms) => new Date(ms).toISOString();

export function makeServer(n, now, offlineShare) {
  const roll = random(n + 1);
  const role = ROLES[n % ROLES.length];
  const spread = roll();
  const status = spread < offlineShare ? 'offline' : spread < offlineShare + 0.02 ? 'suspect' : 'online';
  const silentFor = status === 'offline' ? 3_600_000 + roll() * 86_400_000 : status === 'suspect' ? 75_000 : roll() * 20_000;
  const memory = (2 + 2 * Math.floor(roll() * 8)) * GIB;
  const server = {
    id: uuid(1, n + 1),
    name: `${NAMES[n % NAMES.length]}-${role}-${Math.floor(n / NAMES.length) + 1}`,
    project_id: null,
    labels: { env: n % 4 === 0 ? 'staging' : 'prod', role },
    status,
    maintenance: n % 23 === 7,
    last_seen_at: iso(now - silentFor),
    registered_at: iso(now - 30 * 86_400_000),
    agent: { version: '0.1.0', target: 'x86_64-unknown-linux-musl' },
    host: {
      hostname: `${NAMES[n % NAMES.length]}.example.net`,
      os: 'Debian GNU/Linux',
      os_version: '12',
      kernel: '6.1.0-28-amd64',
      arch: 'x86_64',
      cpus: 4,
      memory_bytes: memory,
      boot_id: uuid(9, n),
    },
    live: null,
    policy: openPolicy(),
    restrictions: null,
    token: { issued_at: iso(now - 9 * 86_400_000), rotation: null },
    version: 1,
  };
  server.live = makeLive(server, now - silentFor, roll());
  return server;
}

export function makeLive(server, at, level) {
  const wave = (period, phase) => 0.5 + 0.5 * Math.sin(at / period + phase * 7);
  return {
    at: iso(at),
    cpu_percent: Math.min(100, 6 + 60 * level * wave(41_000, level) + 6 * wave(7_000, 1)),
    memory_percent: 25 + 55 * level + 3 * wave(97_000, 2),
    disk_percent: 18 + 77 * level,
    load1: 0.1 + 3 * level * wave(60_000, 3),
    rx_bytes_per_s: 4_000 + 900_000 * level * wave(23_000, 4),
    tx_bytes_per_s: 2_000 + 400_000 * level * wave(29_000, 5),
    uptime_s: 400_000 + Math.floor(level * 9_000_000),
  };
}

export function makeSpark(n, status) {
  const roll = random(n + 77);
  const line = (base) => Array.from({ length: 30 }, (_, i) => (status === 'offline' && i > 22 ? null : Math.min(100, base + 14 * Math.sin(i / 3 + n) + roll() * 9)));
  return { step_s: 60, cpu_percent: line(12 + (n % 50)), memory_percent: line(30 + (n % 40)) };
}

export function makeDetail(server) {
  const memory = server.host.memory_bytes;
  const used = memory * ((server.live?.memory_percent ?? 40) / 100);
  return {
    ...server,
    filesystems: [
      { mount: '/', fs: 'ext4', total_bytes: 80 * GIB, used_bytes: 61 * GIB, inodes_total: 5_242_880, inodes_used: 612_000 },
      { mount: '/var/lib/postgresql', fs: 'xfs', total_bytes: 400 * GIB, used_bytes: 377 * GIB, inodes_total: 0, inodes_used: 0 },
      { mount: '/boot', fs: 'ext2', total_bytes: GIB, used_bytes: GIB / 5, inodes_total: 65_536, inodes_used: 340 },
    ],
    interfaces: [
      { name: 'eth0', rx_bytes: 812 * GIB, tx_bytes: 233 * GIB, rx_errors: 0, tx_errors: 0 },
      { name: 'wg0', rx_bytes: 12 * GIB, tx_bytes: 9 * GIB, rx_errors: 3, tx_errors: 0 },
    ],
    cpu: { per_core_percent: [12, 40, 8, 22], iowait_percent: 0.6, steal_percent: 0.1 },
    memory: { total_bytes: memory, used_bytes: used, available_bytes: memory - used, cached_bytes: memory * 0.2, swap_total_bytes: GIB, swap_used_bytes: 0 },
    processes: 143,
    agent_usage: { rss_bytes: 6_100_000, cpu_ms: 4_210, spool_bytes: 0 },
    clock_offset_ms: 12,
  };
}

/** Waves with noise and one hour of silence in every day. */
export function makeMetrics(server, from, to, step, names) {
  const width = step ?? Math.max(10, Math.ceil((to - from) / 360 / 10) * 10);
  const first = Math.ceil(from / width) * width;
  const t = [];
  for (let at = first; at <= to; at += width) t.push(at);
  const memory = server.host.memory_bytes;
  const shapes = {
    'cpu.percent': (x, r) => 22 + 18 * x + 10 * r,
    'cpu.iowait_percent': (x, r) => 1.5 * r,
    'cpu.steal_percent': (_, r) => 0.4 * r,
    'memory.used_bytes': (x) => memory * (0.45 + 0.1 * x),
    'memory.cached_bytes': (x) => memory * (0.2 + 0.04 * x),
    'swap.used_bytes': () => 40_000_000,
    'load.1': (x, r) => 0.8 + 0.6 * x + 0.4 * r,
    'load.5': (x) => 0.8 + 0.5 * x,
    'load.15': (x) => 0.8 + 0.4 * x,
    'network.rx_bytes_per_s': (x, r) => 400_000 * (1 + x) + 200_000 * r,
    'network.tx_bytes_per_s': (x, r) => 150_000 * (1 + x) + 90_000 * r,
    'disk.read_bytes_per_s': (_, r) => 90_000 * r,
    'disk.write_bytes_per_s': (x, r) => 300_000 * (1 + x) + 700_000 * r * r,
    'filesystem.percent': () => 94.2,
  };
  const series = {};
  for (const name of names) {
    const roll = random(name.length * 31 + first);
    const shape = shapes[name] ?? (() => null);
    series[name] = t.map((at) => (at % 86_400 > 30_000 && at % 86_400 < 33_600 ? null : shape(Math.sin(at / 4_000 + name.length), roll())));
  }
  return { from: iso(from * 1_000), to: iso(to * 1_000), step_s: width, t, series };
}

/** Of a host without a policy file: everything is allowed. */
export function openPolicy() {
  return { source: 'absent', tiers: ['read', 'typed', 'root'], denied_kinds: [], require_operator_signature: [], problem: null, file: null, hub: null, hub_seq: 0, operators: [] };
}
