import { useMemo } from 'react';
import type { Webhook, WebhookForm } from '@/api/types';
import { required } from '@/features/auth/validate';
import { t } from '@/i18n';
import { Button } from '@/kit/button';
import { Checkbox } from '@/kit/checkbox';
import { FormActions } from '@/kit/dialog';
import { Field, FieldGroup } from '@/kit/field';
import { Input } from '@/kit/input';
import { RadioList } from '@/kit/radio-list';
import { InlineError } from '@/kit/states';
import { useForm } from '@/kit/use-form';
import { useRunsHub } from '@/shell/settings-frame';
import { EventPicker, PatternHelp } from './event-picker';
import { EVERYTHING, MOST_PATTERNS, patternsIn, splitKnown, wrongPattern } from './events';
import { urlProblem } from './url';
import '@/i18n/lazy/webhooks';

interface WebhookValues extends Record<string, unknown> {
  name: string;
  url: string;
  which: 'all' | 'chosen';
  /** Named as the hub names the field, so that what it says about it stands here. */
  events: string[];
  others: string;
  enabled: boolean;
  allow_private: boolean;
}

function valuesOf(webhook: Webhook | null): WebhookValues {
  const events = webhook?.events ?? [EVERYTHING];
  const { known, others } = splitKnown(events);
  return {
    name: webhook?.name ?? '',
    url: webhook?.url ?? '',
    which: events.includes(EVERYTHING) ? 'all' : 'chosen',
    events: known,
    others: others.join(' '),
    enabled: webhook?.enabled ?? true,
    allow_private: webhook?.allow_private ?? false,
  };
}

function eventsOf({ which, events, others }: WebhookValues): string[] {
  return which === 'all' ? [EVERYTHING] : [...new Set([...events, ...patternsIn(others)])];
}

function eventsProblem(count: number): string | undefined {
  if (count === 0) return t('webhooks.events_missing');
  return count > MOST_PATTERNS ? t('webhooks.events_too_many', { most: MOST_PATTERNS }) : undefined;
}

interface WebhookFormProps<R> {
  webhook: Webhook | null;
  send: (form: WebhookForm) => Promise<R>;
  onDone: (result: R) => void;
  onClose: () => void;
}

export function WebhookFields<R>({ webhook, send, onDone, onClose }: WebhookFormProps<R>) {
  // Where somebody else allowed it, it is shown and can be taken back.
  const runsHub = useRunsHub();
  const initial = useMemo(() => valuesOf(webhook), [webhook]);
  const form = useForm<WebhookValues, R>({
    initial,
    validate: (values) => {
      const pattern = wrongPattern(patternsIn(values.others));
      return {
        name: required(values.name),
        url: urlProblem(values.url, values.allow_private),
        others: pattern === undefined ? undefined : t('webhooks.pattern_invalid', { pattern }),
        events: eventsProblem(eventsOf(values).length),
      };
    },
    submit: (values) =>
      send({
        name: values.name.trim(),
        url: values.url.trim(),
        events: eventsOf(values),
        enabled: webhook ? values.enabled : true,
        ...(values.allow_private !== (webhook?.allow_private ?? false)
          ? { allow_private: values.allow_private }
          : {}),
      }),
    onDone,
  });
  const { values, errors, set } = form;
  return (
    <form className="flex flex-col gap-5" noValidate onSubmit={form.send}>
      <Field label={t('webhooks.name')} hint={t('webhooks.name_hint')} error={errors.name}>
        <Input
          value={values.name}
          autoFocus
          autoComplete="off"
          onChange={(event) => set('name', event.target.value)}
        />
      </Field>
      <Field label={t('webhooks.url')} hint={t('webhooks.url_hint')} error={errors.url}>
        <Input
          type="url"
          inputMode="url"
          value={values.url}
          placeholder="https://hooks.example.net/roadstead"
          autoComplete="off"
          spellCheck={false}
          onChange={(event) => set('url', event.target.value)}
        />
      </Field>
      {(runsHub || values.allow_private) && (
        <Checkbox
          label={t('webhooks.allow_private')}
          hint={t('webhooks.allow_private_hint')}
          checked={values.allow_private}
          disabled={!runsHub && !values.allow_private}
          onChange={(allowed) => set('allow_private', allowed)}
        />
      )}
      <FieldGroup label={t('webhooks.events_how')} error={errors.events}>
        <div className="flex flex-col gap-3">
          <RadioList<'all' | 'chosen'>
            label={t('webhooks.events_how')}
            value={values.which}
            options={[
              { value: 'all', label: t('webhooks.events_all'), hint: t('webhooks.events_all_hint') },
              { value: 'chosen', label: t('webhooks.events_chosen'), hint: t('webhooks.events_chosen_hint') },
            ]}
            onChange={(which) => form.patch({ which, events: values.events })}
          />
          {values.which === 'chosen' && (
            <>
              <EventPicker
                value={values.events}
                onChange={(events) => set('events', events)}
                invalid={Boolean(errors.events)}
              />
              <Field
                label={t('webhooks.patterns_more')}
                optional={t('common.optional')}
                hint={t('webhooks.patterns_more_hint')}
                error={errors.others}
              >
                <Input
                  value={values.others}
                  autoComplete="off"
                  spellCheck={false}
                  className="font-mono"
                  onChange={(event) => set('others', event.target.value)}
                />
              </Field>
              <PatternHelp />
            </>
          )}
        </div>
      </FieldGroup>
      {webhook && (
        <Checkbox
          label={t('webhooks.enabled_label')}
          hint={t('webhooks.enabled_hint')}
          checked={values.enabled}
          onChange={(enabled) => set('enabled', enabled)}
        />
      )}
      {form.failure &&
        (form.failure.status === 412 ? (
          <p role="alert" className="text-bad text-sm">
            {t('webhooks.changed_meanwhile')}
          </p>
        ) : (
          <InlineError error={form.failure} />
        ))}
      <FormActions>
        <Button onClick={onClose}>{t('common.cancel')}</Button>
        <Button type="submit" tone="primary" busy={form.busy}>
          {webhook ? t('common.save') : t('webhooks.create')}
        </Button>
      </FormActions>
    </form>
  );
}
