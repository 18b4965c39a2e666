// A hub with several workspaces and a plan that fills, for tests that look at it.
import { iso, uuid } from './data.mjs';

export function showTenants(mock) {
  const now = Date.now();
  const add = (n, name, plan, used) =>
    mock.tenancy.tenants.push({ id: uuid(8, n), name, created_at: iso(now - n * 9 * 86_400_000), plan: { features: [], version: 1, ...plan, used } });
  add(2, 'Little Boats', { name: 'Starter', limits: { servers: 5, members: 3 } }, { servers: 4, members: 3 });
  add(3, 'Shipyard of the northern branch with a long name', { name: 'Agency', limits: { servers: 20, members: null } }, { servers: 23, members: 11 });
  mock.tenancy.plan = { name: 'Harbour 50', limits: { servers: 50, members: 7 }, features: ['white_label', 'sso'], version: 3 };
}
