import { describe, expect, it } from 'vitest';
import { fileNameOf, isFor, isSignature, parseOpBody, signCommands, visible } from './op-body';

const body = {
  job_id: '0193c0de-0002-7000-8000-0000000000aa',
  server_id: '0193c0de-0001-7000-8000-000000000001',
  kind: 'exec',
  args: { command: 'systemctl restart nginx' },
  user: 'root',
  timeout_s: 600,
  expires_at_ms: 1_800_000_000_000,
};
const parsed = (over: object) => parseOpBody(JSON.stringify({ ...body, ...over }));

describe('what is to be signed', () => {
  it('is_read_from_the_text_itself', () => {
    expect(parsed({})).toEqual({
      jobId: body.job_id,
      serverId: body.server_id,
      kind: 'exec',
      command: 'systemctl restart nginx',
      user: 'root',
      timeoutSeconds: 600,
      limits: null,
      expiresAt: '2027-01-15T08:00:00.000Z',
      others: [],
    });
  });

  it('shows_arguments_as_a_shell_would_need_them', () =>
    expect(parsed({ args: { argv: ['echo', 'a b', "it's"] } })?.command).toBe("echo 'a b' 'it'\\''s'"));

  it('leaves_nothing_unseen', () => {
    expect(
      parsed({ args: { command: 'x', env: { A: '1' }, cwd: '/srv', user: 'root' }, twist: [1] })?.others,
    ).toEqual([
      ['env.A', '1'],
      ['cwd', '/srv'],
      ['twist', '[1]'],
    ]);
    expect(parsed({ args: { command: 'x', argv: ['rm', '/'] } })?.others).toEqual([['argv', '["rm","/"]']]);
    expect(parsed({ args: { command: 'x', user: 'other' } })?.others).toEqual([['user', 'other']]);
  });

  it('is_not_guessed_from_something_else', () => {
    expect(parseOpBody('no json')).toBe(null);
    expect(parseOpBody('[]')).toBe(null);
    expect(parsed({ user: undefined })).toBe(null);
    expect(parsed({ args: 'x' })).toBe(null);
  });

  it('must_be_for_this_job_on_this_server', () => {
    const it = parsed({});
    expect(it && isFor(it, { id: body.job_id, server_id: body.server_id })).toBe(true);
    expect(it && isFor(it, { id: body.job_id, server_id: body.job_id })).toBe(false);
  });
});

describe('text that hides something', () => {
  it.each([
    ['rm -rf /\u001b[2K\recho hello', 'rm -rf /\\u{1b}[2K\\u{d}echo hello'],
    ['echo \u202Etxt.exe', 'echo \\u{202e}txt.exe'],
    ['a\u200bb', 'a\\u{200b}b'],
    ['two\n\tlines', 'two\n\tlines'],
    ['naïve – “quotes”', 'naïve – “quotes”'],
  ])('%j is shown as %j', (text, shown) => expect(visible(text)).toBe(shown));
});

describe('a pasted signature', () => {
  const armoured = '-----BEGIN SSH SIGNATURE-----\nU1NIU0lHAAAA\nAQ==\n-----END SSH SIGNATURE-----';
  it.each([
    [armoured, true],
    [`\n${armoured.replaceAll('\n', '\r\n')}\n`, true],
    ['ssh-ed25519 AAAA', false],
    ['roadstead-job.json.sig', false],
    [armoured.replace('END SSH', 'END PGP'), false],
  ])('%j', (text, expected) => expect(isSignature(text)).toBe(expected));
});

describe('the lines to copy', () => {
  it('name_the_downloaded_file', () => {
    expect(fileNameOf(body.job_id)).toBe('roadstead-job-000000aa.json');
    expect(signCommands(body.job_id, 'roadstead-job').ssh).toBe(
      'ssh-keygen -Y sign -n roadstead-job -f ~/.ssh/id_ed25519 roadstead-job-000000aa.json',
    );
  });
});
