// The audit log of the mock: filters, export, the check of the chain, redaction.
import { conflict, invalid, notFound, page } from './answers.mjs';
import { iso } from './data.mjs';
import { WORKSPACE } from './rights.mjs';

export class AuditLog {
  constructor(mock) {
    this.mock = mock;
    /** What a check finds besides how many records there are. */
    this.found = {};
    /** The queries of exports. */
    this.exports = [];
  }

  route(key, id, query, body, { rights }, response) {
    switch (key) {
      case 'GET /v1/audit':
        return page(this.matching(query), query);
      case 'GET /v1/audit/export':
        rights.demand('audit.read', WORKSPACE);
        return this.export(query, response);
      case 'GET /v1/audit/verify':
        rights.demand('audit.read', WORKSPACE);
        return { ok: true, checked: this.mock.audit.length, redacted: this.mock.audit.filter((one) => one.redacted_at).length, removed_up_to: 0, broken_at: null, broken_id: null, problem: null, ...this.found };
      case 'POST /v1/audit/{id}/redact': {
        rights.demand('audit.redact', WORKSPACE);
        const entry = this.mock.audit.find((one) => one.id === id);
        if (!entry) throw notFound();
        if (entry.redacted_at) throw conflict('this record was redacted before');
        if (entry.subject.name !== '' && body.reason.includes(entry.subject.name)) throw invalid('reason', 'repeats what is to be removed');
        const blank = (party) => ({ ...party, name: '' });
        return Object.assign(entry, { actor: blank(entry.actor), subject: blank(entry.subject), ip: '', user_agent: '', details: {}, redacted_at: iso(Date.now()) });
      }
    }
    return undefined;
  }

  matching(query) {
    const is = (name, value) => !query.get(name) || query.get(name) === value;
    const text = (query.get('q') ?? '').toLowerCase();
    const from = Date.parse(query.get('from') ?? '') || 0;
    const to = Date.parse(query.get('to') ?? '') || Number.POSITIVE_INFINITY;
    return this.mock.audit.filter((entry) => {
      const at = Date.parse(entry.at);
      return (
        is('server_id', entry.server_id) && is('action', entry.action) && is('actor_id', entry.actor.id) && is('result', entry.result) &&
        at >= from && at < to && `${entry.actor.name} ${entry.subject.name} ${entry.action}`.toLowerCase().includes(text)
      );
    });
  }

  export(query, response) {
    this.exports.push(Object.fromEntries(query));
    const format = query.get('format');
    const rows = this.matching(query);
    const lines = rows.map((entry) => (format === 'csv' ? [entry.at, entry.action, entry.result].join(',') : JSON.stringify(entry)));
    response.writeHead(200, { 'content-type': format === 'csv' ? 'text/csv' : 'application/x-ndjson', 'content-disposition': `attachment; filename="roadstead-audit.${format}"` });
    response.end(`${lines.join('\n')}\n`);
    return null;
  }
}
