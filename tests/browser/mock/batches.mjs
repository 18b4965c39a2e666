// Job batches of the mock: waves, halting, pausing, as the hub does them. Their jobs are not executed, they end after
// `batchJobMs` with the code that `outcomes` has for the server's name, or 0.
import { account, conflict, invalid, notFound, page } from './answers.mjs';
import { iso, uuid } from './data.mjs';

/** Between a change and its event; several changes make one. */
const COALESCE_MS = 60;

export class Batches {
  constructor(mock) {
    this.mock = mock;
    this.all = [];
    this.batchJobMs = 120;
    this.outcomes = new Map();
    /** What was asked for, word for word. */
    this.asked = [];
    this.timers = new Set();
  }

  stop() {
    for (const timer of this.timers) clearTimeout(timer);
  }

  route(key, id, query, body) {
    switch (key) {
      case 'GET /v1/job-batches': {
        const states = query.get('state')?.split(',');
        return page(this.all.map((one) => this.view(one)).filter((one) => !states || states.includes(one.state)), query);
      }
      case 'POST /v1/job-batches':
        this.asked.push(body);
        return [201, this.view(this.create(body))];
      case 'GET /v1/job-batches/{id}':
        return this.view(this.one(id));
      case 'GET /v1/job-batches/{id}/servers':
        return page(this.rows(this.one(id), query.get('state')), query);
      case 'POST /v1/job-batches/{id}/pause':
        return [202, this.act(this.one(id), ['running'], 'paused')];
      case 'POST /v1/job-batches/{id}/resume':
        return [202, this.act(this.one(id), ['paused', 'halted'], 'running')];
      case 'POST /v1/job-batches/{id}/cancel':
        return [202, this.act(this.one(id), ['running', 'paused', 'halted'], 'cancelled')];
    }
    return undefined;
  }

  one(id) {
    const batch = this.all.find((known) => known.id === id);
    if (!batch) throw notFound();
    return batch;
  }

  create({ selector, strategy, ...work }) {
    const given = Object.keys(selector ?? {}).filter((name) => selector[name] !== null);
    const isEmpty = given.length !== 1 || selector.all === false || selector.server_ids?.length === 0 || (selector.labels && Object.keys(selector.labels).length === 0);
    if (isEmpty) throw invalid('selector', 'must name servers by server_ids or labels, or say all: true');
    if (strategy?.batch_size && strategy?.batch_percent) throw invalid('strategy', 'takes batch_size or batch_percent, not both');
    const isWanted = (server) =>
      selector.all || selector.server_ids?.includes(server.id) || (selector.labels && Object.entries(selector.labels).every(([name, value]) => server.labels[name] === value));
    const servers = this.mock.servers.filter((server) => server.status !== 'revoked' && isWanted(server));
    if (servers.length === 0) throw invalid('selector', 'matches no server');
    const batch = this.add(servers, { ...work, selector, strategy });
    this.mock.emit('job_batch.created', { type: 'job_batch', id: batch.id }, this.view(batch));
    this.begin(batch);
    return batch;
  }

  /** A batch as it stands, without beginning it: for states that a test wants to look at. */
  add(servers, { selector = { all: true }, strategy = {}, ...over }) {
    const sizes = wavesOf(servers.length, strategy ?? {});
    let wave = 0;
    let room = sizes[0];
    const rows = servers.map((server) => {
      if (room === 0) {
        wave += 1;
        room = sizes[wave];
      }
      room -= 1;
      return { server_id: server.id, server_name: server.name, wave, job: null };
    });
    const batch = {
      id: uuid(13, this.all.length + 1), kind: 'exec', args: { command: 'true' }, timeout_s: 3600, expires_in_s: 3600, exclusive: false, limits: null, selector,
      strategy: { canary: null, batch_size: null, batch_percent: null, max_failures: null, pause_s: null, ...strategy },
      state: 'running', halt: null, wave: 0, waves: sizes.length, next_wave_at: null, created_at: iso(Date.now()),
      created_by: { type: 'user', id: uuid(3, 1), name: account.name }, finished_at: null, rows, forgiven: 0, ...over,
    };
    this.all.unshift(batch);
    return batch;
  }

  view({ rows, forgiven, ...batch }) {
    const counts = { total: rows.length, waiting: 0, active: 0, succeeded: 0, failed: 0 };
    for (const row of rows) counts[stateOf(row)] += 1;
    return { ...batch, counts };
  }

  rows(batch, state) {
    return batch.rows
      .filter((row) => !state || stateOf(row) === state)
      .map((row) => ({ ...row, job: row.job && pick(row.job, ['id', 'state', 'exit_code', 'error', 'started_at', 'finished_at', 'duration_ms']) }));
  }

  act(batch, from, to) {
    if (!from.includes(batch.state)) throw conflict(`the batch is ${batch.state}`);
    if (to === 'running') {
      batch.forgiven = this.view(batch).counts.failed;
      batch.halt = null;
    }
    batch.state = to;
    if (to === 'cancelled') {
      batch.finished_at = iso(Date.now());
      for (const row of batch.rows) if (row.job && isActive(row.job)) this.mock.finishJob(row.job, 'cancelled', null);
    }
    if (to === 'running') {
      this.begin(batch);
      // A wave that had ended when it was held gives way to the next.
      if (this.view(batch).counts.active === 0) this.weigh(batch);
    }
    this.changed(batch);
    return this.view(batch);
  }

  /** Makes the jobs of the wave that is due. */
  begin(batch) {
    if (batch.state !== 'running') return;
    for (const row of batch.rows) if (row.wave === batch.wave && row.job === null) this.start(batch, row);
    this.changed(batch);
  }

  start(batch, row) {
    const server = this.mock.servers.find((one) => one.id === row.server_id);
    row.job = this.mock.addJob(server, batch.args, 'queued', { batch_id: batch.id, exclusive: batch.exclusive, limits: batch.limits });
    if (server.status !== 'online') return;
    const now = iso(Date.now());
    this.mock.setJob(row.job, { state: 'running', sent_at: now, started_at: now });
    this.later(this.batchJobMs, () => {
      if (!row.job || !isActive(row.job)) return;
      const code = this.outcomes.get(server.name) ?? 0;
      this.mock.logs.get(row.job.id).write(code === 0 ? 'done\n' : 'no space left on device\n', code === 0 ? 'out' : 'err');
      this.mock.finishJob(row.job, code === 0 ? 'succeeded' : 'failed', code);
      this.weigh(batch);
    });
  }

  /** After an end: halts, goes on with the next wave, or is over. */
  weigh(batch) {
    if (batch.state === 'cancelled') return;
    const { counts } = this.view(batch);
    const failures = counts.failed - batch.forgiven;
    const most = batch.strategy.max_failures ?? 0;
    const isOver = counts.waiting === 0 && counts.active === 0;
    if (failures > most && batch.state === 'running') {
      batch.state = 'halted';
      batch.halt = { failures, message: `${failures} jobs failed where ${most} may; nothing more is begun` };
      // What was not sent is taken back.
      for (const row of batch.rows) {
        if (row.job?.state !== 'queued') continue;
        this.mock.finishJob(row.job, 'cancelled', null);
        row.job = null;
      }
    } else if (isOver && batch.state === 'running') {
      batch.state = counts.failed > 0 ? 'failed' : 'succeeded';
      batch.finished_at = iso(Date.now());
    } else if (batch.state === 'running' && batch.rows.every((row) => row.wave !== batch.wave || (row.job && !isActive(row.job)))) {
      batch.wave += 1;
      const pause = (batch.strategy.pause_s ?? 0) * 1_000;
      batch.next_wave_at = pause > 0 ? iso(Date.now() + pause) : null;
      this.later(pause, () => {
        batch.next_wave_at = null;
        this.begin(batch);
      });
    }
    this.changed(batch);
  }

  changed(batch) {
    if (batch.isAnnounced) return;
    Object.defineProperty(batch, 'isAnnounced', { value: true, configurable: true, enumerable: false });
    this.later(COALESCE_MS, () => {
      delete batch.isAnnounced;
      this.mock.emit('job_batch.state', { type: 'job_batch', id: batch.id }, this.view(batch));
    });
  }

  later(ms, work) {
    const timer = setTimeout(() => {
      this.timers.delete(timer);
      work();
    }, ms);
    this.timers.add(timer);
  }
}

function stateOf({ job }) {
  if (job === null) return 'waiting';
  if (isActive(job)) return 'active';
  return job.state === 'succeeded' ? 'succeeded' : 'failed';
}

function isActive(job) {
  return ['queued', 'awaiting_signature', 'sent', 'running', 'reconciling'].includes(job.state);
}

export function wavesOf(total, { canary, batch_size, batch_percent }) {
  const first = Math.min(canary ?? 0, total);
  const size = batch_size ?? (batch_percent ? Math.max(1, Math.ceil((total * batch_percent) / 100)) : total);
  const waves = first > 0 ? [first] : [];
  for (let left = total - first; left > 0; left -= size) waves.push(Math.min(size, left));
  return waves;
}

function pick(object, names) {
  return Object.fromEntries(names.map((name) => [name, object[name]]));
}
