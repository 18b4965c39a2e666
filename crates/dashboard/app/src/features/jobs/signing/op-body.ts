import type { JobLimits } from '@/api/types';

/** What a signature is asked for, read from the text that is signed and from nothing else. */
export interface OpBody {
  jobId: string;
  serverId: string;
  kind: string;
  /** The command or the arguments, with everything unprintable made visible. */
  command: string;
  user: string;
  timeoutSeconds: number | null;
  limits: JobLimits | null;
  expiresAt: string | null;
  /** All else that is in it, by its path: none of it may stay unseen. */
  others: readonly (readonly [string, string])[];
}

const KNOWN = ['job_id', 'server_id', 'kind', 'args', 'user', 'timeout_s', 'limits', 'expires_at_ms'];

/** Null when the text is not the JSON object that it should be: then nobody can tell what would be signed. */
export function parseOpBody(text: string): OpBody | null {
  const body = objectIn(text);
  if (!body) return null;
  const { job_id, server_id, kind, user } = body;
  const args = isObject(body.args) ? body.args : null;
  const isWhole = [job_id, server_id, kind, user].every((value) => typeof value === 'string');
  if (!isWhole || !args) return null;
  const { command, argv, ...otherArgs } = args;
  const isCommand = typeof command === 'string';
  const isArgv = Array.isArray(argv) && argv.every((part) => typeof part === 'string');
  const others: [string, string][] = [];
  for (const [name, value] of Object.entries(otherArgs)) {
    if (name !== 'user' || value !== user) spread(name, value, others);
  }
  // Both at once, or neither of a readable shape: shown as it stands.
  if (!isCommand && command !== undefined) spread('command', command, others);
  if (argv !== undefined && (isCommand || !isArgv)) spread('argv', argv, others);
  for (const [name, value] of Object.entries(body)) {
    if (!KNOWN.includes(name)) spread(name, value, others);
  }
  return {
    jobId: String(job_id),
    serverId: String(server_id),
    kind: visible(String(kind)),
    command: isCommand ? visible(command) : isArgv ? argv.map((part) => quoted(visible(part))).join(' ') : '',
    user: visible(String(user)),
    timeoutSeconds: typeof body.timeout_s === 'number' ? body.timeout_s : null,
    limits: isObject(body.limits) ? (body.limits as JobLimits) : null,
    expiresAt: dateOf(body.expires_at_ms),
    others,
  };
}

/**
 * Text in which nothing can hide: control characters, marks that turn the direction of reading and spaces without width
 * stand as their code points. Line feeds and tabs stay.
 */
export function visible(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cs}]/gu, (character) =>
    character === '\n' || character === '\t'
      ? character
      : `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`,
  );
}

/** Whether the text is for this job and this server; anything else must not be signed here. */
export function isFor(body: OpBody, job: { id: string; server_id: string }): boolean {
  return body.jobId === job.id && body.serverId === job.server_id;
}

function objectIn(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : null;
  } catch {
    return null;
  }
}

function spread(name: string, value: unknown, into: [string, string][]): void {
  if (value === null || value === undefined) return;
  if (isObject(value)) {
    for (const [part, inner] of Object.entries(value)) spread(`${name}.${part}`, inner, into);
  } else {
    into.push([visible(name), visible(typeof value === 'string' ? value : JSON.stringify(value))]);
  }
}

function quoted(part: string): string {
  return /^[\w@%+=:,./-]+$/.test(part) ? part : `'${part.replaceAll("'", "'\\''")}'`;
}

function dateOf(ms: unknown): string | null {
  const date = typeof ms === 'number' ? new Date(ms) : null;
  return date && !Number.isNaN(date.getTime()) ? date.toISOString() : null;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const ARMOUR = /^-----BEGIN SSH SIGNATURE-----\s[A-Za-z0-9+/=\s]+\s-----END SSH SIGNATURE-----$/;

/** Whether this is what `ssh-keygen -Y sign` writes; people paste keys and file names as well. */
export function isSignature(text: string): boolean {
  return ARMOUR.test(text.trim().replaceAll('\r', ''));
}

export function fileNameOf(jobId: string): string {
  return `roadstead-job-${jobId.replaceAll('-', '').slice(-8)}.json`;
}

const KEY_FILE = '~/.ssh/id_ed25519';

/** Both lines write the signature beside the file, as `FILE.sig`. */
export function signCommands(jobId: string, namespace: string): { roadstead: string; ssh: string } {
  const file = fileNameOf(jobId);
  return {
    roadstead: `roadstead sign --key ${KEY_FILE} ${file}`,
    ssh: `ssh-keygen -Y sign -n ${namespace} -f ${KEY_FILE} ${file}`,
  };
}
