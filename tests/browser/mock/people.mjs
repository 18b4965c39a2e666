// Members, invitations, roles, projects and API keys of the mock, and who is asking.
import { account, conflict, HttpError, invalid, notFound, page } from './answers.mjs';
import { iso, uuid } from './data.mjs';
import { ALL, gate, grantable, nodesOfRole, Rights, WORKSPACE } from './rights.mjs';

const EVERYWHERE = { type: 'workspace' };

export class People {
  constructor(mock, permissions) {
    this.mock = mock;
    this.made = 0;
    const granted = permissions.length === ALL.length ? { role: 'owner' } : { permissions };
    this.owner = { id: uuid(3, 1), email: account.email, name: account.name, password: account.password, joined_at: iso(Date.now() - 90 * 86_400_000), grants: [] };
    this.owner.grants = [{ id: this.id(), granted, scope: EVERYWHERE }];
    this.members = [this.owner];
    /** Who has an account and is no member here. */
    this.strangers = [];
    this.roles = [];
    this.invites = [];
    this.projects = [];
    this.keys = [];
    this.workspaces = [{ id: uuid(8, 1), name: account.workspace }];
    this.workspaceId = uuid(8, 1);
  }

  id() {
    this.made += 1;
    return uuid(12, this.made);
  }

  /** Whoever a cookie or a key says; else the owner, while the mock is signed in. */
  caller(request) {
    const bearer = /^Bearer (\S+)$/i.exec(request.headers.authorization ?? '')?.[1];
    if (bearer !== undefined) {
      const key = this.keys.find((one) => one.token === bearer);
      if (!key) throw new HttpError(401, 'unauthenticated', 'the API key is unknown, revoked or has expired');
      Object.assign(key, { last_used_at: iso(Date.now()), last_used_ip: '127.0.0.1' });
      const maker = this.members.find((member) => member.id === key.user_id);
      return { member: null, rights: new Rights(this.held(maker), { nodes: key.permissions, scope: key.scope }) };
    }
    const id = /mock_member=([0-9a-f-]{36})/.exec(request.headers.cookie ?? '')?.[1];
    const member = this.members.find((one) => one.id === id) ?? (id === undefined && this.mock.signedIn ? this.owner : null);
    if (!member) throw new HttpError(401, 'unauthenticated', 'sign in first');
    return { member, rights: new Rights(this.held(member)) };
  }

  held(member) {
    return member.grants.map(({ granted, scope }) => ({ nodes: this.nodes(granted), scope }));
  }

  nodes(granted) {
    if (granted.role) return nodesOfRole(granted.role);
    if (granted.permissions) return granted.permissions;
    const role = this.roles.find((one) => one.id === granted.role_id);
    if (!role) throw invalid('granted', 'names no role of this workspace');
    return role.permissions;
  }

  place(scope) {
    if (scope.type === 'workspace') return WORKSPACE;
    const isThere = scope.type === 'project' ? this.projects.some((one) => one.id === scope.id) : this.mock.servers.some((one) => one.id === scope.id);
    if (!isThere) throw invalid('scope', 'names nothing of this workspace');
    return scope.type === 'project' ? { project: scope.id } : this.placeOfServer(scope.id);
  }

  placeOfServer(id) {
    // Of one that was removed, jobs are left.
    return { server: id, project: this.mock.servers.find((one) => one.id === id)?.project_id ?? null };
  }

  session(member) {
    const rights = new Rights(this.held(member));
    return {
      user: { id: member.id, email: member.email, name: member.name }, workspaces: this.workspaces, workspace_id: this.workspaceId,
      permissions: rights.anywhere(), grants: rights.held, expires_at: iso(Date.now() + 86_400_000),
    };
  }

  signIn(member, response) {
    response.setHeader('set-cookie', `mock_member=${member.id}; Path=/; HttpOnly; SameSite=Lax`);
    return this.session(member);
  }

  /** What needs nobody who is signed in. */
  publicRoute(key, body, response) {
    switch (key) {
      case 'POST /v1/auth/login': {
        const member = this.members.find((one) => one.email === body.email && one.password === body.password);
        if (!member) throw new HttpError(401, 'invalid_credentials', 'e-mail or password is wrong');
        if (member !== this.owner) return this.signIn(member, response);
        this.mock.signedIn = true;
        return this.session(member);
      }
      case 'POST /v1/invites/look-up': {
        const { email } = this.invite(body.token);
        return { workspace: account.workspace, email, has_account: [...this.members, ...this.strangers].some((one) => one.email === email) };
      }
      case 'POST /v1/invites/accept':
        return this.accept(body, response);
    }
    return undefined;
  }

  route(key, id, query, body, { member, rights }, headers) {
    gate(key, rights, () => this.placeOfServer(key.includes('/jobs/') ? this.mock.job(id).server_id : id));
    if (/^\w+ \/v1\/(team|account|auth|api-keys)/.test(key) && !member) throw new HttpError(401, 'unauthenticated', 'a key cannot do what concerns a person’s account');
    const inWorkspace = (node) => rights.demand(node, WORKSPACE);
    switch (key) {
      case 'GET /v1/auth/session':
        return this.session(member);
      case 'PATCH /v1/auth/session':
        if (!this.workspaces.some((one) => one.id === body.workspace_id)) throw notFound();
        this.workspaceId = body.workspace_id;
        return [204];
      case 'GET /v1/team/permissions':
        return grantable;
      case 'GET /v1/team/members':
        inWorkspace('members.read');
        return page(this.members.map((one) => this.view(one)), query);
      case 'GET /v1/team/members/{id}':
        if (id !== member.id) inWorkspace('members.read');
        return this.view(this.member(id));
      case 'PUT /v1/team/members/{id}/grants':
        inWorkspace('members.manage');
        return this.setGrants(this.member(id), body.grants, rights);
      case 'DELETE /v1/team/members/{id}':
        if (id !== member.id) inWorkspace('members.manage');
        return this.remove(this.member(id), member, rights);
      case 'POST /v1/team/transfer':
        inWorkspace('workspace.close');
        return this.transfer(member, body);
      case 'GET /v1/team/roles':
        inWorkspace('members.read');
        return page(this.roles, query);
      case 'POST /v1/team/roles':
        inWorkspace('roles.manage');
        return [201, this.saveRole(null, body, rights)];
      case 'PATCH /v1/team/roles/{id}': {
        inWorkspace('roles.manage');
        const role = this.roles.find((one) => one.id === id) ?? fail(notFound());
        match(headers, role);
        return this.saveRole(role, body, rights);
      }
      case 'DELETE /v1/team/roles/{id}': {
        inWorkspace('roles.manage');
        const uses = this.members.flatMap((one) => one.grants).filter((grant) => grant.granted.role_id === id).length;
        if (uses > 0) throw conflict(`${uses === 1 ? "1 grant uses" : `${uses} grants use`} this role; give those members another one first`);
        this.roles = this.roles.filter((one) => one.id !== id);
        return [204];
      }
      case 'GET /v1/team/invites':
        inWorkspace('members.read');
        return page(this.invites.map(({ token: _, ...invite }) => invite), query);
      case 'POST /v1/team/invites':
        inWorkspace('members.manage');
        return [201, this.makeInvite(body, member, rights)];
      case 'DELETE /v1/team/invites/{id}':
        inWorkspace('members.manage');
        this.invites = this.invites.filter((one) => one.id !== id);
        return [204];
      case 'GET /v1/projects':
        return page(this.projects.filter((one) => rights.at({ project: one.id }).has('projects.read')).map((one) => this.projectView(one)), query);
      case 'POST /v1/projects':
        inWorkspace('projects.manage');
        return [201, this.makeProject(body.name)];
      case 'PATCH /v1/projects/{id}': {
        const project = this.projects.find((one) => one.id === id) ?? fail(notFound());
        rights.demand('projects.manage', { project: id }, 'projects.read');
        match(headers, project);
        return Object.assign(project, { name: this.freeName(body.name, project), version: project.version + 1 });
      }
      case 'DELETE /v1/projects/{id}':
        rights.demand('projects.manage', { project: id }, 'projects.read');
        return this.removeProject(id);
      case 'GET /v1/api-keys':
        return page(this.keys.filter((one) => one.user_id === member.id || rights.at(WORKSPACE).has('api-keys.manage')).map(keyView), query);
      case 'POST /v1/api-keys':
        rights.demandAnywhere('api-keys.create');
        return [201, this.makeKey(body, member, rights)];
      case 'POST /v1/api-keys/{id}/rotate': {
        const key = this.keys.find((one) => one.id === id && one.user_id === member.id) ?? fail(notFound());
        key.token = `rsk_${this.id().replaceAll('-', '')}`;
        return { ...keyView(key), token: key.token };
      }
      case 'DELETE /v1/api-keys/{id}':
        this.keys = this.keys.filter((one) => one.id !== id);
        return [204];
    }
    return undefined;
  }

  member(id) {
    return this.members.find((one) => one.id === id) ?? fail(notFound());
  }

  view(member) {
    const { id, email, name, joined_at } = member;
    const grants = member.grants.map((grant) => ({
      ...grant,
      role_name: grant.granted.role ?? this.roles.find((one) => one.id === grant.granted.role_id)?.name ?? null,
      scope_name: this.scopeName(grant.scope),
      permissions: this.nodes(grant.granted),
    }));
    return { id, email, name, joined_at, grants, permissions: [...new Rights(this.held(member)).at(WORKSPACE)] };
  }

  scopeName({ type, id }) {
    const all = { project: this.projects, server: this.mock.servers }[type];
    return all?.find((one) => one.id === id)?.name ?? null;
  }

  setGrants(member, wanted, rights) {
    const text = (grant) => JSON.stringify([grant.granted, grant.scope]);
    const before = member.grants.map(text);
    const after = wanted.map(text);
    const come = wanted.filter((grant) => !before.includes(text(grant)));
    const gone = member.grants.filter((grant) => !after.includes(text(grant)));
    for (const { granted, scope } of [...come, ...gone]) rights.demandHeld(this.nodes(granted), this.place(scope));
    const grants = [...member.grants.filter((grant) => after.includes(text(grant))), ...come.map((grant) => ({ id: this.id(), ...grant }))];
    this.demandOwner(this.members.map((one) => (one === member ? { ...one, grants } : one)));
    member.grants = grants;
    this.mock.cutEvents();
    return this.view(member);
  }

  demandOwner(members) {
    const owns = (member) => member.grants.some((grant) => grant.granted.role === 'owner');
    if (!members.some(owns)) throw conflict('a workspace needs an owner; make somebody else an owner first');
  }

  remove(member, caller, rights) {
    if (member !== caller) for (const { granted, scope } of member.grants) rights.demandHeld(this.nodes(granted), this.place(scope));
    const left = this.members.filter((one) => one !== member);
    this.demandOwner(left);
    this.members = left;
    this.keys = this.keys.filter((key) => key.user_id !== member.id);
    this.invites = this.invites.filter((invite) => invite.invited_by !== member.id);
    this.mock.cutEvents();
    return [204];
  }

  transfer(member, { user_id, password }) {
    if (password !== member.password) throw invalid('password', 'is not your password');
    const to = this.members.find((one) => one.id === user_id) ?? fail(invalid('user_id', 'must be a member of this workspace'));
    for (const [one, role] of [[to, 'owner'], [member, 'admin']]) {
      one.grants = [...one.grants.filter((grant) => grant.scope.type !== 'workspace'), { id: this.id(), granted: { role }, scope: EVERYWHERE }];
    }
    this.mock.cutEvents();
    return [204];
  }

  saveRole(role, { name, permissions }, rights) {
    if (permissions.length === 0) throw invalid('permissions', 'must hold at least one permission');
    rights.demandHeld(permissions, WORKSPACE);
    if (this.roles.some((one) => one !== role && one.name.toLowerCase() === name.toLowerCase())) throw conflict('there is a role with this name already');
    if (role) return Object.assign(role, { name, permissions, version: role.version + 1 });
    const made = { id: this.id(), name, permissions, created_at: iso(Date.now()), version: 1 };
    this.roles.push(made);
    return made;
  }

  makeInvite({ email, granted, scope, ttl_s = 604_800 }, member, rights) {
    rights.demandHeld(this.nodes(granted), this.place(scope));
    if (this.accounts(email)) throw conflict('somebody with this address is a member already; change their grants instead');
    if (this.invites.some((one) => one.email === email)) throw conflict('this address is invited already; withdraw that invitation to make another');
    const now = Date.now();
    const invite = { id: this.id(), email, granted, scope, invited_by: member.id, created_at: iso(now), expires_at: iso(now + ttl_s * 1_000), expired: false };
    const token = `rsv_${invite.id.replaceAll('-', '')}`;
    this.invites.unshift({ ...invite, token });
    return { ...invite, token, url: `${this.mock.url}/invite#${token}` };
  }

  invite(token) {
    return this.invites.find((one) => one.token === token) ?? fail(new HttpError(410, 'gone', 'this invitation was used, withdrawn or has expired; ask for another one'));
  }

  accounts(email) {
    return this.members.find((one) => one.email === email);
  }

  accept({ token, password, name }, response) {
    const { email, granted, scope } = this.invite(token);
    const known = this.accounts(email) ?? this.strangers.find((one) => one.email === email);
    if (known && known.password !== password) throw new HttpError(401, 'invalid_credentials', 'e-mail or password is wrong');
    if (known) {
      known.grants = [{ id: this.id(), granted, scope }];
      this.members.push(known);
      this.invites = this.invites.filter((one) => one.token !== token);
      return this.signIn(known, response);
    }
    if (password.length < 12) throw invalid('password', 'must have at least 12 characters');
    if (!name) throw invalid('name', 'is needed for a new account');
    const member = { id: uuid(3, this.members.length + 1), email, name, password, joined_at: iso(Date.now()), grants: [{ id: this.id(), granted, scope }] };
    this.members.push(member);
    this.invites = this.invites.filter((one) => one.token !== token);
    return this.signIn(member, response);
  }

  freeName(name, self = null) {
    if (this.projects.some((one) => one !== self && one.name.toLowerCase() === name.toLowerCase())) throw conflict('there is a project with this name already');
    return name;
  }

  makeProject(name) {
    const project = { id: this.id(), name: this.freeName(name), created_at: iso(Date.now()), version: 1 };
    this.projects.push(project);
    this.projects.sort((a, b) => a.name.localeCompare(b.name, 'en'));
    return { ...project, servers: null };
  }

  projectView(project) {
    return { ...project, servers: this.mock.servers.filter((server) => server.project_id === project.id).length };
  }

  removeProject(id) {
    this.projects = this.projects.filter((one) => one.id !== id);
    for (const server of this.mock.servers) if (server.project_id === id) server.project_id = null;
    for (const member of this.members) member.grants = member.grants.filter((grant) => grant.scope.id !== id);
    return [204];
  }

  makeKey({ name, permissions, scope, networks = [], ttl_s = null }, member, rights) {
    rights.demandHeld(permissions, this.place(scope));
    const now = Date.now();
    const key = {
      id: this.id(), name, user_id: member.id, user_name: member.name, permissions, scope, networks, created_at: iso(now),
      expires_at: ttl_s === null ? null : iso(now + ttl_s * 1_000), last_used_at: null, last_used_ip: null,
    };
    key.token = `rsk_${key.id.replaceAll('-', '')}`;
    this.keys.unshift(key);
    return { ...keyView(key), token: key.token };
  }
}

function keyView({ token: _, ...key }) {
  return key;
}

function match(headers, { version }) {
  const wanted = headers['if-match'];
  if (wanted && wanted !== `"${version}"`) throw new HttpError(412, 'precondition_failed', 'it was changed in the meantime');
}

function fail(error) {
  throw error;
}
