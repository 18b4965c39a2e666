import { useState } from 'react';
import { type ApiError, toApiError } from '@/api/error';

export type Errors<V> = Partial<Record<keyof V & string, string>>;

interface FormOptions<V, R> {
  initial: V;
  /** What is wrong with the values, by field; an empty object lets them pass. */
  validate: (values: V) => Errors<V>;
  submit: (values: V) => Promise<R>;
  onDone?: (result: R) => void;
}

/**
 * A form's values, errors and sending. Errors appear at the first attempt to send and then follow the typing; what the
 * hub says about a field stands at that field, anything else in `failure`.
 */
export function useForm<V extends Record<string, unknown>, R>({
  initial,
  validate,
  submit,
  onDone,
}: FormOptions<V, R>) {
  const [values, setValues] = useState(initial);
  const [attempted, setAttempted] = useState(false);
  const [busy, setBusy] = useState(false);
  const [refused, setRefused] = useState<Errors<V>>({});
  const [failure, setFailure] = useState<ApiError | null>(null);

  const own = attempted ? validate(values) : {};
  const errors = mergeErrors(refused, own);

  const patch = (change: Partial<V>) => {
    setValues((before) => ({ ...before, ...change }));
    setRefused((before) => {
      const rest = { ...before };
      for (const name of Object.keys(change)) delete rest[name as keyof V & string];
      return rest;
    });
  };
  const set = <K extends keyof V & string>(name: K, value: V[K]) =>
    patch({ [name]: value } as unknown as Partial<V>);

  const send = async (event?: { preventDefault: () => void; currentTarget?: unknown }) => {
    event?.preventDefault();
    if (busy) return;
    setAttempted(true);
    setFailure(null);
    if (Object.values(validate(values)).some(Boolean)) {
      focusFirstInvalid(event?.currentTarget);
      return;
    }
    setBusy(true);
    try {
      onDone?.(await submit(values));
    } catch (thrown) {
      const error = toApiError(thrown);
      const fields = fieldsOf(error, values);
      setRefused(fields);
      setFailure(Object.keys(fields).length > 0 ? null : error);
      if (Object.keys(fields).length > 0) focusFirstInvalid(event?.currentTarget);
    } finally {
      setBusy(false);
    }
  };

  /** Back to the beginning, as after a success on a page that stays. */
  const reset = () => {
    setValues(initial);
    setAttempted(false);
    setRefused({});
    setFailure(null);
  };

  return { values, set, patch, errors, failure, busy, send, reset };
}

/** Own errors come first: they follow the typing, while the hub's are about what was sent. */
export function mergeErrors<V>(refused: Errors<V>, own: Errors<V>): Errors<V> {
  const merged: Errors<V> = { ...refused };
  for (const name of Object.keys(own) as (keyof V & string)[]) {
    if (own[name]) merged[name] = own[name];
  }
  return merged;
}

/** The hub's complaints about fields that this form has. `args.command` belongs to `command`. */
export function fieldsOf<V extends Record<string, unknown>>(error: ApiError, values: V): Errors<V> {
  const result: Record<string, string> = {};
  for (const [path, messages] of Object.entries(error.fields)) {
    const name =
      path
        .split('.')
        .at(-1)
        ?.replace(/\[\d+\]$/, '') ?? path;
    const message = messages[0];
    if (message && Object.hasOwn(values, name))
      result[name] = message.charAt(0).toUpperCase() + message.slice(1);
  }
  return result as Errors<V>;
}

/** After React has drawn the errors, so that the field is marked when it is read out. */
function focusFirstInvalid(form: unknown): void {
  if (!(form instanceof HTMLElement)) return;
  requestAnimationFrame(() => form.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus());
}
