/** What the hub said no with, or why it could not be asked. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  constructor(
    /** HTTP status; 0 when no answer came. */
    readonly status: number,
    readonly code: string,
    message: string,
    readonly requestId: string | null = null,
    readonly fields: Readonly<Record<string, readonly string[]>> = {},
    readonly retryAfterSeconds: number | null = null,
    /** Permissions that the caller lacks, by name. */
    readonly missing: readonly string[] = [],
    /** What else the hub told, for the code that knows what to make of it. */
    readonly details: Readonly<Record<string, unknown>> = {},
  ) {
    super(message);
  }

  /** No answer: the hub is down, restarting, or the network is. */
  get isUnreachable(): boolean {
    return this.status === 0 || this.status === 502 || this.status === 503 || this.status === 504;
  }
}

/** Reads the hub's error shape; anything else in the body (a proxy's page, say) becomes words of our own. */
export function errorFromAnswer(response: Response, body: unknown): ApiError {
  const error = isRecord(body) && isRecord(body.error) ? body.error : null;
  const retryAfter = Number(response.headers.get('retry-after'));
  return new ApiError(
    response.status,
    typeof error?.code === 'string' ? error.code : 'unexpected_answer',
    typeof error?.message === 'string' ? error.message : `the hub answered with status ${response.status}`,
    response.headers.get('x-request-id'),
    isRecord(error?.details) ? fieldErrors(error.details.fields) : {},
    Number.isFinite(retryAfter) && retryAfter > 0 ? retryAfter : null,
    response.status === 403 ? missingPermissions(error) : [],
    isRecord(error?.details) ? error.details : {},
  );
}

/** A refusal lists them in its details, or names the one in its message. */
function missingPermissions(error: Record<string, unknown> | null): string[] {
  if (isRecord(error?.details) && Array.isArray(error.details.missing))
    return error.details.missing.map(String);
  const named = /\bpermission ([a-z-]+\.[a-z-]+)$/.exec(String(error?.message ?? ''))?.[1];
  return named ? [named] : [];
}

/** Whatever was thrown, as an ApiError that can be shown. */
export function toApiError(thrown: unknown): ApiError {
  if (thrown instanceof ApiError) return thrown;
  // fetch() reports every network failure as a TypeError without saying which.
  if (thrown instanceof TypeError) return new ApiError(0, 'unreachable', 'the hub cannot be reached');
  return new ApiError(0, 'internal', thrown instanceof Error ? thrown.message : String(thrown));
}

function fieldErrors(fields: unknown): Record<string, string[]> {
  if (!isRecord(fields)) return {};
  const result: Record<string, string[]> = {};
  for (const [name, messages] of Object.entries(fields)) {
    if (Array.isArray(messages)) result[name] = messages.map(String);
    else if (typeof messages === 'string') result[name] = [messages];
  }
  return result;
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
