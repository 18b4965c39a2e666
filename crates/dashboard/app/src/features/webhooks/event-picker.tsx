import { useState } from 'react';
import type { ActionArea } from '@/features/audit/actions';
import { t } from '@/i18n';
import { Checkbox } from '@/kit/checkbox';
import { Code } from '@/kit/code-block';
import { cx } from '@/kit/cx';
import { Disclosure } from '@/kit/disclosure';
import { SearchInput } from '@/kit/input';
import { choose, findAreas } from './events';
import '@/i18n/lazy/webhooks';

interface EventPickerProps {
  value: readonly string[];
  onChange: (patterns: string[]) => void;
  invalid?: boolean;
}

/** Every kind of event with its meaning, by area; all of an area is one pattern. */
export function EventPicker({ value, onChange, invalid }: EventPickerProps) {
  const [query, setQuery] = useState('');
  const areas = findAreas(query);
  return (
    <div
      className={cx(
        'overflow-hidden rounded-md border border-line-strong bg-surface',
        invalid && 'border-bad',
      )}
    >
      <div className="flex items-center gap-3 border-b p-2">
        <SearchInput
          label={t('webhooks.events_search')}
          value={query}
          onChange={setQuery}
          className="min-w-0 flex-1"
        />
        <span aria-live="polite" className="tabular shrink-0 pr-1 text-fg-3 text-xs">
          {t('team.permission.chosen', { count: value.length })}
        </span>
      </div>
      <div className="max-h-72 divide-y overflow-y-auto">
        {areas.map((area) => (
          <Area
            key={area.area}
            area={area}
            value={value}
            onChoose={(pattern, chosen) => onChange(choose(value, pattern, chosen))}
          />
        ))}
        {areas.length === 0 && (
          <p className="px-3 py-6 text-center text-fg-2 text-sm">
            {t('webhooks.events_none_match', { query })}
          </p>
        )}
      </div>
    </div>
  );
}

interface AreaProps {
  area: ActionArea;
  value: readonly string[];
  onChoose: (pattern: string, chosen: boolean) => void;
}

function Area({ area, value, onChoose }: AreaProps) {
  const whole = `${area.area}.*`;
  const isWhole = value.includes(whole);
  return (
    <fieldset className="px-3 pt-2.5 pb-3">
      <legend className="sr-only">{area.title}</legend>
      <Checkbox
        label={<span className="font-medium">{area.title}</span>}
        hint={
          <>
            <span className="font-mono">{whole}</span> · {t('webhooks.pattern_all')}
          </>
        }
        checked={isWhole}
        onChange={(chosen) => onChoose(whole, chosen)}
      />
      <div className="mt-2 ml-6 grid gap-2 sm:grid-cols-2">
        {area.actions.map(({ action, meaning }) => (
          <Checkbox
            key={action}
            label={meaning}
            hint={<span className="font-mono">{action}</span>}
            checked={isWhole || value.includes(action)}
            disabled={isWhole}
            onChange={(chosen) => onChoose(action, chosen)}
          />
        ))}
      </div>
    </fieldset>
  );
}

/** What can be written where an event is asked for. */
export function PatternHelp() {
  const rows = [
    ['auth.login', t('webhooks.pattern_rows.one')],
    ['member.*', t('webhooks.pattern_rows.area')],
    ['*', t('webhooks.pattern_rows.all')],
  ] as const;
  return (
    <Disclosure label={t('webhooks.pattern_help')}>
      <dl className="grid grid-cols-[8rem_minmax(0,1fr)] gap-y-1 text-sm">
        {rows.map(([pattern, meaning]) => (
          <div key={pattern} className="contents">
            <dt>
              <Code text={pattern} />
            </dt>
            <dd className="text-fg-2">{meaning}</dd>
          </div>
        ))}
      </dl>
    </Disclosure>
  );
}
