// What the hub's API has beyond the generated `schema.d.ts`. Once that file is generated with these routes in it, this one
// goes: `client.ts` then takes `paths` alone and `types.ts` the generated names.
import type { components, paths } from './schema';

type Schemas = components['schemas'];
type Timestamp = Schemas['Timestamp'];

/** How much power over a host a kind of job takes. */
export type Tier = 'read' | 'typed' | 'root';

/** What a job may take of its server; absent ones do not limit. */
export interface JobLimits {
  /** Of one processor: 150 is one and a half. */
  cpu_percent?: number | null;
  memory_bytes?: number | null;
  /** Processes and threads. */
  pids?: number | null;
  /** 1 to 10 000; others have 100. */
  io_weight?: number | null;
  /** −20 (first) to 19 (last). */
  nice?: number | null;
}

export type ExecArgs = Schemas['ExecArgs'] & { secret_env?: Record<string, string> | null };

export type Job = Omit<Schemas['Job'], 'args' | 'log'> & {
  args: ExecArgs;
  log: Schemas['JobLogSize'] & { removed_at?: Timestamp | null };
  exclusive?: boolean;
  limits?: JobLimits | null;
  batch_id?: string | null;
};

export type JobCreate = Omit<Schemas['JobCreate'], 'args'> & {
  args: ExecArgs;
  exclusive?: boolean;
  limits?: JobLimits | null;
};

export interface OperatorName {
  /** As `ssh-keygen -l` prints it. */
  fingerprint: string;
  comment: string;
}

export interface JobSigning {
  job_id: string;
  namespace: string;
  /** JSON text; what is signed, byte for byte. */
  op_body: string;
  /** Keys that the host's policy lists. */
  operators: OperatorName[];
  signatures: {
    fingerprint: string;
    key_name: string;
    member: { id: string; name: string };
    at: Timestamp;
  }[];
}

export interface LogMatch {
  offset: number;
  stream: 'out' | 'err' | 'sys';
  at: Timestamp;
  text: string;
  line_number?: number | null;
}

export interface LogMatches {
  data: LogMatch[];
  next_from: number;
  complete: boolean;
}

export interface OperatorKey {
  id: string;
  name: string;
  fingerprint: string;
  public_key: string;
  created_at: Timestamp;
}

export type BatchSelector = {
  server_ids?: string[] | null;
  labels?: Record<string, string> | null;
  all?: boolean | null;
};

export interface BatchStrategy {
  canary?: number | null;
  batch_size?: number | null;
  batch_percent?: number | null;
  max_failures?: number | null;
  pause_s?: number | null;
}

export type JobBatchState = 'running' | 'paused' | 'halted' | 'succeeded' | 'failed' | 'cancelled';

export interface JobBatch {
  id: string;
  kind: string;
  args: ExecArgs;
  timeout_s: number;
  expires_in_s: number;
  exclusive: boolean;
  limits: JobLimits | null;
  selector: BatchSelector;
  strategy: BatchStrategy;
  state: JobBatchState;
  halt: { failures: number; message: string } | null;
  /** The current one, counted from 0. */
  wave: number;
  waves: number;
  /** When the next wave begins, during the pause before it. */
  next_wave_at: Timestamp | null;
  counts: { total: number; waiting: number; active: number; succeeded: number; failed: number };
  created_at: Timestamp;
  created_by: Schemas['JobCreator'];
  finished_at: Timestamp | null;
}

export interface JobBatchCreate {
  selector: BatchSelector;
  kind: string;
  args: ExecArgs;
  timeout_s?: number;
  expires_in_s?: number;
  exclusive?: boolean;
  limits?: JobLimits | null;
  strategy?: BatchStrategy;
}

export interface BatchServer {
  server_id: string;
  server_name: string;
  wave: number;
  /** Its `id` is null where the job could not be made. */
  job:
    | (Pick<Job, 'state' | 'exit_code' | 'error' | 'started_at' | 'finished_at' | 'duration_ms'> & {
        id: string | null;
      })
    | null;
}

/** Rules about what the hub may do on a host. Absent means everything; each list names what is allowed. */
export interface PolicyRules {
  tiers?: Tier[] | null;
  kinds?: string[] | null;
  users?: string[] | null;
  paths?: string[] | null;
  require_operator_signature?: Tier[] | null;
}

export type Policy = Schemas['Policy'] & {
  /** What the host's own file says. */
  file?: PolicyRules | null;
  /** What the hub has set and the host confirmed. */
  hub?: PolicyRules | null;
  hub_seq?: number;
  operators?: OperatorName[];
};

interface ServerTrust {
  policy: Policy | null;
  /** What the hub wants; in force once the host has confirmed it. */
  restrictions?: { rules: PolicyRules; seq: number; in_force: boolean } | null;
  token?: { issued_at: Timestamp; rotation: { started_at: Timestamp } | null } | null;
}

export type Server = Omit<Schemas['Server'], 'policy'> & ServerTrust;
export type ServerDetail = Omit<Schemas['ServerDetail'], 'policy'> & ServerTrust;

interface Page<T> {
  data: T[];
  next_cursor: string | null;
}

interface Request {
  path?: object;
  query?: object;
  header?: object;
  body?: unknown;
}

/** An operation in the form in which the generated file writes them. */
type Operation<R extends Request, Status extends number, Answer> = {
  parameters: {
    query?: R['query'];
    header?: R['header'];
    cookie?: never;
  } & (R extends { path: infer P } ? { path: P } : { path?: never });
  responses: Record<Status, { headers: Record<string, unknown>; content: { 'application/json': Answer } }> & {
    default: components['responses']['Error'];
  };
} & (R extends { body: infer B }
  ? { requestBody: { content: { 'application/json': B } } }
  : { requestBody?: never });

type ById = { path: { id: string } };
type Paged = { limit?: number; cursor?: string };
type Once = { 'idempotency-key'?: string };

interface NewPaths {
  '/v1/jobs/{id}/signing': { get: Operation<ById, 200, JobSigning> };
  '/v1/jobs/{id}/signatures': { post: Operation<ById & { body: { signature: string } }, 200, Job> };
  '/v1/jobs/{id}/log/search': {
    get: Operation<
      ById & {
        query: { q: string; case_sensitive?: boolean; stream?: string; from?: number; limit?: number };
      },
      200,
      LogMatches
    >;
  };
  '/v1/account/operator-keys': {
    get: Operation<Request, 200, Page<OperatorKey>>;
    post: Operation<{ body: { public_key: string; name?: string }; header: Once }, 201, OperatorKey>;
  };
  '/v1/account/operator-keys/{id}': { delete: Operation<ById, 204, never> };
  '/v1/job-batches': {
    get: Operation<{ query: Paged & { state?: string } }, 200, Page<JobBatch>>;
    post: Operation<{ body: JobBatchCreate; header: Once }, 201, JobBatch>;
  };
  '/v1/job-batches/{id}': { get: Operation<ById, 200, JobBatch> };
  '/v1/job-batches/{id}/servers': {
    get: Operation<ById & { query: Paged & { state?: string } }, 200, Page<BatchServer>>;
  };
  '/v1/job-batches/{id}/pause': { post: Operation<ById, 202, JobBatch> };
  '/v1/job-batches/{id}/resume': { post: Operation<ById, 202, JobBatch> };
  '/v1/job-batches/{id}/cancel': { post: Operation<ById, 202, JobBatch> };
  '/v1/servers/{id}/restrictions': { put: Operation<ById & { body: PolicyRules }, 200, Server> };
  '/v1/servers/{id}/rotate-token': { post: Operation<ById, 202, Server> };
}

export type AllPaths = paths & NewPaths;
