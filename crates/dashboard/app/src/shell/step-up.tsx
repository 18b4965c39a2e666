import { useEffect, useState } from 'react';
import { api, checked, setStaleHandler } from '@/api/client';
import { t } from '@/i18n';
import { Button } from '@/kit/button';
import { Dialog } from '@/kit/dialog';
import { Field } from '@/kit/field';
import { Input } from '@/kit/input';
import { InlineError } from '@/kit/states';
import { useForm } from '@/kit/use-form';

/** Asks who is there before something dangerous, ten minutes after that was last shown. */
export function StepUp() {
  // Several requests may wait for one answer.
  const [waiting, setWaiting] = useState<((shown: boolean) => void)[]>([]);
  useEffect(() => {
    setStaleHandler(() => new Promise((resolve) => setWaiting((before) => [...before, resolve])));
    return () => setStaleHandler(() => Promise.resolve(false));
  }, []);
  const settle = (shown: boolean) => {
    for (const resolve of waiting) resolve(shown);
    setWaiting([]);
  };
  const open = waiting.length > 0;
  return (
    <Dialog
      open={open}
      onClose={() => settle(false)}
      title={t('auth.step_up_title')}
      description={t('auth.step_up_body')}
    >
      {open && <StepUpForm onShown={() => settle(true)} />}
    </Dialog>
  );
}

function StepUpForm({ onShown }: { onShown: () => void }) {
  const [needsCode, setNeedsCode] = useState(false);
  const form = useForm({
    initial: { password: '', totp: '' },
    validate: ({ password, totp }) => ({
      ...(password === '' ? { password: t('auth.required') } : {}),
      ...(needsCode && totp.trim() === '' ? { totp: t('auth.required') } : {}),
    }),
    submit: async ({ password, totp }) => {
      const body = { password, ...(needsCode ? { totp: totp.trim() } : {}) };
      try {
        await checked(api.POST('/v1/auth/step-up', { body }));
        return true;
      } catch (thrown) {
        if (!isCodeWanted(thrown)) throw thrown;
        setNeedsCode(true);
        return false;
      }
    },
    onDone: (shown) => shown && onShown(),
  });
  return (
    <form className="flex flex-col gap-4" noValidate onSubmit={form.send}>
      <Field label={t('auth.password')} error={form.errors.password}>
        <Input
          type="password"
          autoComplete="current-password"
          autoFocus
          value={form.values.password}
          onChange={(event) => form.set('password', event.target.value)}
        />
      </Field>
      {needsCode && (
        <CodeField
          value={form.values.totp}
          error={form.errors.totp}
          onChange={(code) => form.set('totp', code)}
        />
      )}
      {form.failure && <InlineError error={form.failure} />}
      <Button type="submit" tone="primary" busy={form.busy}>
        {t('auth.step_up')}
      </Button>
    </form>
  );
}

/** Whether the password was right and a one-time code is missing. */
export function isCodeWanted(thrown: unknown): boolean {
  return typeof thrown === 'object' && thrown !== null && 'code' in thrown && thrown.code === 'totp_required';
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
