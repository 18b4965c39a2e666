// Webhooks of the mock and what they sent.
import { conflict, HttpError, invalid, notFound, page } from './answers.mjs';
import { iso, uuid } from './data.mjs';
import { WORKSPACE } from './rights.mjs';

export class Webhooks {
  constructor(mock) {
    this.mock = mock;
    this.list = [];
    this.deliveries = [];
    this.made = 0;
  }

  add(form, over = {}) {
    this.made += 1;
    const webhook = {
      id: uuid(30, this.made), name: form.name, url: form.url, events: form.events, enabled: true, allow_private: form.allow_private ?? false,
      created_at: iso(Date.now() - 3_600_000), created_by: this.mock.people.owner.id, last_delivery: null, disabled_reason: null, missed: 0, version: 1, ...over,
    };
    this.list.push(webhook);
    return webhook;
  }

  /** `attempts`: what each came to, `[status, error]`. */
  deliver(webhook, event, state, attempts, over = {}) {
    const now = Date.now();
    const made = attempts.map(([status, error, response_excerpt = null], n) => ({ at: iso(now - (attempts.length - n) * 60_000), status, error, duration_ms: 80 + n * 900, response_excerpt }));
    const { response_excerpt: _, ...last } = made.at(-1) ?? {};
    const delivery = {
      id: uuid(31, this.deliveries.length + 1), channel: webhook ? 'webhook' : 'mail', webhook: webhook && { id: webhook.id, name: webhook.name }, to: webhook ? new URL(webhook.url).host : 'a…a@example.net',
      event, subject: '', state, attempts: made.length, next_attempt_at: state === 'waiting' ? iso(now + 95_000) : null, last_attempt: made.length > 0 ? last : null,
      created_at: iso(now - (made.length + 1) * 60_000), finished_at: state === 'waiting' ? null : iso(now),
      payload: webhook ? { type: event, timestamp: iso(now), data: { workspace_id: uuid(8, 1), actor: { type: 'user', id: uuid(3, 1), name: 'Ada Byron' }, outcome: 'ok', details: {} } } : undefined,
      attempts_made: made, ...over,
    };
    this.deliveries.unshift(delivery);
    if (webhook) webhook.last_delivery = { state, at: delivery.created_at };
    return delivery;
  }

  route(key, id, query, body, { rights }, headers) {
    if (!/^\w+ \/v1\/(outgoing-webhooks|deliveries)/.test(key)) return undefined;
    const held = rights.at(WORKSPACE);
    if (!held.has('webhooks.manage')) throw new HttpError(403, 'forbidden', 'this needs the permission webhooks.manage');
    switch (key) {
      case 'GET /v1/outgoing-webhooks':
        return page(this.list, query);
      case 'POST /v1/outgoing-webhooks':
        this.check(body, rights);
        if (this.list.length >= 20) throw conflict('a workspace has 20 webhooks at most; delete one first');
        return [201, { ...this.add(body), secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw' }];
      case 'GET /v1/outgoing-webhooks/{id}':
        return this.one(id);
      case 'PATCH /v1/outgoing-webhooks/{id}': {
        this.check(body, rights);
        const wanted = headers['if-match'];
        if (wanted && wanted !== `"${this.one(id).version}"`) throw new HttpError(412, 'precondition_failed', 'it was changed in the meantime');
        const webhook = Object.assign(this.one(id), body, { version: this.one(id).version + 1 });
        if (body.enabled) webhook.disabled_reason = null;
        return webhook;
      }
      case 'DELETE /v1/outgoing-webhooks/{id}':
        this.list = this.list.filter((one) => one !== this.one(id));
        return [204];
      case 'POST /v1/outgoing-webhooks/{id}/rotate-secret':
        return { ...this.one(id), secret: 'whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD' };
      case 'POST /v1/outgoing-webhooks/{id}/test':
        return [202, this.deliver(this.one(id), 'webhook.test', 'waiting', [])];
      case 'GET /v1/deliveries': {
        const is = (name, value) => !query.get(name) || query.get(name) === value;
        const rows = this.deliveries.filter((one) => is('state', one.state) && is('channel', one.channel) && is('webhook_id', one.webhook?.id));
        return page(rows.map(({ payload: _, attempts_made: __, ...delivery }) => delivery), query);
      }
      case 'GET /v1/deliveries/{id}':
        return this.delivery(id);
      case 'POST /v1/deliveries/{id}/retry':
        Object.assign(this.delivery(id), { state: 'waiting', next_attempt_at: iso(Date.now()), finished_at: null });
        return [202, {}];
    }
    return undefined;
  }

  one(id) {
    const found = this.list.find((one) => one.id === id);
    if (!found) throw notFound();
    return found;
  }

  delivery(id) {
    const found = this.deliveries.find((one) => one.id === id);
    if (!found) throw notFound();
    return found;
  }

  check({ url, allow_private }, rights) {
    if (url?.includes('//169.254.')) throw invalid('url', 'leads to an address that is not public');
    if (allow_private && !rights.at(WORKSPACE).has('hub.manage')) throw new HttpError(403, 'forbidden', 'this needs the permission hub.manage');
  }
}
