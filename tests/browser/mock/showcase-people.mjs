// A team as it could be, for tests that look at it.
import { iso, uuid } from './data.mjs';

const EVERYWHERE = { type: 'workspace' };

/** Fills the mock's people; says where to look. */
export function showPeople(mock) {
  const { people, servers } = mock;
  const now = Date.now();
  const shop = people.makeProject('Shop');
  const blog = people.makeProject('Blog and press pages of the northern branch');
  people.makeProject('Archive');
  servers.slice(0, 12).forEach((server, n) => {
    server.project_id = n % 3 === 0 ? blog.id : shop.id;
  });
  const role = people.saveRole(null, { name: 'Night shift', permissions: ['servers.read', 'jobs.read', 'jobs.cancel', 'audit.read'] }, everything);
  people.saveRole(null, { name: 'Release manager', permissions: ['servers.read', 'servers.exec', 'jobs.read', 'jobs.cancel', 'projects.read', 'events.read'] }, everything);
  const add = (name, email, days, grants) => {
    const member = { id: uuid(3, people.members.length + 1), name, email, password: 'a long enough password', joined_at: iso(now - days * 86_400_000), grants: [] };
    member.grants = grants.map(([granted, scope]) => ({ id: people.id(), granted, scope }));
    people.members.push(member);
    return member;
  };
  const inProject = (project) => ({ type: 'project', id: project.id });
  const onServer = (n) => ({ type: 'server', id: servers[n].id });
  const grace = add('Grace Brewster', 'grace@example.net', 61, [
    [{ role: 'operator' }, inProject(shop)],
    [{ role_id: role.id }, EVERYWHERE],
    [{ permissions: ['servers.exec', 'jobs.cancel'] }, onServer(2)],
    [{ role: 'viewer' }, inProject(blog)],
  ]);
  add('Linus', 'linus@a-company-with-a-rather-long-name.example.org', 20, [[{ role: 'moderator' }, EVERYWHERE]]);
  const customer = add('Carla Customer', 'carla@customer.example', 3, [[{ role: 'customer' }, onServer(1)]]);
  const nobody = add('Nobody Yet', 'new@example.net', 0.1, []);
  const owner = people.owner;
  const invite = people.makeInvite({ email: 'margaret@example.net', granted: { role: 'operator' }, scope: inProject(shop) }, owner, everything);
  people.makeInvite({ email: 'dennis@example.net', granted: { role_id: role.id }, scope: EVERYWHERE, ttl_s: 86_400 }, owner, everything);
  Object.assign(people.invites[0], { expired: true, expires_at: iso(now - 3_600_000) });
  people.makeKey({ name: 'backup script on nas', permissions: ['servers.read', 'jobs.read'], scope: EVERYWHERE, networks: ['203.0.113.0/24'], ttl_s: 7_776_000 }, owner, everything);
  people.makeKey({ name: 'deploy from CI', permissions: ['servers.read', 'servers.exec', 'jobs.read'], scope: inProject(shop) }, owner, everything);
  Object.assign(people.keys[0], { last_used_at: iso(now - 240_000), last_used_ip: '198.51.100.7' });
  people.makeKey({ name: 'status page', permissions: ['servers.read'], scope: EVERYWHERE }, grace, everything);
  return { shop, role, grace, customer, nobody, invite };
}

/** Nobody asks whether it may be made. */
const everything = { demandHeld() {} };
