import { useQueryClient } from '@tanstack/react-query';
import { keys } from '@/api/keys';
import type { ApiKeyCreated } from '@/api/types';
import { required } from '@/features/auth/validate';
import { PermissionPicker } from '@/features/team/picker';
import { ScopeFields } from '@/features/team/scope-fields';
import {
  placeOfValues,
  type ScopeValues,
  scopeOf,
  scopeProblem,
  wholeWorkspace,
} from '@/features/team/values';
import { t } from '@/i18n';
import { Button } from '@/kit/button';
import { CommandLine } from '@/kit/code-block';
import { FormActions } from '@/kit/dialog';
import { Field, FieldGroup } from '@/kit/field';
import { Input, Textarea } from '@/kit/input';
import { Select } from '@/kit/select';
import type { ShownOnce } from '@/kit/shown-once';
import { InlineError } from '@/kit/states';
import { useForm } from '@/kit/use-form';
import { heldAnywhere, heldAt } from '@/shell/rights';
import { useGrants } from '@/shell/session';
import { createApiKey, curlExample, parseNetworks, problemOfNetworks } from './api-keys-data';

const SPANS = ['86400', '2592000', '7776000', '31536000', 'none'] as const;
type Span = (typeof SPANS)[number];

interface KeyValues extends ScopeValues, Record<string, unknown> {
  name: string;
  permissions: string[];
  span: Span;
  networks: string;
}

const blank: KeyValues = { ...wholeWorkspace, name: '', permissions: [], span: '7776000', networks: '' };

export function ApiKeyForm({
  onMade,
  onClose,
}: {
  onMade: (key: ApiKeyCreated) => void;
  onClose: () => void;
}) {
  const client = useQueryClient();
  const grants = useGrants();
  const form = useForm<KeyValues, ApiKeyCreated>({
    initial: startingWhereRightsAre(grants),
    validate: (values) => {
      const network = problemOfNetworks(values.networks);
      return {
        name: required(values.name),
        permissions: values.permissions.length === 0 ? t('team.grant.choose_permissions') : undefined,
        scope: scopeProblem(values),
        networks: network === null ? undefined : t('api_keys.network_invalid', { network }),
      };
    },
    submit: (values) =>
      createApiKey({
        name: values.name.trim(),
        permissions: values.permissions,
        scope: scopeOf(values) ?? { type: 'workspace' },
        networks: parseNetworks(values.networks),
        ttl_s: values.span === 'none' ? null : Number(values.span),
      }),
    onDone: (key) => {
      void client.invalidateQueries({ queryKey: keys.apiKeys() });
      onMade(key);
    },
  });
  const { values, errors, set } = form;
  const place = placeOfValues(values);
  return (
    <form className="flex flex-col gap-5" noValidate onSubmit={form.send}>
      <Field label={t('api_keys.name')} hint={t('api_keys.name_hint')} error={errors.name}>
        <Input
          value={values.name}
          autoFocus
          autoComplete="off"
          onChange={(event) => set('name', event.target.value)}
        />
      </Field>
      <FieldGroup label={t('team.permission.title')} error={errors.permissions}>
        <PermissionPicker
          value={values.permissions}
          onChange={(permissions) => set('permissions', permissions)}
          held={place === null ? heldAnywhere(grants) : heldAt(grants, place)}
          invalid={Boolean(errors.permissions)}
        />
      </FieldGroup>
      <ScopeFields values={values} error={errors.scope} onChange={form.patch} />
      <Field label={t('api_keys.ends_after')} className="sm:max-w-56">
        <Select<Span>
          label={t('api_keys.ends_after')}
          value={values.span}
          options={SPANS.map((value) => ({ value, label: t(`api_keys.span.${value}`) }))}
          onChange={(span) => set('span', span)}
        />
      </Field>
      <Field
        label={t('api_keys.networks')}
        optional={t('common.optional')}
        hint={t('api_keys.networks_hint')}
        error={errors.networks}
      >
        <Textarea
          rows={2}
          value={values.networks}
          spellCheck={false}
          autoComplete="off"
          className="min-h-14 font-mono text-xs"
          onChange={(event) => set('networks', event.target.value)}
        />
      </Field>
      {form.failure && <InlineError error={form.failure} />}
      <FormActions>
        <Button onClick={onClose}>{t('common.cancel')}</Button>
        <Button type="submit" tone="primary" busy={form.busy}>
          {t('api_keys.create')}
        </Button>
      </FormActions>
    </form>
  );
}

/** Who holds nothing over the workspace begins with the kind of place where they do. */
function startingWhereRightsAre(grants: ReturnType<typeof useGrants>): KeyValues {
  const kinds = grants.map((grant) => grant.scope.type);
  return { ...blank, scope: kinds.includes('workspace') ? 'workspace' : (kinds[0] ?? 'workspace') };
}

/** The only time that the token is seen. */
export function tokenOf(made: ApiKeyCreated): ShownOnce {
  return {
    label: t('api_keys.token'),
    value: made.token,
    note: t('api_keys.token_once'),
    more: (
      <div>
        <p className="mb-1.5 font-medium text-sm">{t('api_keys.curl')}</p>
        <CommandLine
          compact
          command={curlExample(window.location.origin, made.token, made.permissions)}
          label={t('api_keys.curl')}
        />
      </div>
    ),
  };
}
