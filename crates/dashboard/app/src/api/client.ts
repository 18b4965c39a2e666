import createClient from 'openapi-fetch';
import { errorFromAnswer, toApiError } from './error';
import type { paths } from './schema';

/** The only way to the hub: every path, parameter and body is checked against its OpenAPI document. */
export const api = createClient<paths>({
  baseUrl: '',
  fetch: askAgainWhenStale,
  // Lists such as `label` are sent as `label=a:1&label=b:2`.
  querySerializer: { array: { style: 'form', explode: true } },
});

let onStale: () => Promise<boolean> = () => Promise.resolve(false);

/** Called when the hub wants to be shown again who is there before something dangerous; `true`: it was shown. */
export function setStaleHandler(handler: () => Promise<boolean>): void {
  onStale = handler;
}

/** The page does not learn that it was asked in between: the same request goes out once more. */
async function askAgainWhenStale(request: Request): Promise<Response> {
  const again = request.clone();
  const response = await fetch(request);
  if (response.status !== 403) return response;
  const body: unknown = await response
    .clone()
    .json()
    .catch(() => null);
  if (errorFromAnswer(response, body).code !== 'step_up_required') return response;
  return (await onStale()) ? fetch(again) : response;
}

interface Answer<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

let onUnauthenticated: () => void = () => {};

/** Called whenever the hub no longer knows this session; the shell turns it into the sign-in page. */
export function setUnauthenticatedHandler(handler: () => void): void {
  onUnauthenticated = handler;
}

let onForbidden: () => void = () => {};

/** Called when the hub refused something: what the caller may do could have changed since it was asked for. */
export function setForbiddenHandler(handler: () => void): void {
  onForbidden = handler;
}

/** The answer's data, or a thrown ApiError. */
export async function unwrap<T>(answer: Promise<Answer<T>>): Promise<T> {
  const { data, response } = await checked(answer);
  if (data === undefined && response.status !== 204) {
    throw errorFromAnswer(response, null);
  }
  return data as T;
}

/** For answers without a body, and for streams, whose body the caller reads. */
export async function checked<T>(answer: Promise<Answer<T>>): Promise<Answer<T>> {
  let settled: Answer<T>;
  try {
    settled = await answer;
  } catch (thrown) {
    if (thrown instanceof DOMException && thrown.name === 'AbortError') throw thrown;
    throw toApiError(thrown);
  }
  if (!settled.response.ok) {
    const error = errorFromAnswer(settled.response, settled.error);
    if (error.status === 401 && error.code === 'unauthenticated') onUnauthenticated();
    if (error.status === 403) onForbidden();
    throw error;
  }
  return settled;
}

/** One key per press of a button: a repeat after a lost answer does not create twice. */
export function idempotencyKey(): string {
  return globalThis.crypto.randomUUID?.() ?? `${Date.now()}-${Math.random().toString(36).slice(2)}`;
}
