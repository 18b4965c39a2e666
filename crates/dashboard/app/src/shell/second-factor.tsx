import { Fingerprint } from 'lucide-react';
import { useState } from 'react';
import { ApiError, isRecord } from '@/api/error';
import type { Ceremony, PasskeyProof } from '@/api/types';
import { t } from '@/i18n';
import { Button } from '@/kit/button';
import { Field } from '@/kit/field';
import { Input } from '@/kit/input';
import { type Errors, useForm } from '@/kit/use-form';
import { askForPasskey, browserHasPasskeys } from './passkeys';
import '@/i18n/lazy/factors';

/** What is sent besides a password. */
export interface Factor {
  totp?: string;
  passkey?: PasskeyProof;
}

/** Which second factors would do. */
export interface Wanted {
  /** Of an app or kept for the day when that is lost; only the latter; none. */
  codes: 'app' | 'recovery' | 'none';
  passkeys: boolean;
  /** Each is good for one answer. */
  ceremony: Ceremony | null;
}

/** What the hub asks for once the password was right; null when it refused for another reason. */
export function wantedFactor(thrown: unknown): Wanted | null {
  if (!(thrown instanceof ApiError) || thrown.code !== 'totp_required') return null;
  const { methods, passkey } = thrown.details;
  const named = Array.isArray(methods) ? methods : ['totp'];
  const isCeremony =
    isRecord(passkey) && typeof passkey.ceremony_id === 'string' && isRecord(passkey.options);
  return {
    codes: named.includes('totp') ? 'app' : named.includes('recovery') ? 'recovery' : 'none',
    passkeys: named.includes('passkey'),
    ceremony: isCeremony ? (passkey as unknown as Ceremony) : null,
  };
}

interface FactorFormOptions<V, R> {
  initial: V;
  validate: (values: V) => Errors<V>;
  /** The attempt, with what was given besides. */
  send: (values: V, factor: Factor) => Promise<R>;
  onDone: (result: R) => void;
  /** Asked for from the beginning, as where the first factor was given elsewhere. */
  initially?: Wanted;
}

/** A form whose attempt may want a second factor: a code in a field, or a passkey by a button. */
export function useFactorForm<V extends Record<string, unknown> & { totp: string }, R>({
  initial,
  validate,
  send,
  onDone,
  initially,
}: FactorFormOptions<V, R>) {
  const [wanted, setWanted] = useState<Wanted | null>(initially ?? null);
  const form = useForm<V, R | null>({
    initial,
    validate: (values) => ({
      ...validate(values),
      ...(wanted && wanted.codes !== 'none' && values.totp.trim() === '' ? { totp: t('auth.required') } : {}),
    }),
    submit: async (values) => {
      const code = values.totp.trim();
      try {
        return await send(values, code === '' ? {} : { totp: code });
      } catch (thrown) {
        const next = wantedFactor(thrown);
        if (!next) throw thrown;
        setWanted(next);
        return null;
      }
    },
    onDone: (result) => result !== null && onDone(result),
  });
  const passkey = useForm<Record<string, never>, R>({
    initial: {},
    validate: () => ({}),
    submit: async () => {
      const attempt = (factor: Factor) => send(form.values, factor);
      const ceremony = wanted?.ceremony ?? (await freshCeremony(attempt));
      const credential = await askForPasskey(ceremony.options);
      if (wanted) setWanted({ ...wanted, ceremony: null });
      return attempt({ passkey: { ceremony_id: ceremony.ceremony_id, credential } });
    },
    onDone,
  });
  return { ...form, failure: form.failure ?? passkey.failure, wanted, passkey };
}

/** The one that came with the refusal is used up: another refusal brings another. */
async function freshCeremony<R>(send: (factor: Factor) => Promise<R>): Promise<Ceremony> {
  try {
    await send({});
  } catch (thrown) {
    const ceremony = wantedFactor(thrown)?.ceremony;
    if (ceremony) return ceremony;
    throw thrown;
  }
  throw new ApiError(400, 'passkey_none', t('factors.passkey.unknown'));
}

interface SecondFactorFieldsProps {
  form: {
    wanted: Wanted | null;
    values: { totp: string };
    errors: { totp?: string };
    patch: (change: { totp: string }) => void;
    passkey: { busy: boolean; send: () => Promise<void> };
  };
}

/** What a form of `useFactorForm` asks for besides its own fields: nothing until the hub wants it. */
export function SecondFactorFields({ form }: SecondFactorFieldsProps) {
  const { wanted, values, errors, patch, passkey } = form;
  if (!wanted) return null;
  return (
    <>
      {wanted.codes === 'app' && (
        <CodeField value={values.totp} error={errors.totp} onChange={(totp) => patch({ totp })} />
      )}
      {wanted.passkeys && browserHasPasskeys() && (
        <Button
          icon={Fingerprint}
          tone={wanted.codes === 'app' ? 'secondary' : 'primary'}
          autoFocus={wanted.codes !== 'app'}
          busy={passkey.busy}
          className="w-full"
          onClick={() => void passkey.send()}
        >
          {t('factors.passkey.use')}
        </Button>
      )}
      {wanted.codes === 'recovery' && (
        <Field
          label={t('factors.recovery.field')}
          hint={t('factors.recovery.field_hint')}
          error={errors.totp}
        >
          <Input
            autoComplete="off"
            className="mono"
            spellCheck={false}
            value={values.totp}
            onChange={(event) => patch({ totp: event.target.value })}
          />
        </Field>
      )}
    </>
  );
}

/** How the form's own button looks: there is none when only a passkey would do, and it steps back where that is meant. */
export function submitTone({ wanted }: { wanted: Wanted | null }): 'primary' | 'secondary' | null {
  if (wanted === null || wanted.codes === 'app' || !wanted.passkeys) return 'primary';
  return wanted.codes === 'recovery' ? 'secondary' : null;
}

/** A code of an app, or one of the codes that were kept for the day when the app is lost. */
export function CodeField({
  value,
  error,
  onChange,
}: {
  value: string;
  error: string | undefined;
  onChange: (code: string) => void;
}) {
  return (
    <Field label={t('auth.one_time_code')} hint={t('auth.one_time_code_hint')} error={error}>
      <Input
        autoComplete="one-time-code"
        autoFocus
        className="mono"
        spellCheck={false}
        value={value}
        onChange={(event) => onChange(event.target.value)}
      />
    </Field>
  );
}
