// A hub in memory for what a real one cannot show quickly: thousands of servers, refusals, lost streams, states of jobs.
// It serves the built dashboard with the same Content-Security-Policy as the hub. `startMock()` gives its controls;
// `node mock/hub.mjs [port]` runs it alone, for `ROADSTEAD_URL=http://127.0.0.1:PORT npm run dev`.
import { spawn } from 'node:child_process';
import { createReadStream, existsSync, statSync } from 'node:fs';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { account, conflict, HttpError, notFound, page } from './answers.mjs';
import { AuditLog } from './audit.mjs';
import { Batches } from './batches.mjs';
import { deployLog, MockLog } from './logs.mjs';
import { iso, makeDetail, makeLive, makeMetrics, makeServer, makeSpark, uuid } from './data.mjs';
import { People } from './people.mjs';
import { ALL } from './rights.mjs';
import { SignIn } from './sign-in.mjs';
import { Tenancy } from './tenancy.mjs';
import { Trust } from './trust.mjs';
import { Webhooks } from './webhooks.mjs';

const dist = fileURLToPath(new URL('../../../crates/dashboard/app/dist', import.meta.url));
const types = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml', '.woff2': 'font/woff2' };
const CSP = "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; object-src 'none'";
export { account };

export async function startMock(options = {}) {
  const mock = new Mock(options);
  await mock.listen(options.port ?? 0);
  return mock;
}

class Mock {
  constructor({ servers = 14, offlineShare = 0.15, signedIn = true, needsSetup = false, permissions = ALL }) {
    const now = Date.now();
    this.needsSetup = needsSetup;
    this.signedIn = signedIn;
    this.servers = Array.from({ length: servers }, (_, n) => makeServer(n, now, offlineShare));
    this.sparks = this.servers.map((server, n) => makeSpark(n, server.status));
    this.jobs = [];
    this.logs = new Map();
    this.audit = [];
    this.auditLog = new AuditLog(this);
    this.tokens = new Map();
    this.watched = new Map();
    /** Path prefix → status to refuse it with. */
    this.failures = new Map();
    this.running = new Map();
    this.delayMs = 0;
    this.eventsDown = false;
    this.eventsRefused = 0;
    this.streams = new Set();
    this.logStreams = new Set();
    this.eventLog = [];
    this.requests = 0;
    this.batches = new Batches(this);
    this.trust = new Trust(this);
    this.people = new People(this, permissions);
    this.tenancy = new Tenancy(this);
    this.webhooks = new Webhooks(this);
    this.signIn = new SignIn(this);
    /** Whether somebody is signed in elsewhere too. */
    this.otherSessions = true;
    /** Bytes that one request of the search in a log looks through. */
    this.searchBytes = 1_048_576;
    if (servers > 0) this.seedJobs(now);
    this.ticker = setInterval(() => this.tick(), 1_000);
    this.http = createServer((request, response) => void this.handle(request, response));
  }

  listen(port) {
    return new Promise((resolve) => this.http.listen(port, '127.0.0.1', () => resolve(this)));
  }

  get url() {
    return `http://127.0.0.1:${this.http.address().port}`;
  }

  close() {
    clearInterval(this.ticker);
    this.batches.stop();
    this.trust.stop();
    for (const child of this.running.values()) process.kill(-child.pid, 'SIGKILL');
    this.cutEvents();
    this.http.closeAllConnections();
    return new Promise((resolve) => this.http.close(resolve));
  }

  /** Ends every open event stream, as a hub that restarts does. */
  cutEvents() {
    for (const stream of this.streams) stream.destroy();
    this.streams.clear();
  }

  // Lets time pass between two things a hub does.
  pace(ms) {
    return new Promise((resolve) => setTimeout(resolve, ms));
  }

  cutLogs() {
    for (const stream of this.logStreams) stream.destroy();
    this.logStreams.clear();
  }

  emit(type, subject, data, replay = true) {
    const id = String(this.eventLog.length + 1);
    const event = { id, at: iso(Date.now()), type, subject, data };
    if (replay) this.eventLog.push(event);
    const text = `${replay ? `id: ${id}\n` : ''}event: ${type}\ndata: ${JSON.stringify(event)}\n\n`;
    for (const stream of this.streams) stream.write(text);
  }

  setStatus(server, status) {
    server.status = status;
    if (status === 'online') server.last_seen_at = iso(Date.now());
    if (status === 'online' && server.restrictions?.in_force === false) this.trust.confirm(server);
    this.emit('server.status', { type: 'server', id: server.id }, { status, last_seen_at: server.last_seen_at });
  }

  addJob(server, args, state = 'queued', over = {}) {
    const now = Date.now();
    const n = this.jobs.length + 1;
    const job = {
      id: uuid(2, n), server_id: server.id, kind: 'exec', args, state, exit_code: null, signal: null, error: null,
      created_at: iso(now), sent_at: null, started_at: null, finished_at: null, duration_ms: null, timeout_s: 3600,
      expires_at: iso(now + 86_400_000), created_by: { type: 'user', id: uuid(3, 1), name: account.name },
      log: { bytes: 0, truncated: false, removed_at: null }, result: null, exclusive: false, limits: null, batch_id: null, cancel_requested_at: null, retry_of: null, ...over,
    };
    this.jobs.unshift(job);
    this.logs.set(job.id, new MockLog());
    this.emit('job.created', { type: 'job', id: job.id }, job);
    return job;
  }

  setJob(job, change) {
    Object.assign(job, change);
    job.log.bytes = this.logs.get(job.id).size;
    this.emit('job.state', { type: 'job', id: job.id }, job);
  }

  finishJob(job, state, exitCode) {
    const log = this.logs.get(job.id);
    const now = Date.now();
    log.end();
    this.setJob(job, { state, exit_code: exitCode, finished_at: iso(now), duration_ms: now - Date.parse(job.started_at ?? iso(now)) });
  }

  seedJobs(now) {
    const past = [
      ['apt-get update && apt-get -y upgrade', 'succeeded', 0, 3],
      ['df -h', 'succeeded', 0, 11],
      ['systemctl restart nginx', 'failed', 5, 26],
      ['pg_dump --format=custom app > /var/backups/app.dump', 'timed_out', null, 95],
      ['journalctl -u app --since today | tail -n 200', 'succeeded', 0, 140],
      ['rm -rf /var/cache/app/*', 'cancelled', null, 300],
    ];
    for (const [command, state, code, minutes] of past.reverse()) {
      const at = now - minutes * 60_000;
      const job = this.addJob(this.servers[this.jobs.length % this.servers.length], { command }, state, {
        created_at: iso(at), sent_at: iso(at + 20), started_at: iso(at + 60), finished_at: iso(at + 4_260), duration_ms: 4_200, exit_code: code,
      });
      for (const line of deployLog) this.logs.get(job.id).write(line, line.includes('warning') ? 'err' : 'out');
      this.logs.get(job.id).end();
      job.log.bytes = this.logs.get(job.id).size;
      if (state === 'timed_out') job.error = { code: 'timed_out', message: 'the job ran longer than its time limit and was ended' };
    }
    const running = this.addJob(this.servers[0], { command: './deploy.sh --env production', cwd: '/srv/app', user: 'deploy' }, 'running', {
      sent_at: iso(now - 40_100), started_at: iso(now - 40_000), created_at: iso(now - 40_200),
    });
    for (const line of deployLog.slice(0, 9)) this.logs.get(running.id).write(line, line.includes('warning') ? 'err' : 'out');
    running.log.bytes = this.logs.get(running.id).size;
    const actions = [
      ['session.create', 'session', null, 'ok'], ['server.update', 'server', this.servers[0], 'ok'], ['job.create', 'job', this.servers[0], 'ok'],
      ['session.create', 'session', null, 'denied'], ['install_token.create', 'install_token', null, 'ok'], ['server.revoke', 'server', this.servers.at(-1), 'failed'],
    ];
    this.audit = actions.map(([action, type, server, result], n) =>
      makeAudit(n, now - (n + 1) * 47 * 60_000, action, { type, id: type === 'server' ? server.id : uuid(5, n), name: type === 'job' ? 'exec' : (server?.name ?? '') }, result, server?.id),
    );
  }

  tick() {
    const now = Date.now();
    for (const server of this.servers) {
      if (server.status !== 'online') continue;
      const isWatched = (this.watched.get(server.id) ?? 0) > now;
      if (!isWatched && now % 10_000 > 1_000) continue;
      const level = Number.parseInt(server.id.slice(-4), 16) % 97 / 97;
      server.live = makeLive(server, now, level);
      server.last_seen_at = iso(now);
      this.emit('server.live', { type: 'server', id: server.id }, server.live, false);
    }
  }

  async handle(request, response) {
    this.requests += 1;
    const url = new URL(request.url, 'http://mock');
    try {
      if (!url.pathname.startsWith('/v1/')) return this.asset(url.pathname, response);
      if (this.delayMs > 0) await new Promise((resolve) => setTimeout(resolve, this.delayMs));
      for (const [prefix, status] of this.failures) {
        if (url.pathname.startsWith(prefix)) throw new HttpError(status, status === 403 ? 'forbidden' : 'internal', 'the mock was told to fail here');
      }
      const body = await readJson(request);
      const answer = await this.route(request, url, body, response);
      if (answer === STREAMED || response.writableEnded) return;
      if (request.method !== 'GET' && this.signedIn && !url.pathname.endsWith('/watch')) this.record(request.method, url.pathname);
      const [status, value] = Array.isArray(answer) ? answer : [200, answer];
      response.writeHead(status, { 'content-type': 'application/json', 'x-request-id': uuid(7, this.requests) });
      response.end(value === undefined ? '' : JSON.stringify(value));
    } catch (error) {
      if (response.headersSent) return response.destroy();
      const known = error instanceof HttpError ? error : new HttpError(500, 'internal', String(error));
      response.writeHead(known.status, { 'content-type': 'application/json', 'x-request-id': uuid(7, this.requests) });
      response.end(JSON.stringify({ error: { code: known.code, message: known.message, details: known.details } }));
    }
  }

  async route(request, url, body, response) {
    const key = `${request.method} ${url.pathname.replace(/[0-9a-f]{8}-[0-9a-f-]{27}/g, '{id}')}`;
    const id = /[0-9a-f]{8}-[0-9a-f-]{27}/.exec(url.pathname)?.[0];
    const query = url.searchParams;
    switch (key) {
      case 'GET /v1/setup':
        return { needs_setup: this.needsSetup };
      case 'POST /v1/setup':
        if (body.code !== account.code) throw new HttpError(422, 'validation_failed', 'the request is not valid', { fields: { code: ['is not the code that the hub printed'] } });
        this.needsSetup = false;
        this.signedIn = true;
        return [201, { user: this.people.session(this.people.owner).user, workspace: this.people.workspaces[0] }];
    }
    const open = this.signIn.publicRoute(key, body, response, request) ?? this.people.publicRoute(key, body, response);
    if (open === null) return STREAMED;
    if (open !== undefined) return open;
    const caller = this.people.caller(request);
    const special = this.signIn.route(key, id, body, caller, request) ?? this.people.route(key, id, query, body, caller, request.headers) ?? this.webhooks.route(key, id, query, body, caller, request.headers) ?? this.auditLog.route(key, id, query, body, caller, response) ?? this.tenancy.route(key, id, query, body, caller, request.headers) ?? this.batches.route(key, id, query, body) ?? this.trust.route(key, id, body);
    if (special !== undefined) return special;
    switch (key) {
      case 'POST /v1/auth/logout':
        this.signedIn = false;
        return [204];
      case 'GET /v1/events':
        return this.follow(request, response);
      case 'GET /v1/servers':
        return this.listServers(query, caller.rights);
      case 'GET /v1/servers/{id}':
        return makeDetail(this.server(id));
      case 'PATCH /v1/servers/{id}':
        return this.patchServer(this.server(id), request.headers['if-match'], body);
      case 'DELETE /v1/servers/{id}':
        this.servers = this.servers.filter((server) => server.id !== id);
        this.emit('server.deleted', { type: 'server', id }, {});
        return [204];
      case 'POST /v1/servers/{id}/watch':
        this.watched.set(id, Date.now() + (body.ttl_s ?? 30) * 1_000);
        return [204];
      case 'POST /v1/servers/{id}/revoke':
        this.setStatus(this.server(id), 'revoked');
        return this.server(id);
      case 'GET /v1/servers/{id}/metrics':
        return makeMetrics(this.server(id), Number(query.get('from')), Number(query.get('to')), Number(query.get('step')) || undefined, query.get('series').split(','));
      case 'POST /v1/servers/install-tokens':
        return [201, this.createToken(body)];
      case 'GET /v1/servers/install-tokens/{id}':
        return this.tokens.get(id) ?? Promise.reject(notFound());
      case 'POST /v1/jobs':
        return [201, this.createJob(body)];
      case 'GET /v1/jobs':
        return this.listJobs(query, caller.rights);
      case 'GET /v1/jobs/{id}':
        return this.job(id);
      case 'POST /v1/jobs/{id}/cancel':
        return [202, this.cancel(this.job(id))];
      case 'POST /v1/jobs/{id}/retry':
        return [201, this.retry(this.job(id))];
      case 'GET /v1/jobs/{id}/log':
        return this.readLog(this.job(id), query, request, response);
      case 'GET /v1/jobs/{id}/log/search':
        return this.logs.get(this.job(id).id).search(query.get('q'), Number(query.get('from') ?? 0), Number(query.get('limit') ?? 100), this.searchBytes);
      case 'GET /v1/account/sessions':
        return { data: this.sessions(), next_cursor: null };
      case 'DELETE /v1/account/sessions/{id}':
        return [204];
      case 'POST /v1/account/password':
        if (body.current_password !== account.password) throw new HttpError(401, 'invalid_credentials', 'the current password is wrong');
        return [204];
    }
    throw notFound();
  }

  record(method, path) {
    const [, , area, id, verb] = path.split('/');
    const action = `${area.replace(/s$/, '')}.${verb ?? { POST: 'create', PATCH: 'update', DELETE: 'delete' }[method]}`;
    this.audit.unshift(makeAudit(this.audit.length + 1_000, Date.now(), action, { type: area.replace(/s$/, ''), id: id ?? '', name: '' }, 'ok', area === 'servers' ? id : undefined));
  }

  server(id) {
    return this.servers.find((server) => server.id === id) ?? fail(notFound());
  }

  job(id) {
    return this.jobs.find((job) => job.id === id) ?? fail(notFound());
  }

  sessions() {
    const now = Date.now();
    const one = (n, current, user_agent, hours) => ({ id: uuid(10, n), created_at: iso(now - hours * 3_600_000), last_seen_at: iso(now - (hours - 1) * 1_800_000), expires_at: iso(now + 86_400_000), ip: `203.0.113.${n}`, user_agent, current });
    return [
      one(1, true, 'Mozilla/5.0 (X11; Linux x86_64) Chrome/141.0 Safari/537.36', 1),
      ...(this.otherSessions ? [one(2, false, 'Mozilla/5.0 (iPhone; CPU iPhone OS 19_0) Safari/605', 30),
      one(3, false, 'curl/8.9', 90)] : []),
    ];
  }

  listServers(query, rights) {
    const q = query.get('q')?.toLowerCase();
    const labels = query.getAll('label');
    const wanted = query.get('status')?.split(',');
    const matching = this.servers.filter(
      (server) =>
        rights.at({ server: server.id, project: server.project_id }).has('servers.read') && (!query.get('project_id') || server.project_id === query.get('project_id')) && (!q || server.name.includes(q) || server.host.hostname.includes(q)) && labels.every((label) => server.labels[label.split(':')[0]] === label.split(':')[1]),
    );
    const totals = { online: 0, suspect: 0, offline: 0, pending: 0, revoked: 0 };
    for (const server of matching) totals[server.status] += 1;
    const sort = query.get('sort') ?? 'name';
    const field = sort.replace('-', '');
    const rows = matching
      .filter((server) => !wanted || wanted.includes(server.status))
      .sort((a, b) => String(a[field]).localeCompare(String(b[field]), 'en', { numeric: true }) * (sort.startsWith('-') ? -1 : 1));
    const start = Number(query.get('cursor') ?? 0);
    const limit = Number(query.get('limit') ?? 50);
    const data = rows.slice(start, start + limit);
    const withSpark = query.get('include') === 'spark';
    return {
      data: withSpark ? data.map((server) => ({ ...server, spark: this.sparks[this.servers.indexOf(server)] ?? null })) : data,
      next_cursor: start + limit < rows.length ? String(start + limit) : null,
      totals,
    };
  }

  patchServer(server, ifMatch, body) {
    if (ifMatch && ifMatch !== `"${server.version}"`) throw new HttpError(412, 'conflict', 'the server was changed in the meantime');
    Object.assign(server, body, { version: server.version + 1 });
    this.emit('server.updated', { type: 'server', id: server.id }, server);
    return server;
  }

  createToken(body) {
    const token = { id: uuid(11, this.tokens.size + 1), name: body.name ?? null, status: 'pending', server_id: null, expires_at: iso(Date.now() + 3_600_000), used_at: null };
    this.tokens.set(token.id, token);
    this.pendingLabels = body.labels ?? {};
    const secret = 'rsi_Jx3nUq7c2Kd9VbQm5Zt1';
    const command = `curl -fsSk --pinnedpubkey 'sha256//Zm9yIHRoZSBtb2NrIGh1YiBvbmx5LCAzMiBieXRlcyE=' ${this.url}/install.sh | RS_TOKEN=${secret} RS_HUB_KEY=9f2c6c1e0b5d4a7f8e3b2a190d8c7b6a5f4e3d2c1b0a99887766554433221100 sh`;
    return { id: token.id, token: secret, command, expires_at: token.expires_at, hub_fingerprint: '9f2c6c1e0b5d4a7f8e3b2a190d8c7b6a5f4e3d2c1b0a99887766554433221100' };
  }

  /** An agent registers with the newest token, and reports a moment later. */
  enroll() {
    const token = [...this.tokens.values()].at(-1);
    const server = makeServer(9_000 + this.servers.length, Date.now(), 0);
    Object.assign(server, { name: token.name ?? 'fresh', labels: this.pendingLabels, status: 'pending', live: null, last_seen_at: null });
    this.servers.push(server);
    this.sparks.push(makeSpark(0, 'online'));
    Object.assign(token, { status: 'used', server_id: server.id, used_at: iso(Date.now()) });
    this.emit('install_token.used', { type: 'install_token', id: token.id }, { server_id: server.id });
    this.emit('server.created', { type: 'server', id: server.id }, server);
    setTimeout(() => this.setStatus(server, 'online'), 400);
    return server;
  }

  createJob({ server_id, args, kind, timeout_s, expires_in_s = 86_400, exclusive = false, limits = null }) {
    const server = this.server(server_id);
    const hidden = args.secret_env && Object.fromEntries(Object.keys(args.secret_env).map((name) => [name, '***']));
    const isReserved = this.trust.isReserved(server);
    const job = this.addJob(server, hidden ? { ...args, secret_env: hidden } : args, isReserved ? 'awaiting_signature' : 'queued', {
      timeout_s: timeout_s ?? 3600, expires_at: iso(Date.now() + expires_in_s * 1_000), exclusive, limits,
    });
    if (isReserved) this.trust.await(job);
    else if (server.status === 'online') setTimeout(() => this.execute(job), 50);
    return { ...job };
  }

  retry(job) {
    if (job.args.secret_env) throw conflict('the secrets of this job were erased when it ended; make a new one');
    return this.createJob({ server_id: job.server_id, args: job.args, exclusive: job.exclusive, limits: job.limits });
  }

  /** Runs the job here; its output arrives as it is written. */
  execute(job) {
    const now = iso(Date.now());
    const [program, ...rest] = job.args.argv ?? ['/bin/sh', '-c', job.args.command];
    const child = spawn(program, rest, { detached: true, stdio: ['ignore', 'pipe', 'pipe'], env: { PATH: process.env.PATH } });
    const log = this.logs.get(job.id);
    this.running.set(job.id, child);
    this.setJob(job, { state: 'running', sent_at: now, started_at: now });
    child.stdout.setEncoding('utf8').on('data', (text) => log.write(text));
    child.stderr.setEncoding('utf8').on('data', (text) => log.write(text, 'err'));
    child.on('close', (code) => {
      this.running.delete(job.id);
      this.finishJob(job, job.isCancelled ? 'cancelled' : code === 0 ? 'succeeded' : 'failed', job.isCancelled ? null : code);
    });
  }

  cancel(job) {
    job.isCancelled = true;
    const child = this.running.get(job.id);
    if (child) process.kill(-child.pid, 'SIGKILL');
    else this.finishJob(job, 'cancelled', null);
    return job;
  }

  listJobs(query, rights) {
    const states = query.get('state')?.split(',');
    const wanted = (name) => query.get(name);
    const rows = this.jobs.filter(
      (job) => rights.at(this.people.placeOfServer(job.server_id)).has('jobs.read') && (!states || states.includes(job.state)) && (!wanted('server_id') || job.server_id === wanted('server_id')) && (!wanted('batch_id') || job.batch_id === wanted('batch_id')),
    );
    return page(rows, query);
  }

  async readLog(job, query, request, response) {
    const log = this.logs.get(job.id);
    const from = Number(request.headers['last-event-id'] ?? query.get('from') ?? 0);
    if (query.get('follow') !== 'true') return log.page(from, Number(query.get('limit') ?? 262_144));
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    response.flushHeaders();
    this.logStreams.add(response);
    response.on('close', () => {
      this.logStreams.delete(response);
      log.wake();
    });
    const closed = once(response, 'close');
    let next = from;
    while (!response.destroyed) {
      for (const chunk of log.from(next)) {
        next = chunk.offset + chunk.bytes;
        const more = response.write(`id: ${next}\nevent: log\ndata: ${JSON.stringify(chunk)}\n\n`);
        if (!more) await Promise.race([once(response, 'drain'), closed]);
        if (response.destroyed) return STREAMED;
      }
      if (log.isComplete) {
        response.end(`event: end\ndata: ${JSON.stringify(job)}\n\n`);
        return STREAMED;
      }
      await log.changed();
    }
    return STREAMED;
  }

  follow(request, response) {
    if (this.eventsDown) {
      this.eventsRefused += 1;
      throw new HttpError(503, 'unavailable', 'the hub is restarting');
    }
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    response.flushHeaders();
    const lastId = Number(request.headers['last-event-id'] ?? Number.NaN);
    if (Number.isNaN(lastId)) response.write(`id: ${this.eventLog.length}\nevent: hello\ndata: ${JSON.stringify({ id: String(this.eventLog.length) })}\n\n`);
    else for (const event of this.eventLog.slice(lastId)) response.write(`id: ${event.id}\nevent: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`);
    this.streams.add(response);
    response.on('close', () => this.streams.delete(response));
    return STREAMED;
  }

  asset(path, response) {
    const wanted = normalize(join(dist, path));
    const isFile = wanted.startsWith(dist) && existsSync(wanted) && statSync(wanted).isFile();
    const file = isFile ? wanted : join(dist, 'index.html');
    response.writeHead(200, { 'content-type': types[extname(file)] ?? 'application/octet-stream', 'content-security-policy': CSP, 'cache-control': 'no-cache' });
    createReadStream(file).pipe(response);
  }
}

function makeAudit(n, at, action, subject, result, serverId = null) {
  return {
    id: uuid(4, n + 1), at: iso(at), actor: { type: 'user', id: uuid(3, 1), name: account.name }, action, subject, server_id: serverId, result,
    ip: '203.0.113.7', user_agent: 'Mozilla/5.0 Firefox/141.0', request_id: uuid(6, n), details: subject.name ? { name: subject.name } : {},
    prev_hash: null, position: 4_812 - n, redacted_at: null, hash: 'b5bb9d8014a0f9b1d61e21e796d78dccdf1352f23cd32812f4850b878ae4944c',
  };
}

const STREAMED = Symbol('streamed');

function fail(error) {
  throw error;
}

async function readJson(request) {
  let text = '';
  for await (const part of request) text += part;
  return text === '' ? {} : JSON.parse(text);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const mock = await startMock({ port: Number(process.argv[2] ?? 8080), servers: Number(process.argv[3] ?? 14) });
  console.log(`mock hub at ${mock.url}`);
}
