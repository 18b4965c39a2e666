import type { BatchSelector, BatchStrategy, ExecArgs, Job, JobBatch, JobLimits } from '@/api/types';
import { parseLabels } from '@/features/servers/labels';
import { t } from '@/i18n';
import type { Errors } from '@/kit/use-form';

/** A server as far as a form needs to know it. */
export interface ChosenServer {
  id: string;
  name: string;
}

export interface Secret {
  /** Tells rows apart while their names are still empty. */
  key: number;
  name: string;
  value: string;
}

export type Target = 'one' | 'several' | 'labels' | 'all';

/** Numbers stand as they were typed; those of the API carry its field's name, so that its complaints find them. */
export interface RunValues extends Record<string, unknown> {
  target: Target;
  serverId: string;
  servers: readonly ChosenServer[];
  labels: string;
  allConfirmed: boolean;
  plan: 'at_once' | 'waves';
  canary: string;
  batch_size: string;
  batch_unit: 'servers' | 'percent';
  max_failures: string;
  pause_s: string;
  mode: 'shell' | 'argv';
  command: string;
  /** One argument a line. */
  argv: string;
  cwd: string;
  user: string;
  /** `NAME=value` lines. */
  env: string;
  stdin: string;
  secrets: readonly Secret[];
  timeout: string;
  /** Empty: as long as the hub lets jobs wait by itself. */
  expires: string;
  exclusive: boolean;
  cpu_percent: string;
  /** In MiB. */
  memory_bytes: string;
  pids: string;
  io_weight: string;
  nice: string;
}

export const blankRun: RunValues = {
  target: 'one',
  serverId: '',
  servers: [],
  labels: '',
  allConfirmed: false,
  plan: 'waves',
  canary: '1',
  batch_size: '25',
  batch_unit: 'percent',
  max_failures: '0',
  pause_s: '0',
  mode: 'shell',
  command: '',
  argv: '',
  cwd: '',
  user: '',
  env: '',
  stdin: '',
  secrets: [],
  timeout: '3600',
  expires: '',
  exclusive: false,
  cpu_percent: '',
  memory_bytes: '',
  pids: '',
  io_weight: '',
  nice: '',
};

export const MAX_COMMAND_BYTES = 64 * 1024;
/** Shorter values would mask half of the log. */
export const MIN_SECRET_BYTES = 6;
const MIB = 1024 * 1024;
const ENV_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;
const ENV_LINE = /^([A-Za-z_][A-Za-z0-9_]*)=(.*)$/s;

export const TIMEOUTS = ['60', '600', '3600', '21600', '86400'] as const;
export const WAITS = ['600', '3600', '21600', '86400', '604800'] as const;
export const PAUSES = ['0', '30', '60', '300', '900', '3600'] as const;

export function validateRun(values: RunValues): Errors<RunValues> {
  const isBatch = values.target !== 'one';
  const inWaves = isBatch && values.plan === 'waves';
  return {
    ...targetErrors(values),
    canary: inWaves ? numberError(values.canary, 0, 100_000, true) : undefined,
    batch_size: inWaves
      ? numberError(values.batch_size, 1, values.batch_unit === 'percent' ? 100 : 100_000, true)
      : undefined,
    max_failures: isBatch ? numberError(values.max_failures, 0, 100_000) : undefined,
    command: values.mode === 'shell' ? textError(values.command, t('jobs.form.command_required')) : undefined,
    argv: values.mode === 'argv' ? textError(values.argv, t('jobs.form.argv_required')) : undefined,
    cwd: values.cwd !== '' && !values.cwd.startsWith('/') ? t('jobs.form.cwd_absolute') : undefined,
    env: envError(values.env),
    secrets: secretsError(values),
    cpu_percent: numberError(values.cpu_percent, 1, 100_000, true),
    memory_bytes: numberError(values.memory_bytes, 1, 1_000_000_000, true),
    pids: numberError(values.pids, 1, 4_000_000, true),
    io_weight: numberError(values.io_weight, 1, 10_000, true),
    nice: numberError(values.nice, -20, 19, true),
  };
}

function targetErrors({ target, serverId, servers, labels, allConfirmed }: RunValues): Errors<RunValues> {
  switch (target) {
    case 'one':
      return { serverId: serverId === '' ? t('jobs.form.server_required') : undefined };
    case 'several':
      return { servers: servers.length === 0 ? t('jobs.form.servers_required') : undefined };
    case 'labels':
      return {
        labels: labels.trim() === '' ? t('jobs.form.labels_required') : parseLabels(labels).error,
      };
    case 'all':
      return { allConfirmed: allConfirmed ? undefined : t('jobs.form.all_required') };
  }
}

export function argsOf(values: RunValues): ExecArgs {
  const secrets = values.secrets.filter(({ name }) => name !== '');
  return {
    ...(values.mode === 'shell' ? { command: values.command } : { argv: lines(values.argv) }),
    ...(values.cwd === '' ? {} : { cwd: values.cwd }),
    ...(values.user.trim() === '' ? {} : { user: values.user.trim() }),
    ...(values.env.trim() === '' ? {} : { env: parseEnv(values.env) }),
    ...(secrets.length === 0
      ? {}
      : { secret_env: Object.fromEntries(secrets.map(({ name, value }) => [name, value])) }),
    ...(values.stdin === '' ? {} : { stdin: values.stdin }),
  };
}

/** What is the same for a job and for a batch. */
export function commonOf(values: RunValues) {
  const limits = limitsOf(values);
  return {
    kind: 'exec',
    args: argsOf(values),
    timeout_s: Number(values.timeout),
    ...(values.expires === '' ? {} : { expires_in_s: Number(values.expires) }),
    ...(values.exclusive ? { exclusive: true } : {}),
    ...(limits ? { limits } : {}),
  };
}

export function limitsOf(values: RunValues): JobLimits | null {
  const limits: JobLimits = {};
  for (const name of ['cpu_percent', 'pids', 'io_weight', 'nice'] as const) {
    if (values[name].trim() !== '') limits[name] = Number(values[name]);
  }
  if (values.memory_bytes.trim() !== '') limits.memory_bytes = Number(values.memory_bytes) * MIB;
  return Object.keys(limits).length > 0 ? limits : null;
}

export function selectorOf({ target, servers, labels }: RunValues): BatchSelector {
  if (target === 'all') return { all: true };
  if (target === 'labels') return { labels: parseLabels(labels).labels ?? {} };
  return { server_ids: servers.map((server) => server.id) };
}

/** The plan as it is sent; also while it is being typed, for the preview. */
export function strategyOf(values: RunValues): BatchStrategy {
  const max_failures = whole(values.max_failures) ?? 0;
  if (values.plan === 'at_once') return { max_failures };
  const size = whole(values.batch_size);
  return {
    ...(whole(values.canary) ? { canary: whole(values.canary) } : {}),
    ...(size ? (values.batch_unit === 'percent' ? { batch_percent: size } : { batch_size: size }) : {}),
    max_failures,
    ...(values.pause_s === '0' ? {} : { pause_s: Number(values.pause_s) }),
  };
}

/** The form as it was for an earlier job; secret values are known to nobody any more. */
export function valuesLike(job: Job): RunValues {
  return { ...blankRun, ...valuesLikeWork(job), serverId: job.server_id };
}

/** The form as it was for an earlier batch. */
export function valuesLikeBatch(batch: JobBatch, servers: readonly ChosenServer[]): RunValues {
  const { selector, strategy } = batch;
  const { canary, batch_size, batch_percent, max_failures, pause_s } = strategy;
  const isOneWave = !canary && batch_size == null && batch_percent == null;
  return {
    ...blankRun,
    ...valuesLikeWork(batch),
    target: selector.all ? 'all' : selector.labels ? 'labels' : 'several',
    labels: Object.entries(selector.labels ?? {})
      .map(([key, value]) => (value === '' ? key : `${key}:${value}`))
      .join(', '),
    servers,
    plan: isOneWave ? 'at_once' : 'waves',
    canary: String(canary ?? 0),
    batch_size: String(batch_size ?? batch_percent ?? ''),
    batch_unit: batch_percent == null ? 'servers' : 'percent',
    max_failures: String(max_failures ?? 0),
    pause_s: chosenFrom(PAUSES, pause_s, '0'),
    expires: chosenFrom(WAITS, batch.expires_in_s, ''),
  };
}

function valuesLikeWork({ args, timeout_s, exclusive, limits }: Job | JobBatch): Partial<RunValues> {
  const number = (value: number | null | undefined) => (value == null ? '' : String(value));
  return {
    mode: args.argv ? 'argv' : 'shell',
    command: args.command ?? '',
    argv: (args.argv ?? []).join('\n'),
    cwd: args.cwd ?? '',
    user: args.user ?? '',
    env: Object.entries(args.env ?? {})
      .map(([name, value]) => `${name}=${value}`)
      .join('\n'),
    stdin: args.stdin ?? '',
    secrets: Object.keys(args.secret_env ?? {}).map((name, key) => ({ key, name, value: '' })),
    timeout: chosenFrom(TIMEOUTS, timeout_s, '3600'),
    exclusive: exclusive ?? false,
    cpu_percent: number(limits?.cpu_percent),
    memory_bytes: limits?.memory_bytes ? String(Math.ceil(limits.memory_bytes / MIB)) : '',
    pids: number(limits?.pids),
    io_weight: number(limits?.io_weight),
    nice: number(limits?.nice),
  };
}

function chosenFrom(choices: readonly string[], value: number | null | undefined, otherwise: string): string {
  return choices.find((choice) => choice === String(value)) ?? otherwise;
}

function whole(text: string): number | null {
  return /^-?\d{1,9}$/.test(text.trim()) ? Number(text) : null;
}

function numberError(text: string, least: number, most: number, mayBeEmpty = false): string | undefined {
  if (text.trim() === '') return mayBeEmpty ? undefined : t('jobs.form.number', { least, most });
  const number = whole(text);
  return number === null || number < least || number > most
    ? t('jobs.form.number', { least, most })
    : undefined;
}

function textError(text: string, whenEmpty: string): string | undefined {
  if (text.trim() === '') return whenEmpty;
  if (text.includes('\0')) return t('jobs.form.nul');
  return bytesOf(text) > MAX_COMMAND_BYTES ? t('jobs.form.too_long') : undefined;
}

function envError(text: string): string | undefined {
  const wrong = lines(text).find((line) => !ENV_LINE.test(line));
  return wrong === undefined ? undefined : t('jobs.form.env_invalid', { line: wrong.slice(0, 40) });
}

function secretsError({ secrets, env }: RunValues): string | undefined {
  const taken = new Set(Object.keys(parseEnv(env)));
  for (const { name, value } of secrets) {
    if (name === '' && value === '') continue;
    if (!ENV_NAME.test(name)) return t('jobs.form.secret_name', { name: name || '…' });
    if (taken.has(name)) return t('jobs.form.secret_twice', { name });
    if (value === '') return t('jobs.form.secret_missing', { name });
    if (bytesOf(value) < MIN_SECRET_BYTES)
      return t('jobs.form.secret_short', { name, least: MIN_SECRET_BYTES });
    taken.add(name);
  }
  return undefined;
}

function parseEnv(text: string): Record<string, string> {
  const env: Record<string, string> = {};
  for (const line of lines(text)) {
    const match = ENV_LINE.exec(line);
    if (match?.[1] !== undefined) env[match[1]] = match[2] ?? '';
  }
  return env;
}

function bytesOf(text: string): number {
  return new TextEncoder().encode(text).length;
}

function lines(text: string): string[] {
  return text.split('\n').filter((line) => line !== '');
}
