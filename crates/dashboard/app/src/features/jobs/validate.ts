import type { ExecArgs, Job } from '@/api/types';
import { t } from '@/i18n';
import type { Errors } from '@/kit/use-form';

export interface RunValues extends Record<string, unknown> {
  serverId: string;
  mode: 'shell' | 'argv';
  command: string;
  /** One argument a line. */
  argv: string;
  cwd: string;
  user: string;
  /** `NAME=value` lines. */
  env: string;
  stdin: string;
  timeout: string;
}

export const MAX_COMMAND_BYTES = 64 * 1024;
const ENV_LINE = /^([A-Za-z_][A-Za-z0-9_]*)=(.*)$/s;

export const TIMEOUTS = ['60', '600', '3600', '21600', '86400'] as const;

export function validateRun(values: RunValues): Errors<RunValues> {
  return {
    serverId: values.serverId === '' ? t('jobs.form.server_required') : undefined,
    command: values.mode === 'shell' ? textError(values.command, t('jobs.form.command_required')) : undefined,
    argv: values.mode === 'argv' ? textError(values.argv, t('jobs.form.argv_required')) : undefined,
    cwd: values.cwd !== '' && !values.cwd.startsWith('/') ? t('jobs.form.cwd_absolute') : undefined,
    env: envError(values.env),
  };
}

export function argsOf(values: RunValues): ExecArgs {
  return {
    ...(values.mode === 'shell' ? { command: values.command } : { argv: lines(values.argv) }),
    ...(values.cwd === '' ? {} : { cwd: values.cwd }),
    ...(values.user.trim() === '' ? {} : { user: values.user.trim() }),
    ...(values.env.trim() === '' ? {} : { env: parseEnv(values.env) }),
    ...(values.stdin === '' ? {} : { stdin: values.stdin }),
  };
}

/** The form as it was for an earlier job. */
export function valuesLike(job: Job): RunValues {
  const args = job.args as ExecArgs;
  const timeout = String(job.timeout_s ?? 3_600);
  return {
    serverId: job.server_id,
    mode: args.argv ? 'argv' : 'shell',
    command: args.command ?? '',
    argv: (args.argv ?? []).join('\n'),
    cwd: args.cwd ?? '',
    user: args.user ?? '',
    env: Object.entries(args.env ?? {})
      .map(([name, value]) => `${name}=${value}`)
      .join('\n'),
    stdin: args.stdin ?? '',
    timeout: (TIMEOUTS as readonly string[]).includes(timeout) ? timeout : '3600',
  };
}

function textError(text: string, whenEmpty: string): string | undefined {
  if (text.trim() === '') return whenEmpty;
  if (text.includes('\0')) return t('jobs.form.nul');
  return new TextEncoder().encode(text).length > MAX_COMMAND_BYTES ? t('jobs.form.too_long') : undefined;
}

function envError(text: string): string | undefined {
  const wrong = lines(text).find((line) => !ENV_LINE.test(line));
  return wrong === undefined ? undefined : t('jobs.form.env_invalid', { line: wrong.slice(0, 40) });
}

function parseEnv(text: string): Record<string, string> {
  const env: Record<string, string> = {};
  for (const line of lines(text)) {
    const match = ENV_LINE.exec(line);
    if (match?.[1] !== undefined) env[match[1]] = match[2] ?? '';
  }
  return env;
}

function lines(text: string): string[] {
  return text.split('\n').filter((line) => line !== '');
}
