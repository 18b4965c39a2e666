import { describe, expect, it } from 'vitest';
import type { Held } from '@/api/types';
import { destinationsOf } from './navigation';

const pathsOf = (grants: readonly Held[]) => destinationsOf(grants).map((destination) => destination.to);

describe('where one may go', () => {
  it('for_a_customer_of_one_server_is_that_server_alone', () => {
    const customer: Held = { nodes: ['servers.read', 'events.read'], scope: { type: 'server', id: 'web-1' } };
    expect(pathsOf([customer])).toEqual(['/servers', '/account']);
  });

  it('for_somebody_of_a_project_has_no_page_about_the_whole_workspace', () => {
    const nodes = ['servers.read', 'jobs.read', 'projects.read', 'members.read', 'audit.read'];
    const paths = pathsOf([{ nodes, scope: { type: 'project', id: 'shop' } }]);
    expect(paths).toEqual(['/', '/servers', '/jobs', '/batches', '/projects', '/audit', '/account']);
    expect(pathsOf([{ nodes, scope: { type: 'workspace' } }])).toContain('/team');
  });

  it('has_one_way_to_the_settings_to_the_first_page_that_one_may_see', () => {
    const settings = (nodes: string[]) =>
      pathsOf([{ nodes, scope: { type: 'workspace' } }]).filter((path) => path.startsWith('/settings'));
    expect(settings(['workspace.manage', 'webhooks.manage', 'hub.manage'])).toEqual(['/settings']);
    expect(settings(['webhooks.manage', 'hub.manage'])).toEqual(['/settings/webhooks']);
    expect(settings(['servers.read'])).toEqual([]);
  });

  it('is_the_overview_where_nothing_was_granted_yet', () => {
    expect(pathsOf([])).toEqual(['/', '/account']);
  });
});
