import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Ellipsis, Pencil, Plus, Trash2 } from 'lucide-react';
import { useMemo, useState } from 'react';
import { api, checked } from '@/api/client';
import { type ApiError, toApiError } from '@/api/error';
import { keys } from '@/api/keys';
import type { Role } from '@/api/types';
import { required } from '@/features/auth/validate';
import { t } from '@/i18n';
import { Button, IconButton } from '@/kit/button';
import { ConfirmDialog, Dialog, FormActions } from '@/kit/dialog';
import { Disclosure } from '@/kit/disclosure';
import { Field, FieldGroup } from '@/kit/field';
import { Input } from '@/kit/input';
import { Menu, MenuItem } from '@/kit/menu';
import { Panel, Section } from '@/kit/page';
import { permissionsInWords } from '@/kit/permission-words';
import { ErrorState, InlineError, LoadingRows, sentence } from '@/kit/states';
import { toast } from '@/kit/toast';
import { useForm } from '@/kit/use-form';
import { heldAt, WORKSPACE } from '@/shell/rights';
import { useGrants, useMay } from '@/shell/session';
import { grantableQuery, membersQuery, rolesQuery, saveRole, useRefreshTeam } from './data';
import { PermissionPicker } from './picker';
import { builtInName } from './words';

/** Sets of permissions with a name of the workspace's own. */
export function Roles() {
  const list = useQuery(rolesQuery);
  const mayManage = useMay('roles.manage', WORKSPACE);
  const [editing, setEditing] = useState<Role | 'new' | null>(null);
  const [deleting, setDeleting] = useState<Role | null>(null);
  return (
    <Section
      title={t('team.role.title')}
      actions={
        mayManage && (
          <Button icon={Plus} onClick={() => setEditing('new')}>
            {t('team.role.create')}
          </Button>
        )
      }
    >
      <Panel>
        {list.isPending ? (
          <LoadingRows rows={1} />
        ) : list.isError ? (
          <ErrorState error={toApiError(list.error)} onRetry={() => void list.refetch()} />
        ) : list.data.length === 0 ? (
          <p className="px-4 py-3 text-fg-2 text-sm">{t('team.role.none')}</p>
        ) : (
          <ul aria-label={t('team.role.title')} className="divide-y">
            {list.data.map((role) => (
              <li key={role.id} className="flex items-center gap-3 px-4 py-2.5 text-sm">
                <div className="min-w-0 flex-1">
                  <p className="truncate font-medium">{role.name}</p>
                  <p className="text-fg-3 text-xs">{sentence(permissionsInWords(role.permissions))}</p>
                </div>
                {mayManage && (
                  <Menu trigger={<IconButton icon={Ellipsis} label={`${t('common.more')}: ${role.name}`} />}>
                    <MenuItem icon={Pencil} onSelect={() => setEditing(role)}>
                      {t('team.role.edit')}
                    </MenuItem>
                    <MenuItem icon={Trash2} tone="danger" onSelect={() => setDeleting(role)}>
                      {t('common.delete')}
                    </MenuItem>
                  </Menu>
                )}
              </li>
            ))}
          </ul>
        )}
      </Panel>
      <BuiltIn />
      <Dialog
        open={editing !== null}
        onClose={() => setEditing(null)}
        title={editing === 'new' ? t('team.role.create') : t('team.role.edit')}
        description={editing === 'new' ? t('team.role.create_body') : t('team.role.edit_body')}
        width="md"
      >
        {editing !== null && (
          <RoleForm role={editing === 'new' ? null : editing} onClose={() => setEditing(null)} />
        )}
      </Dialog>
      {deleting && <DeleteRole role={deleting} onClose={() => setDeleting(null)} />}
    </Section>
  );
}

/** The roles that every workspace has, for looking up what they hold. */
function BuiltIn() {
  const grantable = useQuery(grantableQuery).data;
  if (!grantable) return null;
  return (
    <Disclosure label={t('team.role.built_in')} className="mt-3">
      <Panel>
        <dl className="divide-y text-sm">
          {grantable.roles.map(({ role, meaning, permissions }) => (
            <div key={role} className="px-4 py-2.5">
              <dt className="flex items-baseline gap-2 font-medium">
                {builtInName(role)}
                <span className="font-normal text-fg-3 text-xs">
                  {t('team.role.built_in_count', { count: permissions.length })}
                </span>
              </dt>
              <dd className="text-fg-2">{meaning}.</dd>
              <dd className="text-fg-3 text-xs">{sentence(permissionsInWords(permissions))}</dd>
            </div>
          ))}
        </dl>
      </Panel>
    </Disclosure>
  );
}

function RoleForm({ role, onClose }: { role: Role | null; onClose: () => void }) {
  const refresh = useRefreshTeam();
  const held = heldAt(useGrants(), WORKSPACE);
  const initial = useMemo(() => ({ name: role?.name ?? '', permissions: role?.permissions ?? [] }), [role]);
  const form = useForm({
    initial,
    validate: ({ name, permissions }) => ({
      name: required(name),
      permissions: permissions.length === 0 ? t('team.grant.choose_permissions') : undefined,
    }),
    submit: ({ name, permissions }) => saveRole(role, { name: name.trim(), permissions }),
    onDone: ({ name }) => {
      toast.done(role ? t('team.role.saved', { name }) : t('team.role.created', { name }));
      refresh();
      onClose();
    },
  });
  return (
    <form className="flex flex-col gap-5" noValidate onSubmit={form.send}>
      <Field label={t('team.role.name')} error={form.errors.name}>
        <Input
          value={form.values.name}
          autoFocus
          autoComplete="off"
          onChange={(event) => form.set('name', event.target.value)}
        />
      </Field>
      <FieldGroup label={t('team.permission.title')} error={form.errors.permissions}>
        <PermissionPicker
          value={form.values.permissions}
          onChange={(permissions) => form.set('permissions', permissions)}
          held={held}
          invalid={Boolean(form.errors.permissions)}
        />
      </FieldGroup>
      {form.failure &&
        (form.failure.status === 412 ? (
          <p role="alert" className="text-bad text-sm">
            {t('team.role.changed_meanwhile')}
          </p>
        ) : (
          <InlineError error={form.failure} />
        ))}
      <FormActions>
        <Button onClick={onClose}>{t('common.cancel')}</Button>
        <Button type="submit" tone="primary" busy={form.busy}>
          {role ? t('common.save') : t('team.role.create')}
        </Button>
      </FormActions>
    </form>
  );
}

function DeleteRole({ role, onClose }: { role: Role; onClose: () => void }) {
  const client = useQueryClient();
  const members = useInfiniteQuery(membersQuery).data?.pages.flatMap((page) => page.data) ?? [];
  const holders = members.filter((member) =>
    member.grants.some(({ granted }) => 'role_id' in granted && granted.role_id === role.id),
  );
  const remove = useMutation<unknown, ApiError>({
    mutationFn: () => checked(api.DELETE('/v1/team/roles/{id}', { params: { path: { id: role.id } } })),
    onSuccess: () => {
      toast.done(t('team.role.deleted', { name: role.name }));
      void client.invalidateQueries({ queryKey: keys.roles() });
      onClose();
    },
  });
  return (
    <ConfirmDialog
      open
      onClose={onClose}
      title={t('team.role.delete_title', { name: role.name })}
      action={t('common.delete')}
      busy={remove.isPending}
      error={remove.error}
      onConfirm={() => remove.mutate()}
    >
      <p>{t('team.role.delete_body')}</p>
      {holders.length > 0 && (
        <p className="font-medium text-fg">
          {t('team.role.holders', {
            names: new Intl.ListFormat('en-GB').format(holders.map((member) => member.name)),
          })}
        </p>
      )}
    </ConfirmDialog>
  );
}
