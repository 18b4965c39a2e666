import { describe, expect, it } from 'vitest';
import { localPath } from '@/features/auth/sign-in';
import { providerUrl } from './account';
import { oidcErrorIn, returnToIn } from './oidc-error';

describe('coming back from a provider', () => {
  it('says_what_went_wrong_in_codes_that_are_known', () => {
    expect(oidcErrorIn('#error=oidc_denied')).toBe('oidc_denied');
    expect(oidcErrorIn('error=oidc_second_factor')).toBe('oidc_second_factor');
    expect(oidcErrorIn('#error=<b>new</b>')).toBe('other');
    expect(oidcErrorIn('')).toBe(null);
    expect(oidcErrorIn('#L5-L7')).toBe(null);
  });

  it('knows_where_the_person_wanted_to_go', () => {
    expect(returnToIn('#error=oidc_denied&return_to=%2Fjobs%3Fstate%3Dfailed')).toBe('/jobs?state=failed');
    expect(returnToIn('#error=oidc_denied')).toBe(undefined);
    expect(localPath(returnToIn('#error=x&return_to=%2F%2Felsewhere.example'))).toBe('/');
  });

  it('leads_to_a_path_of_this_site_only', () => {
    expect(localPath('/servers?status=online')).toBe('/servers?status=online');
    for (const bad of ['https://elsewhere.example', '//elsewhere.example', '/\\elsewhere.example', undefined])
      expect(localPath(bad)).toBe('/');
  });

  it('starts_at_the_hub_with_the_way_back', () => {
    expect(providerUrl('company', '/a?b=c')).toBe('/v1/auth/oidc/company/start?return_to=%2Fa%3Fb%3Dc');
    expect(providerUrl('a/b', '/', true)).toBe('/v1/auth/oidc/a%2Fb/start?return_to=%2F&step_up=true');
  });
});
