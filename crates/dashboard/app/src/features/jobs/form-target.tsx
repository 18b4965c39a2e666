import { useQuery } from '@tanstack/react-query';
import { useDeferredValue, useState } from 'react';
import type { BatchStrategy, Server, ServerTotals } from '@/api/types';
import { sizeInWords, strategyInWords } from '@/features/batches/strategy';
import { serverTotalsQuery, useServerChoices } from '@/features/servers/data';
import { labelsToText, parseLabels } from '@/features/servers/labels';
import { t } from '@/i18n';
import { Checkbox } from '@/kit/checkbox';
import { Combobox } from '@/kit/combobox';
import { Field } from '@/kit/field';
import { count } from '@/kit/format';
import { Input } from '@/kit/input';
import { MultiCombobox } from '@/kit/multi-combobox';
import { Segmented } from '@/kit/segmented';
import { Select } from '@/kit/select';
import { Notice } from '@/kit/states';
import { ServerStatusMark } from '@/kit/status';
import { mayDo, placeOf, WORKSPACE } from '@/shell/rights';
import { useGrants, useMay } from '@/shell/session';
import type { RunFormState } from './form-command';
import { type ChosenServer, PAUSES, strategyOf, type Target } from './validate';

interface TargetFieldsProps {
  form: RunFormState;
  /** The server that was chosen before the form was opened. */
  server: Server | null;
  known: readonly ChosenServer[];
}

/** Where to run it, and with more than one server in which order. */
export function TargetFields({ form, server: first, known }: TargetFieldsProps) {
  const { values, errors, set } = form;
  const [server, setServer] = useState<Server | null>(first);
  const change = (target: Target) => {
    set('target', target);
    // One that is chosen stays chosen.
    const chosen = server ? [server] : known;
    if (target === 'several' && values.servers.length === 0 && chosen.length > 0) set('servers', chosen);
  };
  return (
    <div className="flex flex-col gap-4">
      <Segmented<Target>
        label={t('jobs.form.target')}
        className="self-start"
        value={values.target}
        options={(['one', 'several', 'labels', 'all'] as const).map((value) => ({
          value,
          label: t(`jobs.form.targets.${value}`),
        }))}
        onChange={change}
      />
      {values.target === 'one' && (
        <>
          <Field label={t('jobs.column.server')} error={errors.serverId}>
            <ServerPicker
              value={server}
              onChange={(next) => {
                setServer(next);
                set('serverId', next?.id ?? '');
              }}
            />
          </Field>
          {server?.status === 'offline' && <Notice>{t('jobs.form.offline')}</Notice>}
        </>
      )}
      {values.target === 'several' && (
        <Field label={t('jobs.form.servers')} error={errors.servers}>
          <ServersPicker value={values.servers} onChange={(servers) => set('servers', servers)} />
        </Field>
      )}
      {values.target === 'labels' && (
        <Field label={t('servers.column.labels')} hint={t('jobs.form.labels_hint')} error={errors.labels}>
          <Input
            value={values.labels}
            placeholder="env:prod, role:web"
            spellCheck={false}
            autoCapitalize="off"
            onChange={(event) => set('labels', event.target.value)}
          />
        </Field>
      )}
      {values.target === 'all' && <AllServers form={form} />}
      {values.target !== 'one' && <Plan form={form} />}
    </div>
  );
}

function AllServers({ form: { values, errors, set } }: { form: RunFormState }) {
  // Who may run on some servers only cannot be told their number by that of all.
  const mayEverywhere = useMay('servers.exec', WORKSPACE);
  const totals = useQuery({ ...serverTotalsQuery(), enabled: mayEverywhere }).data;
  const number = totals ? reachable(totals) : null;
  return (
    <div className="flex flex-col gap-1 rounded-md border border-line-strong px-3 py-2.5">
      <Checkbox
        label={
          number === null
            ? t('jobs.form.all_confirm')
            : t('jobs.form.all_confirm_count', { count: number, shown: count(number) })
        }
        hint={t('jobs.form.all_hint')}
        checked={values.allConfirmed}
        invalid={Boolean(errors.allConfirmed)}
        onChange={(checked) => set('allConfirmed', checked)}
      />
      {errors.allConfirmed && <p className="text-bad text-xs">{errors.allConfirmed}</p>}
    </div>
  );
}

/** Canary, size of the waves, when to halt; and what that means in words. */
function Plan({ form }: { form: RunFormState }) {
  const { values, errors, set } = form;
  const strategy = strategyOf(values);
  return (
    <fieldset className="flex flex-col gap-4 rounded-lg border px-4 pt-3 pb-4">
      <legend className="-ml-1 px-1 font-medium text-sm">{t('jobs.form.plan')}</legend>
      <Segmented
        label={t('jobs.form.plan')}
        className="self-start"
        value={values.plan}
        options={(['waves', 'at_once'] as const).map((value) => ({
          value,
          label: t(`jobs.form.plans.${value}`),
        }))}
        onChange={(plan) => set('plan', plan)}
      />
      <div className="grid grid-cols-2 items-start gap-4 sm:grid-cols-[1fr_2fr_1.3fr_1.3fr]">
        {values.plan === 'waves' && (
          <>
            <Field label={t('jobs.form.canary')} error={errors.canary} className="col-span-2 sm:col-auto">
              <Input
                inputMode="numeric"
                value={values.canary}
                onChange={(event) => set('canary', event.target.value)}
              />
            </Field>
            <Field
              label={t('jobs.form.batch_size')}
              error={errors.batch_size}
              className="col-span-2 sm:col-auto"
            >
              <NumberWithUnit form={form} />
            </Field>
            <Field label={t('jobs.form.pause')}>
              <Select
                label={t('jobs.form.pause')}
                value={values.pause_s}
                options={PAUSES.map((value) => ({
                  value: value as string,
                  label: t(`jobs.form.pauses.${value}`),
                }))}
                onChange={(pause) => set('pause_s', pause)}
              />
            </Field>
          </>
        )}
        <Field label={t('jobs.form.max_failures')} error={errors.max_failures}>
          <Input
            inputMode="numeric"
            value={values.max_failures}
            onChange={(event) => set('max_failures', event.target.value)}
          />
        </Field>
      </div>
      <Preview form={form} strategy={strategy} />
    </fieldset>
  );
}

/** The number of a wave and what it counts, in one line. */
function NumberWithUnit({ form: { values, set }, ...control }: { form: RunFormState } & PickerControl) {
  return (
    <div className="flex gap-1.5">
      <Input
        {...control}
        inputMode="numeric"
        value={values.batch_size}
        className="min-w-0 flex-1"
        onChange={(event) => set('batch_size', event.target.value)}
      />
      <Segmented
        label={t('jobs.form.batch_unit')}
        className="shrink-0"
        value={values.batch_unit}
        options={[
          { value: 'servers', label: t('jobs.form.unit_servers') },
          { value: 'percent', label: '%' },
        ]}
        onChange={(unit) => set('batch_unit', unit)}
      />
    </div>
  );
}

function Preview({ form: { values }, strategy }: { form: RunFormState; strategy: BatchStrategy }) {
  const labels = values.target === 'labels' ? parseLabels(values.labels).labels : undefined;
  const asked = useDeferredValue(labels ? labelsToText(labels).replaceAll(', ', ',') : '');
  const mayEverywhere = useMay('servers.exec', WORKSPACE);
  const totals = useQuery({
    ...serverTotalsQuery(asked === '' ? {} : { label: asked }),
    enabled: mayEverywhere && (values.target === 'all' || asked !== ''),
  });
  const counted = totals.data && (values.target === 'all' || asked !== '') ? totals.data : null;
  const total =
    values.target === 'several' ? values.servers.length : counted === null ? null : reachable(counted);
  const away = values.target === 'several' || counted === null ? 0 : counted.offline;
  return (
    <div role="status" className="min-h-10 text-fg-2 text-sm">
      <p>{strategyInWords(strategy)}</p>
      {total !== null && total > 0 && (
        <p className="font-medium text-fg">
          {sizeInWords(total, strategy)}{' '}
          {away > 0 && (
            <span className="font-normal text-fg-2">
              {t('jobs.form.away', { count: away, shown: count(away) })}
            </span>
          )}
        </p>
      )}
      {total === 0 && values.target === 'labels' && (
        <p className="text-warn">{t('jobs.form.labels_nothing')}</p>
      )}
    </div>
  );
}

/** Servers that a batch is made for: all but those whose access was revoked. */
function reachable(totals: ServerTotals): number {
  return totals.online + totals.suspect + totals.offline + totals.pending;
}

interface PickerControl {
  id?: string;
  'aria-invalid'?: boolean;
  'aria-describedby'?: string;
}

interface ServerPickerProps extends PickerControl {
  value: Server | null;
  onChange: (server: Server | null) => void;
}

function useChoices() {
  const [query, setQuery] = useState('');
  const { found, isSearching } = useServerChoices(query);
  const grants = useGrants();
  const offered = found.filter(
    (server) => server.status !== 'revoked' && mayDo(grants, 'servers.exec', placeOf(server)),
  );
  return { offered, isSearching, setQuery };
}

function ServerPicker({ value, onChange, ...control }: ServerPickerProps) {
  const { offered, isSearching, setQuery } = useChoices();
  return (
    <Combobox
      {...control}
      value={value}
      items={offered}
      isSearching={isSearching}
      onChange={onChange}
      onQuery={setQuery}
      labelOf={(server) => server.name}
      keyOf={(server) => server.id}
      hintOf={(server) => <ServerStatusMark status={server.status} />}
      placeholder={t('jobs.form.server_placeholder')}
      nothing={t('jobs.form.no_server')}
    />
  );
}

interface ServersPickerProps extends PickerControl {
  value: readonly ChosenServer[];
  onChange: (servers: readonly ChosenServer[]) => void;
}

function ServersPicker({ value, onChange, ...control }: ServersPickerProps) {
  const { offered, isSearching, setQuery } = useChoices();
  const statusOf = (id: string) => offered.find((server) => server.id === id)?.status;
  return (
    <MultiCombobox<ChosenServer>
      {...control}
      value={value}
      items={offered}
      isSearching={isSearching}
      onChange={(next) => onChange(next.map(({ id, name }) => ({ id, name })))}
      onQuery={(query) => setQuery(query)}
      labelOf={(server) => server.name}
      keyOf={(server) => server.id}
      hintOf={(server) => {
        const status = statusOf(server.id);
        return status && <ServerStatusMark status={status} />;
      }}
      placeholder={t('jobs.form.servers_placeholder')}
      nothing={t('jobs.form.no_server')}
    />
  );
}
