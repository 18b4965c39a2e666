import { describe, expect, it } from 'vitest';
import { commandOf } from './data';
import { startOf } from './log-source';
import { argsOf, type RunValues, validateRun } from './validate';

const values = (over: Partial<RunValues>): RunValues => ({
  serverId: 's',
  mode: 'shell',
  command: 'uptime',
  argv: '',
  cwd: '',
  user: '',
  env: '',
  stdin: '',
  timeout: '3600',
  ...over,
});
const wrong = (over: Partial<RunValues>) =>
  Object.entries(validateRun(values(over)))
    .filter(([, error]) => error)
    .map(([name]) => name);

describe('run a command', () => {
  it('lets_a_plain_command_pass', () => expect(wrong({})).toEqual([]));

  it.each([
    [{ serverId: '' }, ['serverId']],
    [{ command: ' \n' }, ['command']],
    [{ command: 'a\0b' }, ['command']],
    [{ command: 'x'.repeat(65 * 1024) }, ['command']],
    [{ mode: 'argv' as const, command: '' }, ['argv']],
    [{ cwd: 'relative' }, ['cwd']],
    [{ env: 'A=1\nno equals' }, ['env']],
    [{ env: '1A=x' }, ['env']],
  ])('%o is wrong in %o', (over, names) => expect(wrong(over)).toEqual(names));

  it('sends_only_what_was_filled_in', () => {
    expect(argsOf(values({}))).toEqual({ command: 'uptime' });
    expect(argsOf(values({ mode: 'argv', argv: 'ls\n-l\n/tmp/a b', env: 'A=b=c', cwd: '/' }))).toEqual({
      argv: ['ls', '-l', '/tmp/a b'],
      env: { A: 'b=c' },
      cwd: '/',
    });
  });
});

describe('a job in one line', () => {
  it('quotes_arguments_as_a_shell_would_need_them', () =>
    expect(commandOf({ argv: ['echo', "it's", 'a b'] })).toBe("echo 'it'\\''s' 'a b'"));
});

describe('where a log is read from', () => {
  it('reads_short_logs_whole_and_long_ones_from_near_their_end', () => {
    const mebibyte = 1024 * 1024;
    expect(startOf(mebibyte, null)).toBe(0);
    expect(startOf(200 * mebibyte, null)).toBe(192 * mebibyte);
    expect(startOf(200 * mebibyte, { unit: 'line', first: 5, last: 5 })).toBe(0);
    expect(startOf(200 * mebibyte, { unit: 'byte', first: 50 * mebibyte, last: 0 })).toBe(46 * mebibyte);
  });
});
