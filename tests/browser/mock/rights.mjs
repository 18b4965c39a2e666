// What can be granted, and who may do what where, by the hub's rules.
import { HttpError, notFound } from './answers.mjs';

export const MEANINGS = {
  'servers.read': 'See servers, their metrics and facts.',
  'servers.enroll': 'Add servers: make install tokens.',
  'servers.manage': 'Rename, label, restrict, revoke and remove servers.',
  'servers.exec': 'Run commands on servers, as good as root there.',
  'jobs.read': 'See jobs and their logs.',
  'jobs.cancel': 'End jobs.',
  'projects.read': 'See projects.',
  'projects.manage': 'Make, rename and remove projects, and move servers between them.',
  'events.read': 'Follow what changes.',
  'members.read': 'See who is a member, with their rights.',
  'members.manage': 'Invite and remove members, and grant what one holds oneself.',
  'roles.manage': "Make and change roles of the workspace's own, out of what one holds oneself.",
  'api-keys.create': 'Make API keys that hold no more than their maker.',
  'api-keys.manage': "See and revoke everybody's API keys.",
  'audit.read': 'Read the audit log.',
  'audit.redact': 'Remove personal data from records of the audit log.',
  'webhooks.manage': 'Make and change webhooks, and see what was delivered.',
  'workspace.manage': 'Rename the workspace and change its rules.',
  'workspace.close': 'Hand the workspace to another owner, or close it.',
  'hub.manage': "Run the hub: plans of all its workspaces. Counts in the hub's first workspace only.",
};
export const ALL = Object.keys(MEANINGS);
const viewer = ['servers.read', 'jobs.read', 'projects.read', 'events.read', 'api-keys.create'];
const ROLES = {
  owner: ['Everything, closing the workspace included', ALL],
  admin: ['Everything but handing the workspace on and closing it', ALL.filter((node) => node !== 'workspace.close' && node !== 'hub.manage')],
  operator: ['Servers and what is on them', ['servers.read', 'servers.enroll', 'servers.manage', 'servers.exec', 'jobs.read', 'jobs.cancel', 'projects.read', 'events.read', 'api-keys.create']],
  moderator: ['Sees everything that happens and ends what should not', ['servers.read', 'jobs.read', 'jobs.cancel', 'projects.read', 'events.read', 'members.read', 'audit.read', 'api-keys.create']],
  viewer: ['Sees servers and jobs, changes nothing', viewer],
  customer: ['Sees what was granted and nothing else', ['servers.read', 'events.read']],
};
export const nodesOfRole = (role) => ROLES[role][1];
export const grantable = {
  permissions: Object.entries(MEANINGS).map(([name, meaning]) => ({ name, meaning })),
  roles: Object.entries(ROLES).map(([role, [meaning, permissions]]) => ({ role, meaning, permissions })),
};

export const WORKSPACE = {};

export function covers(scope, place) {
  if (scope.type === 'workspace') return true;
  return scope.type === 'project' ? place.project === scope.id : place.server === scope.id;
}

/** `limit` is what an API key holds at most. */
export class Rights {
  constructor(held, limit = null) {
    Object.assign(this, { held, limit });
  }

  at(place) {
    const nodes = new Set(this.held.filter((one) => covers(one.scope, place)).flatMap((one) => one.nodes));
    if (!this.limit) return nodes;
    return new Set(covers(this.limit.scope, place) ? [...nodes].filter((node) => this.limit.nodes.includes(node)) : []);
  }

  anywhere() {
    const nodes = [...new Set(this.held.flatMap((one) => one.nodes))];
    return this.limit ? nodes.filter((node) => this.limit.nodes.includes(node)) : nodes;
  }

  /** 404 for whoever may not know of it, 403 for whoever may. */
  demand(node, place, read = node) {
    if (this.at(place).has(node)) return;
    throw place !== WORKSPACE && !this.at(place).has(read) ? notFound() : forbidden(node);
  }

  demandAnywhere(node) {
    if (!this.anywhere().includes(node)) throw forbidden(node);
  }

  /** Nobody gives or takes what they do not hold there themselves. */
  demandHeld(nodes, place) {
    const held = this.at(place);
    const missing = nodes.filter((node) => !held.has(node));
    if (missing.length > 0) throw new HttpError(403, 'forbidden', `you can only give or take what you hold there yourself; you lack ${missing.join(', ')}`, { missing });
  }
}

function forbidden(node) {
  return new HttpError(403, 'forbidden', `this needs the permission ${node}`);
}

/** Routes about one server or job, and lists: what they need, and what one needs to know of the thing at all. */
const NEEDS = [
  [/^GET \/v1\/(servers|jobs|job-batches|audit|projects|events)$/, (area) => [{ servers: 'servers.read', jobs: 'jobs.read', 'job-batches': 'jobs.read', audit: 'audit.read', projects: 'projects.read', events: 'events.read' }[area]]],
  [/^POST \/v1\/(jobs|job-batches)$/, () => ['servers.exec']],
  [/^(?:GET|POST) \/v1\/servers\/(install-tokens)/, () => ['servers.enroll']],
  [/^GET \/v1\/(servers)\/\{id\}/, () => ['servers.read', 'servers.read']],
  [/^POST \/v1\/(servers)\/\{id\}\/watch$/, () => ['servers.read', 'servers.read']],
  [/^\w+ \/v1\/(servers)\/\{id\}/, () => ['servers.manage', 'servers.read']],
  [/^GET \/v1\/(jobs)\/\{id\}/, () => ['jobs.read', 'jobs.read']],
  [/^POST \/v1\/(jobs)\/\{id\}\/cancel$/, () => ['jobs.cancel', 'jobs.read']],
  [/^POST \/v1\/(jobs)\/\{id\}/, () => ['servers.exec', 'jobs.read']],
];

/** Refuses what the rights do not allow; `place` finds where the thing of the path lies. */
export function gate(key, rights, place) {
  const found = NEEDS.find(([pattern]) => pattern.test(key));
  if (!found) return;
  const [node, read] = found[1](found[0].exec(key)[1]);
  if (read === undefined) rights.demandAnywhere(node);
  else rights.demand(node, place(), read);
}
