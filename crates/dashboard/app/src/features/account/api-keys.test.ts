import { describe, expect, it } from 'vitest';
import { curlExample, parseNetworks, problemOfNetworks } from './api-keys-data';

describe('API keys', () => {
  it('take_networks_however_they_are_separated', () => {
    expect(parseNetworks(' 203.0.113.0/24, 2001:db8::1\n10.0.0.1 ')).toEqual([
      '203.0.113.0/24',
      '2001:db8::1',
      '10.0.0.1',
    ]);
    expect(parseNetworks('  ')).toEqual([]);
  });

  it('say_which_network_is_none', () => {
    expect(problemOfNetworks('203.0.113.0/24 ::1')).toBe(null);
    expect(problemOfNetworks('203.0.113.0/24, office')).toBe('office');
    expect(problemOfNetworks('24')).toBe('24');
    expect(problemOfNetworks('10.0.0.0/')).toBe('10.0.0.0/');
  });

  it('are_shown_at_work_on_what_they_may_see', () => {
    expect(curlExample('https://hub', 'rsk_x', ['jobs.read'])).toBe(
      "curl -H 'Authorization: Bearer rsk_x' https://hub/v1/jobs",
    );
    expect(curlExample('https://hub', 'rsk_x', ['jobs.read', 'servers.read'])).toMatch(/v1\/servers$/);
  });
});
