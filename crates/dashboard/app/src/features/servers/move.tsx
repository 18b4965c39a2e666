import type { ServerDetail } from '@/api/types';
import { useProjects } from '@/features/projects/data';
import { t } from '@/i18n';
import { Button } from '@/kit/button';
import { Dialog } from '@/kit/dialog';
import { Field } from '@/kit/field';
import { Select } from '@/kit/select';
import { InlineError } from '@/kit/states';
import { toast } from '@/kit/toast';
import { useForm } from '@/kit/use-form';
import { mayDo, WORKSPACE } from '@/shell/rights';
import { useGrants } from '@/shell/session';
import { useServerActions } from './data';
import { ServerChanged } from './dialogs';

interface MoveServerProps {
  server: ServerDetail;
  open: boolean;
  onClose: () => void;
}

const NONE = 'none';

/** Puts a server into another project, or into none; the caller has to hold `projects.manage` where it goes. */
export function MoveServer({ server, open, onClose }: MoveServerProps) {
  return (
    <Dialog
      open={open}
      onClose={onClose}
      title={t('projects.move_title', { name: server.name })}
      description={t('projects.move_body')}
    >
      {open && <MoveForm server={server} onClose={onClose} />}
    </Dialog>
  );
}

function MoveForm({ server, onClose }: { server: ServerDetail; onClose: () => void }) {
  const grants = useGrants();
  const actions = useServerActions(server);
  const projects = useProjects();
  const from = server.project_id ?? NONE;
  const targets = projects.filter(
    (project) => project.id === from || mayDo(grants, 'projects.manage', { projectId: project.id }),
  );
  const mayTakeOut = from === NONE || mayDo(grants, 'projects.manage', WORKSPACE);
  const form = useForm({
    initial: { project_id: from },
    validate: () => ({}),
    submit: ({ project_id }) => actions.change({ project_id: project_id === NONE ? null : project_id }),
    onDone: () => {
      const to = projects.find((project) => project.id === form.values.project_id);
      toast.done(
        to
          ? t('projects.move_done', { server: server.name, project: to.name })
          : t('projects.move_done_none', { server: server.name }),
      );
      onClose();
    },
  });
  return (
    <form className="flex flex-col gap-4" noValidate onSubmit={form.send}>
      <Field label={t('projects.move_here')} error={form.errors.project_id}>
        <Select
          label={t('projects.move_here')}
          value={form.values.project_id}
          options={[
            ...(mayTakeOut ? [{ value: NONE, label: t('projects.none') }] : []),
            ...targets.map(({ id, name }) => ({ value: id, label: name })),
          ]}
          onChange={(project_id) => form.set('project_id', project_id)}
        />
      </Field>
      {form.failure &&
        (form.failure.status === 412 ? <ServerChanged /> : <InlineError error={form.failure} />)}
      <div className="flex justify-end gap-2">
        <Button onClick={onClose}>{t('common.cancel')}</Button>
        <Button type="submit" tone="primary" busy={form.busy} disabled={form.values.project_id === from}>
          {t('projects.move_action')}
        </Button>
      </div>
    </form>
  );
}
