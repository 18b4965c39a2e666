import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import { type ApiError, toApiError } from '@/api/error';
import { keys } from '@/api/keys';
import type { Workspace } from '@/api/types';
import { required } from '@/features/auth/validate';
import { t } from '@/i18n';
import { Button, ButtonLink } from '@/kit/button';
import { ConfirmDialog } from '@/kit/dialog';
import { Field } from '@/kit/field';
import { Input } from '@/kit/input';
import { Panel, Section } from '@/kit/page';
import { ErrorState, InlineError, LoadingRows, NoPermission } from '@/kit/states';
import { Badge } from '@/kit/status';
import { toast } from '@/kit/toast';
import { useForm } from '@/kit/use-form';
import { WORKSPACE } from '@/shell/rights';
import { sessionQuery, useMay } from '@/shell/session';
import { SettingsFrame } from '@/shell/settings-frame';
import { changeWorkspace, type WorkspaceChange, workspaceQuery } from './data';
import { PlanSection } from './plan';
import '@/i18n/lazy/settings';

export function WorkspaceSettingsPage() {
  const mayManage = useMay('workspace.manage', WORKSPACE);
  const workspace = useQuery({ ...workspaceQuery, enabled: mayManage });
  if (!mayManage) return <NoPermission missing={['workspace.manage']} />;
  return (
    <SettingsFrame title={t('settings.tab.workspace')}>
      {workspace.isPending ? (
        <Panel>
          <LoadingRows rows={3} />
        </Panel>
      ) : workspace.isError ? (
        <ErrorState error={toApiError(workspace.error)} onRetry={() => void workspace.refetch()} />
      ) : (
        <div className="flex flex-col gap-10">
          <Name workspace={workspace.data} />
          <SecondFactor workspace={workspace.data} />
          <PlanSection />
          <WaysOut />
        </div>
      )}
    </SettingsFrame>
  );
}

/** What another change made outdated is fetched anew with the words that say so. */
function useChange(workspace: Workspace) {
  const client = useQueryClient();
  return async (change: WorkspaceChange) => {
    try {
      const changed = await changeWorkspace(workspace, change);
      client.setQueryData(keys.workspace(), changed);
      // Its name and its rule stand in the session too.
      void client.invalidateQueries({ queryKey: sessionQuery.queryKey });
      return changed;
    } catch (thrown) {
      if (toApiError(thrown).status === 412) void client.invalidateQueries({ queryKey: keys.workspace() });
      throw thrown;
    }
  };
}

function Failure({ error }: { error: ApiError }) {
  if (error.status !== 412) return <InlineError error={error} />;
  return (
    <p role="alert" className="text-bad text-sm">
      {t('settings.changed_meanwhile')}
    </p>
  );
}

function Name({ workspace }: { workspace: Workspace }) {
  const change = useChange(workspace);
  const form = useForm({
    initial: { name: workspace.name },
    validate: ({ name }) => ({ name: required(name) }),
    submit: ({ name }) => change({ name: name.trim() }),
    onDone: ({ name }) => toast.done(t('settings.workspace.renamed', { name })),
  });
  return (
    <Section title={t('settings.tab.workspace')} description={t('settings.workspace.name_body')}>
      <form className="flex max-w-md flex-col gap-3" noValidate onSubmit={form.send}>
        <div className="flex items-end gap-2">
          <Field label={t('settings.workspace.name')} error={form.errors.name} className="min-w-0 flex-1">
            <Input
              value={form.values.name}
              autoComplete="organization"
              onChange={(event) => form.set('name', event.target.value)}
            />
          </Field>
          <Button
            type="submit"
            busy={form.busy}
            disabled={form.values.name.trim() === workspace.name}
            className={form.errors.name ? 'mb-5' : undefined}
          >
            {t('common.save')}
          </Button>
        </div>
        {form.failure && <Failure error={form.failure} />}
        {form.failure?.status === 412 && (
          <p className="text-fg-2 text-sm">{t('settings.workspace.named_now', { name: workspace.name })}</p>
        )}
      </form>
    </Section>
  );
}

function SecondFactor({ workspace }: { workspace: Workspace }) {
  const [asking, setAsking] = useState(false);
  const change = useChange(workspace);
  const isOn = workspace.require_totp;
  const set = useMutation<Workspace, ApiError>({
    mutationFn: () => change({ require_totp: !isOn }),
    onSuccess: (changed) => {
      setAsking(false);
      toast.done(changed.require_totp ? t('settings.workspace.totp_on') : t('settings.workspace.totp_off'));
    },
  });
  const open = (next: boolean) => {
    set.reset();
    setAsking(next);
  };
  return (
    <Section title={t('settings.workspace.rules')} description={t('settings.workspace.rules_body')}>
      <Panel>
        <div className="flex flex-wrap items-start gap-x-4 gap-y-3 px-4 py-3 text-sm">
          <div className="min-w-0 flex-1 basis-64">
            <p className="flex flex-wrap items-center gap-2 font-medium">
              {t('settings.workspace.totp')}
              <Badge tone={isOn ? 'ok' : 'idle'}>{isOn ? t('common.on') : t('common.off')}</Badge>
            </p>
            <p className="mt-0.5 text-fg-2">{t('settings.workspace.totp_hint')}</p>
          </div>
          <Button onClick={() => open(true)}>
            {isOn ? t('settings.workspace.totp_off_action') : t('settings.workspace.totp_on_action')}
          </Button>
        </div>
      </Panel>
      <ConfirmDialog
        open={asking}
        onClose={() => open(false)}
        title={isOn ? t('settings.workspace.totp_off_title') : t('settings.workspace.totp_on_title')}
        action={isOn ? t('settings.workspace.totp_off_action') : t('settings.workspace.totp_on_action')}
        tone={isOn ? 'danger' : 'primary'}
        busy={set.isPending}
        error={set.error?.status === 409 || set.error?.status === 412 ? null : set.error}
        onConfirm={() => set.mutate()}
      >
        <p>{isOn ? t('settings.workspace.totp_off_body') : t('settings.workspace.totp_on_body')}</p>
        {set.error?.status === 412 && <Failure error={set.error} />}
        {set.error?.status === 409 && (
          <p role="alert" className="text-bad">
            {t('settings.workspace.totp_self')}{' '}
            <Link to="/account" className="underline">
              {t('settings.workspace.to_account')}
            </Link>
          </p>
        )}
      </ConfirmDialog>
    </Section>
  );
}

/** They live where the people are; this only leads there. */
function WaysOut() {
  const mayClose = useMay('workspace.close', WORKSPACE);
  const mayReadTeam = useMay('members.read', WORKSPACE);
  return (
    <Section title={t('settings.workspace.danger')}>
      <Panel>
        <ul className="divide-y text-sm">
          {mayClose && mayReadTeam && (
            <li className="flex flex-wrap items-center gap-3 px-4 py-3">
              <div className="min-w-0 flex-1 basis-56">
                <p className="font-medium">{t('settings.workspace.close_title')}</p>
                <p className="text-fg-2">{t('settings.workspace.close_body')}</p>
              </div>
              <ButtonLink to="/team">{t('settings.workspace.to_team')}</ButtonLink>
            </li>
          )}
          <li className="flex flex-wrap items-center gap-3 px-4 py-3">
            <div className="min-w-0 flex-1 basis-56">
              <p className="font-medium">{t('settings.workspace.leave_title')}</p>
              <p className="text-fg-2">{t('settings.workspace.leave_body')}</p>
            </div>
            <ButtonLink to="/account">{t('settings.workspace.to_account')}</ButtonLink>
          </li>
        </ul>
      </Panel>
    </Section>
  );
}
