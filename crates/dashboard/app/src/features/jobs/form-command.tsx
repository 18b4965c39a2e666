import { Plus, X } from 'lucide-react';
import { useId, useRef } from 'react';
import { t } from '@/i18n';
import { Button, IconButton } from '@/kit/button';
import { Disclosure } from '@/kit/disclosure';
import { Field } from '@/kit/field';
import { Input, Textarea } from '@/kit/input';
import { Segmented } from '@/kit/segmented';
import type { Errors } from '@/kit/use-form';
import { limitsInWords } from './limits';
import { limitsOf, type RunValues, type Secret } from './validate';

/** What the parts of the form need of it. */
export interface RunFormState {
  values: RunValues;
  errors: Errors<RunValues>;
  set: <K extends keyof RunValues & string>(name: K, value: RunValues[K]) => void;
}

interface PartProps {
  form: RunFormState;
  /** The values that the form began with: what was filled in then is open. */
  initial: RunValues;
}

export function CommandFields({ form, autoFocus }: { form: RunFormState; autoFocus: boolean }) {
  const { values, errors, set } = form;
  return (
    <div className="flex flex-col gap-2">
      <Segmented
        label={t('jobs.form.mode')}
        className="self-start"
        value={values.mode}
        options={[
          { value: 'shell', label: t('jobs.form.mode_shell') },
          { value: 'argv', label: t('jobs.form.mode_argv') },
        ]}
        onChange={(mode) => set('mode', mode)}
      />
      {values.mode === 'shell' ? (
        <Field label={t('jobs.column.command')} hint={t('jobs.form.command_hint')} error={errors.command}>
          <Textarea
            value={values.command}
            onChange={(event) => set('command', event.target.value)}
            spellCheck={false}
            autoCapitalize="off"
            placeholder="df -h && uptime"
            rows={4}
            autoFocus={autoFocus}
            className="font-mono"
          />
        </Field>
      ) : (
        <Field label={t('jobs.form.argv')} hint={t('jobs.form.argv_hint')} error={errors.argv}>
          <Textarea
            value={values.argv}
            onChange={(event) => set('argv', event.target.value)}
            spellCheck={false}
            autoCapitalize="off"
            placeholder={'/usr/bin/du\n-sh\n/var/log'}
            rows={5}
            className="font-mono"
          />
        </Field>
      )}
    </div>
  );
}

export function MoreFields({ form: { values, errors, set }, initial }: PartProps) {
  return (
    <Disclosure
      label={t('jobs.form.more')}
      open={Boolean(initial.cwd || initial.user || initial.env || initial.stdin)}
      keepOpen={Boolean(errors.cwd || errors.env || errors.user || errors.stdin)}
    >
      <div className="grid gap-4 sm:grid-cols-2">
        <Field label={t('jobs.form.cwd')} optional={t('common.optional')} error={errors.cwd}>
          <Input
            value={values.cwd}
            placeholder="/"
            spellCheck={false}
            className="font-mono"
            onChange={(event) => set('cwd', event.target.value)}
          />
        </Field>
        <Field label={t('jobs.form.user')} optional={t('common.optional')} error={errors.user}>
          <Input
            value={values.user}
            placeholder="root"
            spellCheck={false}
            autoCapitalize="off"
            className="font-mono"
            onChange={(event) => set('user', event.target.value)}
          />
        </Field>
        <Field
          label={t('jobs.form.env')}
          optional={t('common.optional')}
          hint={t('jobs.form.env_hint')}
          error={errors.env}
        >
          <Textarea
            value={values.env}
            placeholder={'LANG=C'}
            spellCheck={false}
            className="font-mono"
            onChange={(event) => set('env', event.target.value)}
          />
        </Field>
        <Field
          label={t('jobs.form.stdin')}
          optional={t('common.optional')}
          hint={t('jobs.form.stdin_hint')}
          error={errors.stdin}
        >
          <Textarea
            value={values.stdin}
            spellCheck={false}
            className="font-mono"
            onChange={(event) => set('stdin', event.target.value)}
          />
        </Field>
      </div>
    </Disclosure>
  );
}

export function SecretFields({ form: { values, errors, set }, initial }: PartProps) {
  const errorId = useId();
  const list = useRef<HTMLUListElement>(null);
  const { secrets } = values;
  const change = (key: number, part: Partial<Secret>) =>
    set(
      'secrets',
      secrets.map((secret) => (secret.key === key ? { ...secret, ...part } : secret)),
    );
  const add = () => {
    set('secrets', [
      ...secrets,
      { key: Math.max(-1, ...secrets.map(({ key }) => key)) + 1, name: '', value: '' },
    ]);
    // Once the row is there.
    requestAnimationFrame(() => list.current?.querySelector<HTMLElement>('li:last-child input')?.focus());
  };
  return (
    <Disclosure
      label={t('jobs.form.secrets')}
      summary={secrets.length > 0 ? String(secrets.length) : undefined}
      open={initial.secrets.length > 0}
      keepOpen={Boolean(errors.secrets)}
    >
      <p className="mb-3 text-fg-2 text-sm">{t('jobs.form.secrets_body')}</p>
      {secrets.length > 0 && (
        <ul ref={list} className="mb-3 flex flex-col gap-2">
          {secrets.map((secret, index) => (
            <li key={secret.key} className="flex items-center gap-2">
              <Input
                aria-label={t('jobs.form.secret_name_of', { number: index + 1 })}
                aria-invalid={errors.secrets ? true : undefined}
                aria-describedby={errors.secrets ? errorId : undefined}
                value={secret.name}
                placeholder="API_TOKEN"
                spellCheck={false}
                autoComplete="off"
                autoCapitalize="off"
                className="font-mono"
                onChange={(event) => change(secret.key, { name: event.target.value.trim() })}
              />
              <Input
                type="password"
                aria-label={t('jobs.form.secret_value_of', { number: index + 1 })}
                value={secret.value}
                placeholder={t('jobs.form.secret_value')}
                autoComplete="new-password"
                className="font-mono"
                onChange={(event) => change(secret.key, { value: event.target.value })}
              />
              <IconButton
                icon={X}
                label={t('common.remove_one', { name: secret.name || t('jobs.form.secret') })}
                onClick={() =>
                  set(
                    'secrets',
                    secrets.filter(({ key }) => key !== secret.key),
                  )
                }
              />
            </li>
          ))}
        </ul>
      )}
      {errors.secrets && (
        <p id={errorId} className="mb-3 text-bad text-xs">
          {errors.secrets}
        </p>
      )}
      <Button size="sm" icon={Plus} onClick={add}>
        {t('jobs.form.secret_add')}
      </Button>
    </Disclosure>
  );
}

export function LimitFields({ form: { values, errors, set }, initial }: PartProps) {
  const fields = [
    ['cpu_percent', t('jobs.limit.cpu'), t('jobs.form.cpu_hint'), '150'],
    ['memory_bytes', t('jobs.form.memory'), t('jobs.form.memory_hint'), '512'],
    ['pids', t('jobs.limit.pids'), t('jobs.form.pids_hint'), '100'],
    ['io_weight', t('jobs.limit.io'), t('jobs.form.io_hint'), '50'],
    ['nice', t('jobs.limit.nice'), t('jobs.form.nice_hint'), '10'],
  ] as const;
  const isWrong = fields.some(([name]) => errors[name]);
  return (
    <Disclosure
      label={t('jobs.form.limits')}
      summary={limitsInWords(limitsOf(values)) || undefined}
      open={limitsOf(initial) !== null}
      keepOpen={isWrong}
    >
      <p className="mb-3 text-fg-2 text-sm">{t('jobs.form.limits_body')}</p>
      <div className="grid items-start gap-4 sm:grid-cols-3">
        {fields.map(([name, label, hint, placeholder]) => (
          <Field key={name} label={label} hint={hint} error={errors[name]}>
            <Input
              inputMode="numeric"
              value={values[name]}
              placeholder={placeholder}
              onChange={(event) => set(name, event.target.value)}
            />
          </Field>
        ))}
      </div>
    </Disclosure>
  );
}
