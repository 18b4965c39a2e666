// Operators' keys and signatures, restrictions and tokens of the mock.
import { createHash } from 'node:crypto';
import { account, conflict, HttpError, invalid, notFound } from './answers.mjs';
import { iso, openPolicy, uuid } from './data.mjs';

/** Until an agent has answered. */
const AGENT_MS = 150;
/** A key that exists nowhere, with its fingerprint. */
export const KEYS = {
  laptop: 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHY8Qm0b2m1m0aVn3n5b1gq0j5kP2c8h1uV7r0w3x4y5 ada@laptop',
  office: 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJq2b3c4d5e6f7g8h9i0jKkLlMmNnOoPpQqRrSsTtUuV grace@office',
};

export function fingerprintOf(publicKey) {
  return `SHA256:${createHash('sha256').update(Buffer.from(publicKey.split(/\s+/)[1] ?? '', 'base64')).digest('base64').replace(/=+$/, '')}`;
}

export class Trust {
  constructor(mock) {
    this.mock = mock;
    this.keys = [];
    /** Job → what is to be signed. */
    this.signing = new Map();
    this.timers = new Set();
  }

  stop() {
    for (const timer of this.timers) clearTimeout(timer);
  }

  route(key, id, body) {
    switch (key) {
      case 'GET /v1/account/operator-keys':
        return { data: this.keys, next_cursor: null };
      case 'POST /v1/account/operator-keys':
        return [201, this.addKey(body)];
      case 'DELETE /v1/account/operator-keys/{id}':
        if (!this.keys.some((one) => one.id === id)) throw notFound();
        this.keys = this.keys.filter((one) => one.id !== id);
        return [204];
      case 'GET /v1/jobs/{id}/signing': {
        const signing = this.signing.get(id);
        if (!signing) throw notFound();
        return signing;
      }
      case 'POST /v1/jobs/{id}/signatures':
        return this.sign(this.mock.job(id), body.signature);
      case 'PUT /v1/servers/{id}/restrictions':
        return this.restrict(this.mock.server(id), body);
      case 'POST /v1/servers/{id}/rotate-token':
        return [202, this.rotate(this.mock.server(id))];
    }
    return undefined;
  }

  addKey({ public_key, name }) {
    const [type, blob, ...comment] = public_key.split(/\s+/);
    if (type !== 'ssh-ed25519' || !blob) throw invalid('public_key', 'must be an ssh-ed25519 key in one line');
    const fingerprint = fingerprintOf(public_key);
    if (this.keys.some((one) => one.fingerprint === fingerprint)) throw conflict('this key is registered already');
    const key = { id: uuid(14, this.keys.length + 1), name: name ?? (comment.join(' ') || 'key'), fingerprint, public_key, created_at: iso(Date.now()) };
    this.keys.push(key);
    return key;
  }

  /** Whether the server runs the job only with a signature. */
  isReserved(server) {
    const { file, hub } = server.policy ?? {};
    return [file, hub].some((rules) => rules?.require_operator_signature?.includes('root'));
  }

  /** Writes what is to be signed, once. */
  await(job, change = {}) {
    const server = this.mock.server(job.server_id);
    const { user = 'root' } = job.args;
    const body = { job_id: job.id, server_id: job.server_id, kind: job.kind, args: job.args, user, timeout_s: job.timeout_s, ...(job.limits ? { limits: job.limits } : {}), expires_at_ms: Date.parse(job.expires_at), ...change };
    this.signing.set(job.id, { job_id: job.id, namespace: 'roadstead-job', op_body: JSON.stringify(body), operators: server.policy?.operators ?? [], signatures: [] });
  }

  sign(job, signature) {
    const signing = this.signing.get(job.id);
    if (!signing) throw notFound();
    if (job.state !== 'awaiting_signature') throw conflict('the job does not wait for a signature any more');
    const content = Buffer.from(signature.replace(/-----[A-Z ]+-----/g, ''), 'base64').toString();
    const operator = signing.operators.find((one) => content.includes(one.fingerprint));
    if (!operator) throw new HttpError(422, 'validation_failed', 'the signature was made by a key that the policy of this server does not list');
    signing.signatures.push({ fingerprint: operator.fingerprint, key_name: operator.comment, member: { id: uuid(3, 1), name: account.name }, at: iso(Date.now()) });
    this.mock.setJob(job, { state: 'queued' });
    this.later(() => this.mock.execute(job));
    return { ...job };
  }

  /** What `ssh-keygen -Y sign` would write, as far as the mock looks. */
  signatureBy(fingerprint) {
    const text = Buffer.from(`SSHSIG ${fingerprint}`).toString('base64');
    return `-----BEGIN SSH SIGNATURE-----\n${text}\n-----END SSH SIGNATURE-----\n`;
  }

  restrict(server, rules) {
    server.policy ??= openPolicy();
    server.restrictions = { rules, seq: (server.restrictions?.seq ?? 0) + 1, in_force: false };
    this.mock.emit('server.updated', { type: 'server', id: server.id }, server);
    if (server.status === 'online') this.later(() => this.confirm(server));
    return server;
  }

  /** The host has taken over what the hub wants. */
  confirm(server) {
    if (!server.restrictions) return;
    server.restrictions.in_force = true;
    const { rules, seq } = server.restrictions;
    Object.assign(server.policy, { hub: Object.keys(rules).length > 0 ? rules : null, hub_seq: seq });
    this.mock.emit('server.updated', { type: 'server', id: server.id }, server);
  }

  rotate(server) {
    server.token.rotation = { started_at: iso(Date.now()) };
    if (server.status === 'online') {
      this.later(() => {
        server.token = { issued_at: iso(Date.now()), rotation: null };
        this.mock.emit('server.updated', { type: 'server', id: server.id }, server);
      });
    }
    return server;
  }

  later(work) {
    const timer = setTimeout(() => {
      this.timers.delete(timer);
      work();
    }, AGENT_MS);
    this.timers.add(timer);
  }
}
