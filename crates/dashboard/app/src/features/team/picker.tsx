import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { toApiError } from '@/api/error';
import { t } from '@/i18n';
import { Checkbox } from '@/kit/checkbox';
import { cx } from '@/kit/cx';
import { SearchInput } from '@/kit/input';
import { ErrorState, LoadingRows } from '@/kit/states';
import { grantableQuery } from './data';
import { groupPermissions, type PermissionGroup } from './permissions';

interface PermissionPickerProps {
  value: readonly string[];
  onChange: (value: string[]) => void;
  /** What the caller holds there: nobody gives what they lack. */
  held: ReadonlySet<string>;
  invalid?: boolean;
}

/** Every permission in words, by area, with a search. What the caller lacks is shown and cannot be chosen. */
export function PermissionPicker({ value, onChange, held, invalid }: PermissionPickerProps) {
  const grantable = useQuery(grantableQuery);
  const [query, setQuery] = useState('');
  if (grantable.isPending) return <LoadingRows rows={3} />;
  if (grantable.isError) {
    return <ErrorState error={toApiError(grantable.error)} onRetry={() => void grantable.refetch()} />;
  }
  const groups = groupPermissions(grantable.data.permissions, query);
  const choose = (names: readonly string[], chosen: boolean) => {
    const next = new Set(value);
    for (const name of names) {
      if (chosen) next.add(name);
      else next.delete(name);
    }
    // In the hub's order, whatever the order of the clicks.
    onChange(grantable.data.permissions.map((one) => one.name).filter((name) => next.has(name)));
  };
  return (
    <div
      className={cx(
        'overflow-hidden rounded-md border border-line-strong bg-surface',
        invalid && 'border-bad',
      )}
    >
      <div className="flex items-center gap-3 border-b p-2">
        <SearchInput
          label={t('team.permission.search')}
          value={query}
          onChange={setQuery}
          className="min-w-0 flex-1"
        />
        <span aria-live="polite" className="tabular shrink-0 pr-1 text-fg-3 text-xs">
          {t('team.permission.chosen', { count: value.length })}
        </span>
      </div>
      <div className="max-h-72 divide-y overflow-y-auto">
        {groups.map((group) => (
          <Group key={group.area} group={group} value={value} held={held} choose={choose} />
        ))}
        {groups.length === 0 && (
          <p className="px-3 py-6 text-center text-fg-2 text-sm">
            {t('team.permission.none_match', { query })}
          </p>
        )}
      </div>
    </div>
  );
}

interface GroupProps {
  group: PermissionGroup;
  value: readonly string[];
  held: ReadonlySet<string>;
  choose: (names: readonly string[], chosen: boolean) => void;
}

function Group({ group, value, held, choose }: GroupProps) {
  const offered = group.permissions.map((one) => one.name).filter((name) => held.has(name));
  const isWhole = offered.length > 0 && offered.every((name) => value.includes(name));
  return (
    <fieldset className="px-3 pt-2 pb-3">
      <legend className="sr-only">{group.title}</legend>
      <div className="mb-1.5 flex min-h-6 items-center justify-between gap-3">
        <p aria-hidden className="font-medium text-fg-3 text-xs">
          {group.title}
        </p>
        {offered.length > 1 && (
          <button
            type="button"
            aria-pressed={isWhole}
            aria-label={`${group.title}: ${t('team.permission.all')}`}
            onClick={() => choose(offered, !isWhole)}
            className="h-6 rounded-sm px-1.5 text-accent text-xs hover:bg-hover aria-pressed:font-medium pointer-coarse:h-9"
          >
            {t('team.permission.all')}
          </button>
        )}
      </div>
      <div className="flex flex-col gap-2">
        {group.permissions.map(({ name, meaning }) => {
          const isLacking = !held.has(name);
          return (
            <Checkbox
              key={name}
              label={meaning}
              hint={
                <>
                  <span className="font-mono">{name}</span>
                  {isLacking && ` · ${t('team.permission.lacking')}`}
                </>
              }
              checked={value.includes(name)}
              // What is chosen already can be taken out even so; the hub decides whether it may be.
              disabled={isLacking && !value.includes(name)}
              onChange={(chosen) => choose([name], chosen)}
            />
          );
        })}
      </div>
    </fieldset>
  );
}
