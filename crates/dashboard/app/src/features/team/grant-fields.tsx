import { useQuery } from '@tanstack/react-query';
import { toApiError } from '@/api/error';
import type { Grantable, Role } from '@/api/types';
import { t } from '@/i18n';
import { FieldGroup } from '@/kit/field';
import { RadioList, type RadioOption } from '@/kit/radio-list';
import { ErrorState, LoadingRows } from '@/kit/states';
import { heldAnywhere, heldAt } from '@/shell/rights';
import { useGrants } from '@/shell/session';
import { grantableQuery, rolesQuery } from './data';
import { PermissionPicker } from './picker';
import { ScopeFields } from './scope-fields';
import { type GrantValues, placeOfValues } from './values';
import { builtInName } from './words';

interface GrantFieldsProps {
  values: GrantValues;
  errors: { granted?: string; scope?: string };
  onChange: (change: Partial<GrantValues>) => void;
}

export function GrantFields({ values, errors, onChange }: GrantFieldsProps) {
  const grants = useGrants();
  const grantable = useQuery(grantableQuery);
  const own = useQuery(rolesQuery);
  if (grantable.isPending || own.isPending) return <LoadingRows rows={4} />;
  if (grantable.isError || own.isError) {
    const retry = () => {
      void grantable.refetch();
      void own.refetch();
    };
    return <ErrorState error={toApiError(grantable.error ?? own.error)} onRetry={retry} />;
  }
  const place = placeOfValues(values);
  const held = place === null ? heldAnywhere(grants) : heldAt(grants, place);
  return (
    <>
      <FieldGroup
        label={t('team.grant.what')}
        error={values.granted === 'permissions' ? null : errors.granted}
      >
        <RadioList
          label={t('team.grant.what')}
          value={values.granted}
          options={choices(grantable.data, own.data, held, values)}
          onChange={(granted) => onChange({ granted })}
        />
      </FieldGroup>
      {values.granted === 'permissions' && (
        <FieldGroup label={t('team.permission.title')} error={errors.granted}>
          <PermissionPicker
            value={values.permissions}
            onChange={(permissions) => onChange({ permissions })}
            held={held}
            invalid={Boolean(errors.granted)}
          />
        </FieldGroup>
      )}
      <ScopeFields values={values} error={errors.scope} onChange={onChange} />
    </>
  );
}

/** Roles that the caller does not hold in full are there to be seen, not to be given. */
function choices(
  grantable: Grantable,
  own: readonly Role[],
  held: ReadonlySet<string>,
  values: GrantValues,
): RadioOption<string>[] {
  const offer = (value: string, label: string, meaning: string, permissions: readonly string[]) => {
    const lacks = permissions.some((name) => !held.has(name));
    return { value, label, hint: lacks ? t('team.grant.more_than_you') : meaning, disabled: lacks };
  };
  return [
    ...grantable.roles.map(({ role, meaning, permissions }) => {
      const option = offer(`role:${role}`, builtInName(role), `${meaning}.`, permissions);
      const isNarrow = role === 'owner' && values.scope !== 'workspace';
      return isNarrow ? { ...option, hint: t('team.grant.owner_everywhere'), disabled: true } : option;
    }),
    ...own.map((role) => offer(`own:${role.id}`, role.name, t('team.grant.own_role'), role.permissions)),
    {
      value: 'permissions',
      label: t('team.grant.permissions'),
      hint: t('team.grant.permissions_hint'),
      disabled: held.size === 0,
    },
  ];
}
