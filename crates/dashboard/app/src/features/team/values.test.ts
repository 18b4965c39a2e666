import { describe, expect, it } from 'vitest';
import { blankGrant, grantedOf, grantProblems, placeOfValues, scopeOf } from './values';

const shop = { id: 'p1', name: 'Shop' };
const web = { id: 's1', name: 'web-1', project_id: 'p1' };

describe('a grant in a form', () => {
  it('is_what_the_hub_is_asked_for', () => {
    expect(grantedOf(blankGrant)).toEqual({ role: 'viewer' });
    expect(grantedOf({ ...blankGrant, granted: 'own:r1' })).toEqual({ role_id: 'r1' });
    const permissions = ['servers.read'];
    expect(grantedOf({ ...blankGrant, granted: 'permissions', permissions })).toEqual({ permissions });
  });

  it('needs_the_project_or_server_that_it_is_about', () => {
    expect(grantProblems(blankGrant)).toEqual({ granted: undefined, scope: undefined });
    expect(grantProblems({ ...blankGrant, scope: 'project' }).scope).toBeTruthy();
    // What was chosen for another kind of place does not count.
    expect(grantProblems({ ...blankGrant, scope: 'project', server: web }).scope).toBeTruthy();
    expect(grantProblems({ ...blankGrant, scope: 'server', server: web }).scope).toBeUndefined();
    expect(grantProblems({ ...blankGrant, granted: 'permissions' }).granted).toBeTruthy();
  });

  it('lies_where_its_scope_does', () => {
    const values = { ...blankGrant, project: shop, server: web };
    expect(scopeOf({ ...values, scope: 'project' })).toEqual({ type: 'project', id: 'p1' });
    expect(scopeOf({ ...values, scope: 'server' })).toEqual({ type: 'server', id: 's1' });
    expect(scopeOf(values)).toEqual({ type: 'workspace' });
    // Rights over its project count on the server too.
    expect(placeOfValues({ ...values, scope: 'server' })).toEqual({ projectId: 'p1', serverId: 's1' });
    expect(placeOfValues({ ...blankGrant, scope: 'server' })).toBe(null);
  });
});
