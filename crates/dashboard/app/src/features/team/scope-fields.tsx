import { useState } from 'react';
import type { Project, Server } from '@/api/types';
import { useProjects } from '@/features/projects/data';
import { useServerChoices } from '@/features/servers/data';
import { t } from '@/i18n';
import { Combobox } from '@/kit/combobox';
import { Field, FieldGroup } from '@/kit/field';
import { Segmented } from '@/kit/segmented';
import { ServerStatusMark } from '@/kit/status';
import { useMay } from '@/shell/session';
import type { ScopeKind, ScopeValues } from './values';

interface ScopeFieldsProps {
  values: ScopeValues;
  error?: string | null;
  onChange: (change: Partial<ScopeValues>) => void;
}

/** The whole workspace, a project or a server found by typing. */
export function ScopeFields({ values, error, onChange }: ScopeFieldsProps) {
  const mayReadServers = useMay('servers.read');
  const mayReadProjects = useMay('projects.read');
  const kinds = (['workspace', 'project', 'server'] as const).filter(
    (kind) =>
      kind === 'workspace' ||
      kind === values.scope ||
      (kind === 'project' ? mayReadProjects : mayReadServers),
  );
  return (
    <FieldGroup label={t('team.grant.where')} error={values.scope === 'workspace' ? error : null}>
      <div className="flex flex-col gap-2">
        <Segmented<ScopeKind>
          label={t('team.grant.where')}
          className="self-start"
          value={values.scope}
          options={kinds.map((value) => ({ value, label: t(`team.grant.${value}`) }))}
          onChange={(scope) => onChange({ scope })}
        />
        {values.scope === 'project' && (
          <Field label={t('projects.of_project')} error={error} hint={t('team.grant.project_hint')}>
            <ProjectPicker value={values.project} onChange={(project) => onChange({ project })} />
          </Field>
        )}
        {values.scope === 'server' && (
          <Field label={t('jobs.column.server')} error={error} hint={t('team.grant.server_hint')}>
            <ServerPicker value={values.server} onChange={(server) => onChange({ server })} />
          </Field>
        )}
        {values.scope === 'workspace' && (
          <p className="text-fg-3 text-xs">{t('team.grant.workspace_hint')}</p>
        )}
      </div>
    </FieldGroup>
  );
}

interface PickerProps<T> {
  value: T | null;
  onChange: (value: T | null) => void;
  id?: string;
  'aria-invalid'?: boolean;
  'aria-describedby'?: string;
}

function ProjectPicker({ value, onChange, ...control }: PickerProps<Pick<Project, 'id' | 'name'>>) {
  const [query, setQuery] = useState('');
  const needle = query.trim().toLowerCase();
  const found = useProjects().filter((project) => project.name.toLowerCase().includes(needle));
  return (
    <Combobox<Pick<Project, 'id' | 'name'>>
      {...control}
      value={value}
      items={found}
      onChange={onChange}
      onQuery={setQuery}
      labelOf={(project) => project.name}
      keyOf={(project) => project.id}
      placeholder={t('team.grant.find_project')}
      nothing={t('team.grant.no_project')}
    />
  );
}

type ServerChoice = Pick<Server, 'id' | 'name' | 'project_id'>;

/** A server found by typing. */
export function ServerPicker({ value, onChange, ...control }: PickerProps<ServerChoice>) {
  const [query, setQuery] = useState('');
  const { found, isSearching } = useServerChoices(query);
  return (
    <Combobox<ServerChoice>
      {...control}
      value={value}
      items={found}
      isSearching={isSearching}
      onChange={onChange}
      onQuery={setQuery}
      labelOf={(server) => server.name}
      keyOf={(server) => server.id}
      hintOf={(choice) => {
        const status = found.find((server) => server.id === choice.id)?.status;
        return status && <ServerStatusMark status={status} />;
      }}
      placeholder={t('team.grant.find_server')}
      nothing={t('team.grant.no_server')}
    />
  );
}
