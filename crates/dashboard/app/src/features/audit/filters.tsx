import { useInfiniteQuery } from '@tanstack/react-query';
import { X } from 'lucide-react';
import { useEffect, useState } from 'react';
import type { AuditResult } from '@/api/types';
import { useServerName } from '@/features/jobs/data';
import { membersQuery } from '@/features/team/data';
import { ServerPicker } from '@/features/team/scope-fields';
import { t } from '@/i18n';
import { Button } from '@/kit/button';
import { Combobox } from '@/kit/combobox';
import { Disclosure } from '@/kit/disclosure';
import { Field } from '@/kit/field';
import { shortId } from '@/kit/format';
import { Input, SearchInput } from '@/kit/input';
import { Segmented } from '@/kit/segmented';
import { Select } from '@/kit/select';
import { WORKSPACE } from '@/shell/rights';
import { useMay } from '@/shell/session';
import { type ActionName, findActions, meaningOf } from './actions';
import { type AuditSearch, isFiltered, localField, momentOf, RESULTS, SPANS, type Span } from './search';

interface AuditFiltersProps {
  search: AuditSearch;
  onChange: (change: AuditSearch) => void;
  onClear: () => void;
}

type Period = Span | 'any' | 'fixed';

export function AuditFilters({ search, onChange, onClear }: AuditFiltersProps) {
  // A stretch that is being typed has no moment yet.
  const [fixing, setFixing] = useState(false);
  const isFixed = fixing || search.from !== undefined || search.to !== undefined;
  const period: Period = isFixed ? 'fixed' : (search.since ?? 'any');
  const choosePeriod = (next: Period) => {
    setFixing(next === 'fixed');
    if (next === 'fixed') onChange({ since: undefined });
    else onChange({ since: next === 'any' ? undefined : next, from: undefined, to: undefined });
  };
  const hasMore = search.action !== undefined || search.actor !== undefined || search.server !== undefined;
  return (
    <div className="mb-4 flex flex-col gap-2">
      <div className="flex flex-wrap items-center gap-2">
        <Search q={search.q ?? ''} onChange={(q) => onChange({ q })} />
        <Segmented<AuditResult | 'all'>
          label={t('audit.column.result')}
          value={search.result ?? 'all'}
          options={(['all', ...RESULTS] as const).map((value) => ({
            value,
            label: value === 'all' ? t('audit.filter.all') : t(`audit.result.${value}`),
          }))}
          onChange={(result) => onChange({ result: result === 'all' ? undefined : result })}
        />
        <div className="w-full sm:w-44">
          <Select<Period>
            label={t('audit.filter.period')}
            value={period}
            options={(['any', ...(Object.keys(SPANS) as Span[]), 'fixed'] as const).map((value) => ({
              value,
              label: t(`audit.filter.span.${value}`),
            }))}
            onChange={choosePeriod}
          />
        </div>
        <Chips search={search} onChange={onChange} />
        {isFiltered(search) && (
          <Button
            tone="ghost"
            size="sm"
            onClick={() => {
              setFixing(false);
              onClear();
            }}
          >
            {t('servers.clear_filters')}
          </Button>
        )}
      </div>
      {isFixed && <Stretch search={search} onChange={onChange} />}
      <Disclosure label={t('audit.filter.more')} open={hasMore}>
        <div className="grid max-w-4xl gap-3 pb-2 sm:grid-cols-3">
          <ByAction action={search.action} onChange={(action) => onChange({ action })} />
          <ByActor actor={search.actor} onChange={(actor) => onChange({ actor })} />
          <ByServer server={search.server} onChange={(server) => onChange({ server })} />
        </div>
      </Disclosure>
    </div>
  );
}

const TYPING_MS = 250;

function Search({ q, onChange }: { q: string; onChange: (q: string | undefined) => void }) {
  const [text, setText] = useState(q);
  const [seen, setSeen] = useState(q);
  // Cleared from outside, or another address: the field follows.
  if (q !== seen) {
    setSeen(q);
    if (text.trim() !== q) setText(q);
  }
  useEffect(() => {
    if (text.trim() === q) return;
    const timer = setTimeout(() => onChange(text.trim() === '' ? undefined : text.trim()), TYPING_MS);
    return () => clearTimeout(timer);
  });
  return (
    <SearchInput
      isPageSearch
      label={t('audit.filter.search')}
      value={text}
      onChange={setText}
      className="w-full sm:w-64"
    />
  );
}

/** From and to, in local time. */
function Stretch({ search, onChange }: { search: AuditSearch; onChange: (change: AuditSearch) => void }) {
  const field = (name: 'from' | 'to') => (
    <Field label={t(`audit.filter.${name}`)} className="w-full sm:w-56">
      <Input
        type="datetime-local"
        defaultValue={localField(search[name])}
        onChange={(event) => onChange({ [name]: momentOf(event.target.value) })}
      />
    </Field>
  );
  return (
    <div className="flex flex-wrap gap-3">
      {field('from')}
      {field('to')}
    </div>
  );
}

function Chips({ search, onChange }: { search: AuditSearch; onChange: (change: AuditSearch) => void }) {
  const actor = useActorName(search.actor);
  return (
    <>
      {search.action && (
        <Chip onClear={() => onChange({ action: undefined })}>
          {meaningOf(search.action) ?? search.action}
        </Chip>
      )}
      {search.actor && (
        <Chip onClear={() => onChange({ actor: undefined })}>
          {t('audit.by', { name: actor ?? shortId(search.actor) })}
        </Chip>
      )}
      {search.server && (
        <Chip onClear={() => onChange({ server: undefined })}>
          <OnServer id={search.server} />
        </Chip>
      )}
    </>
  );
}

function Chip({ onClear, children }: { onClear: () => void; children: React.ReactNode }) {
  return (
    <Button size="sm" onClick={onClear}>
      {children}
      <X aria-label={t('common.remove')} className="size-3" />
    </Button>
  );
}

function OnServer({ id }: { id: string }) {
  return t('audit.filter.on', { name: useServerName(id) });
}

interface Choice<T> {
  onChange: (value: T | undefined) => void;
}

function ByAction({ action, onChange }: Choice<string> & { action: string | undefined }) {
  const [query, setQuery] = useState('');
  const found = findActions(query);
  const value = action === undefined ? null : { action, meaning: meaningOf(action) ?? action };
  return (
    <Field label={t('audit.column.what')}>
      <Combobox<ActionName>
        value={value}
        items={found}
        onChange={(chosen) => onChange(chosen?.action)}
        onQuery={setQuery}
        labelOf={(one) => one.meaning}
        keyOf={(one) => one.action}
        hintOf={(one) => <span className="font-mono text-2xs text-fg-3">{one.action}</span>}
        placeholder={t('audit.filter.any_action')}
        nothing={t('audit.filter.no_action')}
      />
    </Field>
  );
}

interface Person {
  id: string;
  name: string;
}

function useMembers(): readonly Person[] {
  const mayRead = useMay('members.read', WORKSPACE);
  const members = useInfiniteQuery({ ...membersQuery, enabled: mayRead });
  return members.data?.pages.flatMap((page) => page.data) ?? [];
}

function useActorName(id: string | undefined): string | null {
  return useMembers().find((member) => member.id === id)?.name ?? null;
}

function ByActor({ actor, onChange }: Choice<string> & { actor: string | undefined }) {
  const [query, setQuery] = useState('');
  const mayRead = useMay('members.read', WORKSPACE);
  const members = useMembers();
  if (!mayRead) return null;
  const needle = query.trim().toLowerCase();
  const value =
    actor === undefined
      ? null
      : { id: actor, name: members.find((one) => one.id === actor)?.name ?? shortId(actor) };
  return (
    <Field label={t('audit.column.who')}>
      <Combobox<Person>
        value={value}
        items={members.filter((member) => member.name.toLowerCase().includes(needle))}
        onChange={(chosen) => onChange(chosen?.id)}
        onQuery={setQuery}
        labelOf={(member) => member.name}
        keyOf={(member) => member.id}
        placeholder={t('audit.filter.anybody')}
        nothing={t('audit.filter.nobody')}
      />
    </Field>
  );
}

function ByServer({ server, onChange }: Choice<string> & { server: string | undefined }) {
  const mayRead = useMay('servers.read');
  if (!mayRead) return null;
  return (
    <Field label={t('jobs.column.server')}>
      {server === undefined ? (
        <ServerPicker value={null} onChange={(chosen) => onChange(chosen?.id)} />
      ) : (
        <KnownServer id={server} onChange={onChange} />
      )}
    </Field>
  );
}

function KnownServer({ id, onChange, ...control }: Choice<string> & { id: string }) {
  const name = useServerName(id);
  return (
    <ServerPicker
      {...control}
      value={{ id, name, project_id: null }}
      onChange={(chosen) => onChange(chosen?.id)}
    />
  );
}
