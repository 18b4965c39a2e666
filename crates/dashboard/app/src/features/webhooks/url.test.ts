import { describe, expect, it } from 'vitest';
import { hostOf, urlProblem } from './url';

describe('the address of a webhook', () => {
  it('is_https_unless_private_networks_are_allowed', () => {
    expect(urlProblem('https://hooks.example.net/a?b=c', false)).toBe(undefined);
    expect(urlProblem('http://10.0.0.5/a', false)).toMatch(/Plain http/);
    expect(urlProblem('http://10.0.0.5/a', true)).toBe(undefined);
  });

  it('is_an_address_and_holds_no_password', () => {
    for (const bad of ['hooks.example.net', 'ftp://x.example', 'https://']) {
      expect(urlProblem(bad, true)).toMatch(/not an address/);
    }
    expect(urlProblem('https://ada:secret@hooks.example.net/', false)).toMatch(/password/);
    expect(urlProblem(' ', false)).toBeTruthy();
  });

  it('is_known_by_its_host', () => {
    expect(hostOf('https://hooks.example.net:8443/a')).toBe('hooks.example.net:8443');
    expect(hostOf('odd')).toBe('odd');
  });
});
