import { describe, expect, it } from 'vitest';
import type { Granted, Scope } from '@/api/types';
import { effectiveRights, groupPermissions } from './permissions';
import { grantInWords, sameGrant } from './words';

const everywhere: Scope = { type: 'workspace' };
const shop: Scope = { type: 'project', id: 'p1' };
const web: Scope = { type: 'server', id: 's1' };

describe('what somebody holds', () => {
  it.each<[Granted, Scope, string]>([
    [{ role: 'admin' }, everywhere, 'Admin of the workspace'],
    [{ role: 'operator' }, shop, 'Operator of project Shop'],
    [{ role: 'customer' }, web, 'Customer of server Shop'],
    [{ role_id: 'r1' }, shop, 'Night shift of project Shop'],
    [{ permissions: ['servers.read'] }, everywhere, '1 permission everywhere'],
    [{ permissions: ['servers.read', 'jobs.read'] }, web, '2 permissions on server Shop'],
  ])('%j over %j is said as a person would', (granted, scope, words) => {
    expect(grantInWords(granted, scope, { role: 'Night shift', scope: 'Shop' })).toBe(words);
  });

  it('is_said_without_the_names_that_are_not_known', () => {
    expect(grantInWords({ role_id: 'r1' }, shop, {})).toBe('A role of project');
  });

  it('is_the_same_in_whatever_order_it_is_written', () => {
    const a = { granted: { permissions: ['servers.read', 'jobs.read'] }, scope: shop };
    const b = { granted: { permissions: ['jobs.read', 'servers.read'] }, scope: shop };
    expect(sameGrant(a, b)).toBe(true);
    expect(sameGrant(a, { ...b, scope: web })).toBe(false);
    expect(
      sameGrant({ granted: { role: 'admin' }, scope: shop }, { granted: { role_id: 'admin' }, scope: shop }),
    ).toBe(false);
  });
});

describe('permissions', () => {
  const permissions = [
    { name: 'servers.read', meaning: 'See servers.' },
    { name: 'servers.exec', meaning: 'Run commands, as good as root.' },
    { name: 'api-keys.create', meaning: 'Make keys.' },
    { name: 'moon-base.land', meaning: 'Land there.' },
  ];
  const names = (query: string) =>
    groupPermissions(permissions, query).map((group) => [
      group.title,
      group.permissions.map((one) => one.name),
    ]);

  it('stand_by_area_in_the_order_of_the_hub', () => {
    expect(names('')).toEqual([
      ['Servers', ['servers.read', 'servers.exec']],
      ['API keys', ['api-keys.create']],
      ['moon base', ['moon-base.land']],
    ]);
  });

  it('are_found_by_name_meaning_and_area', () => {
    expect(names('ROOT')).toEqual([['Servers', ['servers.exec']]]);
    expect(names('api key')).toEqual([['API keys', ['api-keys.create']]]);
    expect(names('server see')).toEqual([['Servers', ['servers.read']]]);
    expect(names('nothing like it')).toEqual([]);
  });

  it('come_to_where_each_holds', () => {
    const rights = effectiveRights([
      { scope: web, scope_name: 'web-1', permissions: ['servers.read', 'jobs.read'] },
      { scope: web, scope_name: 'web-1', permissions: ['servers.read'] },
      { scope: shop, scope_name: 'Shop', permissions: ['jobs.read'] },
      { scope: everywhere, scope_name: null, permissions: ['servers.read'] },
      { scope: shop, scope_name: 'Shop', permissions: ['servers.read'] },
    ]);
    expect(rights.get('servers.read')).toEqual([{ scope: everywhere, name: null }]);
    expect(rights.get('jobs.read')).toEqual([
      { scope: web, name: 'web-1' },
      { scope: shop, name: 'Shop' },
    ]);
    expect(rights.has('audit.read')).toBe(false);
  });
});
