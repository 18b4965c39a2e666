import { describe, expect, it } from 'vitest';
import type { Held } from '@/api/types';
import { heldAnywhere, heldAt, mayDo, mayOnServer, onlyServer, placeOf, WORKSPACE } from './rights';

const everywhere = (...nodes: string[]): Held => ({ nodes, scope: { type: 'workspace' } });
const inProject = (id: string, ...nodes: string[]): Held => ({ nodes, scope: { type: 'project', id } });
const onServer = (id: string, ...nodes: string[]): Held => ({ nodes, scope: { type: 'server', id } });

describe('what one may do', () => {
  it('follows_the_scope_of_each_grant', () => {
    const grants = [inProject('shop', 'servers.read'), onServer('web-1', 'servers.exec')];
    for (const [permission, place, may] of [
      ['servers.read', { projectId: 'shop', serverId: 'db-1' }, true],
      ['servers.read', { projectId: 'shop' }, true],
      ['servers.read', { projectId: 'blog', serverId: 'db-1' }, false],
      ['servers.read', { projectId: null, serverId: 'web-1' }, false],
      ['servers.exec', { projectId: 'blog', serverId: 'web-1' }, true],
      ['servers.exec', { projectId: 'shop', serverId: 'db-1' }, false],
      ['servers.read', WORKSPACE, false],
      ['servers.read', undefined, true],
      ['audit.read', undefined, false],
    ] as const) {
      expect(mayDo(grants, permission, place), `${permission} at ${JSON.stringify(place)}`).toBe(may);
    }
  });

  it('over_the_workspace_is_everywhere', () => {
    const grants = [everywhere('jobs.cancel')];
    expect(mayDo(grants, 'jobs.cancel', WORKSPACE)).toBe(true);
    expect(mayDo(grants, 'jobs.cancel', { projectId: 'shop', serverId: 'web-1' })).toBe(true);
  });

  it('nothing_is_in_the_project_that_nothing_is_in', () => {
    // A server without a project must not match a grant by two missing ids.
    const grants = [inProject('shop', 'servers.read')];
    expect(mayDo(grants, 'servers.read', placeOf({ id: 'web-1', project_id: null }))).toBe(false);
    expect(mayDo(grants, 'servers.read', placeOf({ id: 'web-1' }))).toBe(false);
  });

  it('adds_up_where_grants_meet', () => {
    const grants = [inProject('shop', 'servers.read'), onServer('web-1', 'servers.exec')];
    expect([...heldAt(grants, { projectId: 'shop', serverId: 'web-1' })]).toEqual([
      'servers.read',
      'servers.exec',
    ]);
    expect([...heldAt(grants, { projectId: 'shop' })]).toEqual(['servers.read']);
    expect(heldAnywhere(grants).has('servers.exec')).toBe(true);
    expect(heldAt([], WORKSPACE).size).toBe(0);
  });

  it('asks_for_the_project_of_a_server_only_where_that_decides', () => {
    expect(mayOnServer([everywhere('servers.exec')], 'servers.exec', 'web-1')).toBe(true);
    expect(mayOnServer([onServer('web-1', 'servers.exec')], 'servers.exec', 'web-1')).toBe(true);
    expect(mayOnServer([onServer('web-2', 'servers.exec')], 'servers.exec', 'web-1')).toBe(false);
    expect(mayOnServer([inProject('shop', 'servers.exec')], 'servers.exec', 'web-1')).toBe('unknown');
    expect(mayOnServer([inProject('shop', 'servers.read')], 'servers.exec', 'web-1')).toBe(false);
  });

  it('knows_whose_whole_world_is_one_server', () => {
    expect(onlyServer([onServer('web-1', 'servers.read')])).toBe('web-1');
    expect(onlyServer([onServer('web-1', 'servers.read'), onServer('web-1', 'jobs.read')])).toBe('web-1');
    expect(onlyServer([onServer('web-1', 'servers.read'), onServer('web-2', 'servers.read')])).toBe(null);
    expect(onlyServer([onServer('web-1', 'jobs.read')])).toBe(null);
    expect(onlyServer([onServer('web-1', 'servers.read'), inProject('shop', 'servers.read')])).toBe(null);
    expect(onlyServer([])).toBe(null);
  });
});
