// The workspace's rules and plan, and the hub as a whole, of the mock.
import { account, conflict, HttpError, invalid, page } from './answers.mjs';
import { iso, uuid } from './data.mjs';
import { WORKSPACE } from './rights.mjs';

export class Tenancy {
  constructor(mock) {
    this.mock = mock;
    this.workspace = { id: uuid(8, 1), name: account.workspace, require_totp: false, created_at: iso(Date.now() - 90 * 86_400_000), version: 1 };
    this.plan = { name: 'unlimited', limits: { servers: null, members: null }, features: [], version: 0 };
    this.tenants = [];
    /** Whether the workspace is the hub's first: what `hub.manage` counts in. */
    this.isFirst = true;
    this.installation = {
      version: '0.1.0', public_url: 'https://hub.example.net', database: 'sqlite', passkeys: true,
      mail: { host: 'smtp.example.net', port: 587, tls: 'starttls', from: 'Roadstead <hub@example.net>' },
      providers: [{ id: 'company', name: 'Company account', issuer: 'https://id.example.net/realms/staff' }],
    };
    /** How the mail server answers; null: it took it. */
    this.mailRefusal = null;
    this.mailed = [];
  }

  planView(plan, used) {
    return { ...plan, used };
  }

  used() {
    return { servers: this.mock.servers.length, members: this.mock.people.members.length + this.mock.people.invites.length };
  }

  route(key, id, query, body, { member, rights }, headers) {
    switch (key) {
      case 'GET /v1/workspace':
        return this.workspace;
      case 'PATCH /v1/workspace':
        rights.demand('workspace.manage', WORKSPACE);
        return this.change(body, headers, member);
      case 'GET /v1/plan':
        return this.planView(this.plan, this.used());
      case 'GET /v1/workspaces':
        this.demandHub(rights);
        return page([this.own(), ...this.tenants], query);
      case 'PUT /v1/workspaces/{id}/plan': {
        this.demandHub(rights);
        const isOwn = id === this.workspace.id;
        const plan = isOwn ? this.plan : this.tenants.find((one) => one.id === id).plan;
        demandVersion(headers, plan);
        Object.assign(plan, body, { version: plan.version + 1 });
        return isOwn ? this.own() : this.tenants.find((one) => one.id === id);
      }
      case 'GET /v1/installation':
        this.demandHub(rights);
        return this.installation;
      case 'POST /v1/installation/mail-test':
        this.demandHub(rights);
        if (this.mailRefusal) throw this.mailRefusal;
        this.mailed.push(body.to);
        return { accepted: true, response: '250 2.0.0 Ok: queued as 4F2B91A0C3' };
    }
    return undefined;
  }

  own() {
    const { id, name, created_at } = this.workspace;
    return { id, name, created_at, plan: this.planView(this.plan, this.used()) };
  }

  demandHub(rights) {
    if (!this.isFirst || !rights.at(WORKSPACE).has('hub.manage')) throw new HttpError(403, 'forbidden', 'this needs the permission hub.manage');
  }

  change(body, headers, member) {
    demandVersion(headers, this.workspace);
    if (body.require_totp && !member.hasSecondFactor) throw conflict('turn one-time codes on for your own account first, then require them of others');
    if (body.name === '') throw invalid('name', 'must not be empty');
    Object.assign(this.workspace, body, { version: this.workspace.version + 1 });
    this.mock.people.workspaces[0].name = this.workspace.name;
    return this.workspace;
  }
}

function demandVersion(headers, { version }) {
  const wanted = headers['if-match'];
  if (wanted && wanted !== `"${version}"`) throw new HttpError(412, 'precondition_failed', 'it was changed in the meantime');
}
