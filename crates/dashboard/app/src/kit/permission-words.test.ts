import { describe, expect, it } from 'vitest';
import { errorFromAnswer } from '@/api/error';
import { missingInWords, permissionsInWords } from './permission-words';

const refusal = (error: object) => errorFromAnswer(new Response(null, { status: 403 }), { error });

describe('a refusal', () => {
  it('says_which_permission_is_missing', () => {
    const details = { missing: ['servers.exec', 'jobs.cancel'] };
    expect(refusal({ code: 'forbidden', message: 'no', details }).missing).toEqual(details.missing);
    expect(
      refusal({ code: 'forbidden', message: 'this needs the permission api-keys.create' }).missing,
    ).toEqual(['api-keys.create']);
    expect(refusal({ code: 'forbidden', message: 'not from this address' }).missing).toEqual([]);
    expect(errorFromAnswer(new Response(null, { status: 409 }), { error: { details } }).missing).toEqual([]);
  });

  it('says_who_can_grant_what_is_missing', () => {
    expect(missingInWords(['servers.exec'])).toMatch(/run commands on servers.*owner or administrator/);
    expect(missingInWords(['workspace.close'])).toMatch(/An owner of the workspace/);
    expect(missingInWords(['hub.manage'])).toMatch(/first workspace/);
  });

  it('is_in_words_and_keeps_the_name_of_what_is_new', () => {
    expect(permissionsInWords(['servers.exec', 'jobs.cancel'])).toBe('run commands on servers and end jobs');
    expect(permissionsInWords(['servers.fly'])).toBe('servers.fly');
    expect(permissionsInWords(['servers'])).toBe('servers');
  });
});
