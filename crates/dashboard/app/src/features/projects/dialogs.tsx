import { useQueryClient } from '@tanstack/react-query';
import { useMemo } from 'react';
import { keys } from '@/api/keys';
import type { Project } from '@/api/types';
import { required } from '@/features/auth/validate';
import { t } from '@/i18n';
import { Button } from '@/kit/button';
import { ConfirmDialog, Dialog } from '@/kit/dialog';
import { Field } from '@/kit/field';
import { Input } from '@/kit/input';
import { InlineError } from '@/kit/states';
import { toast } from '@/kit/toast';
import { useForm } from '@/kit/use-form';
import { createProject, renameProject, useRemoveProject } from './data';

interface ProjectDialogProps {
  /** Null: a new one. */
  project: Project | null;
  open: boolean;
  onClose: () => void;
}

export function ProjectDialog({ project, open, onClose }: ProjectDialogProps) {
  return (
    <Dialog
      open={open}
      onClose={onClose}
      title={project ? t('projects.rename_title') : t('projects.create')}
      description={project ? undefined : t('projects.create_body')}
    >
      {open && <ProjectForm project={project} onClose={onClose} />}
    </Dialog>
  );
}

function ProjectForm({ project, onClose }: { project: Project | null; onClose: () => void }) {
  const client = useQueryClient();
  const initial = useMemo(() => ({ name: project?.name ?? '' }), [project]);
  const form = useForm({
    initial,
    validate: ({ name }) => ({ name: required(name) }),
    submit: ({ name }) => (project ? renameProject(project, name.trim()) : createProject(name.trim())),
    onDone: ({ name }) => {
      toast.done(project ? t('projects.renamed') : t('projects.created', { name }));
      void client.invalidateQueries({ queryKey: keys.projects() });
      // Grants are shown with the names of projects.
      void client.invalidateQueries({ queryKey: keys.members() });
      onClose();
    },
  });
  return (
    <form className="flex flex-col gap-4" noValidate onSubmit={form.send}>
      <Field label={t('projects.name')} error={form.errors.name}>
        <Input
          value={form.values.name}
          autoFocus
          autoComplete="off"
          onChange={(event) => form.set('name', event.target.value)}
        />
      </Field>
      {form.failure &&
        (form.failure.status === 412 ? (
          <p role="alert" className="text-bad text-sm">
            {t('projects.changed_meanwhile')}
          </p>
        ) : (
          <InlineError error={form.failure} />
        ))}
      <div className="flex justify-end gap-2">
        <Button onClick={onClose}>{t('common.cancel')}</Button>
        <Button type="submit" tone="primary" busy={form.busy}>
          {project ? t('common.save') : t('projects.create')}
        </Button>
      </div>
    </form>
  );
}

export function DeleteProject({ project, open, onClose }: ProjectDialogProps & { project: Project }) {
  const remove = useRemoveProject(project.id);
  return (
    <ConfirmDialog
      open={open}
      onClose={onClose}
      title={t('projects.delete_title', { name: project.name })}
      action={t('projects.delete')}
      typeToConfirm={project.name}
      busy={remove.isPending}
      error={remove.error}
      onConfirm={() =>
        remove.mutate(undefined, {
          onSuccess: () => {
            toast.done(t('projects.deleted', { name: project.name }));
            onClose();
          },
        })
      }
    >
      <p>{t('projects.delete_body', { count: project.servers ?? 0 })}</p>
    </ConfirmDialog>
  );
}
