import { describe, expect, it } from 'vitest';
import type { Job, JobBatch } from '@/api/types';
import { commandOf } from './data';
import { startOf } from './log-source';
import {
  argsOf,
  blankRun,
  commonOf,
  type RunValues,
  selectorOf,
  strategyOf,
  validateRun,
  valuesLike,
  valuesLikeBatch,
} from './validate';

const values = (over: Partial<RunValues>): RunValues => ({
  ...blankRun,
  serverId: 's',
  command: 'uptime',
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
    [{ target: 'several' as const, serverId: '' }, ['servers']],
    [{ target: 'labels' as const, labels: ' ' }, ['labels']],
    [{ target: 'labels' as const, labels: 'Env:prod' }, ['labels']],
    [{ target: 'all' as const }, ['allConfirmed']],
    [{ target: 'all' as const, allConfirmed: true, canary: 'x' }, ['canary']],
    [{ target: 'all' as const, allConfirmed: true, batch_size: '101' }, ['batch_size']],
    [{ target: 'all' as const, allConfirmed: true, max_failures: '' }, ['max_failures']],
    [{ target: 'all' as const, allConfirmed: true, plan: 'at_once' as const, batch_size: 'x' }, []],
    [{ canary: 'x', max_failures: '-1' }, []],
    [{ memory_bytes: '0.5', nice: '20' }, ['memory_bytes', 'nice']],
    [{ secrets: [{ key: 0, name: 'T', value: '12345' }] }, ['secrets']],
    [{ secrets: [{ key: 0, name: 'T', value: 'ähé' }] }, ['secrets']],
    [{ secrets: [{ key: 0, name: 'T', value: 'ähéü' }] }, []],
    [{ secrets: [{ key: 0, name: '1T', value: '123456' }] }, ['secrets']],
    [{ secrets: [{ key: 0, name: 'A', value: '123456' }], env: 'A=1' }, ['secrets']],
    [{ secrets: [{ key: 0, name: '', value: '' }] }, []],
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

describe('one job or a batch', () => {
  it('adds_only_what_differs_from_the_hub_s_own_choice', () => {
    expect(commonOf(values({}))).toEqual({ kind: 'exec', args: { command: 'uptime' }, timeout_s: 3600 });
    const full = values({
      expires: '600',
      exclusive: true,
      memory_bytes: '512',
      nice: '-5',
      secrets: [{ key: 0, name: 'TOKEN', value: 'abcdef' }],
    });
    expect(commonOf(full)).toEqual({
      kind: 'exec',
      args: { command: 'uptime', secret_env: { TOKEN: 'abcdef' } },
      timeout_s: 3600,
      expires_in_s: 600,
      exclusive: true,
      limits: { memory_bytes: 536_870_912, nice: -5 },
    });
  });

  it('selects_by_what_was_chosen_and_by_nothing_else', () => {
    const chosen = { servers: [{ id: 'a', name: 'A' }], labels: 'env:prod, web' };
    expect(selectorOf(values({ ...chosen, target: 'several' }))).toEqual({ server_ids: ['a'] });
    expect(selectorOf(values({ ...chosen, target: 'labels' }))).toEqual({ labels: { env: 'prod', web: '' } });
    expect(selectorOf(values({ ...chosen, target: 'all' }))).toEqual({ all: true });
  });

  it('sends_a_plan_of_one_unit', () => {
    expect(
      strategyOf(values({ canary: '1', batch_size: '3', batch_unit: 'servers', pause_s: '60' })),
    ).toEqual({
      canary: 1,
      batch_size: 3,
      max_failures: 0,
      pause_s: 60,
    });
    expect(strategyOf(values({ canary: '0' }))).toEqual({ batch_percent: 25, max_failures: 0 });
    expect(strategyOf(values({ plan: 'at_once', max_failures: '2' }))).toEqual({ max_failures: 2 });
  });

  it('begins_like_an_earlier_one_without_its_secrets', () => {
    const work = {
      args: { command: 'id', secret_env: { TOKEN: '***' } },
      timeout_s: 600,
      exclusive: true,
      limits: { memory_bytes: 536_870_912 },
    };
    const again = valuesLike({ ...work, server_id: 's' } as unknown as Job);
    expect(again).toMatchObject({ serverId: 's', timeout: '600', exclusive: true, memory_bytes: '512' });
    expect(again.secrets).toEqual([{ key: 0, name: 'TOKEN', value: '' }]);
    const batch = {
      ...work,
      selector: { labels: { env: 'prod' } },
      strategy: { batch_size: 3 },
      expires_in_s: 3600,
    };
    expect(valuesLikeBatch(batch as unknown as JobBatch, [])).toMatchObject({
      target: 'labels',
      labels: 'env:prod',
      plan: 'waves',
      canary: '0',
      batch_size: '3',
      batch_unit: 'servers',
      expires: '3600',
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
