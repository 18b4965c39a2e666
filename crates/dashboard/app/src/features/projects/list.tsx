import { useQuery } from '@tanstack/react-query';
import { Link, useNavigate, useSearch } from '@tanstack/react-router';
import { Ellipsis, FolderClosed, FolderPlus, Pencil, Trash2 } from 'lucide-react';
import { useState } from 'react';
import { toApiError } from '@/api/error';
import type { Project } from '@/api/types';
import { t } from '@/i18n';
import { Button, IconButton } from '@/kit/button';
import { count } from '@/kit/format';
import { Menu, MenuItem } from '@/kit/menu';
import { Page, Panel } from '@/kit/page';
import { Empty, ErrorState, LoadingRows, NoPermission } from '@/kit/states';
import { Time } from '@/kit/time';
import { WORKSPACE } from '@/shell/rights';
import { useMay } from '@/shell/session';
import { projectsQuery } from './data';
import { DeleteProject, ProjectDialog } from './dialogs';

export function ProjectsPage() {
  const { open } = useSearch({ from: '/inside/projects' });
  const navigate = useNavigate({ from: '/projects' });
  const mayRead = useMay('projects.read');
  const mayCreate = useMay('projects.manage', WORKSPACE);
  const list = useQuery({ ...projectsQuery, enabled: mayRead });
  if (!mayRead) return <NoPermission missing={['projects.read']} />;
  const show = (what: 'create' | undefined) => void navigate({ search: { open: what }, replace: true });
  const create = mayCreate && (
    <Button tone="primary" icon={FolderPlus} onClick={() => show('create')}>
      {t('projects.create')}
    </Button>
  );
  return (
    <Page title={t('projects.title')} description={t('projects.body')} actions={create}>
      <Panel className="max-w-5xl">
        {list.isPending ? (
          <LoadingRows rows={4} />
        ) : list.isError ? (
          <ErrorState error={toApiError(list.error)} onRetry={() => void list.refetch()} />
        ) : list.data.length === 0 ? (
          <Empty icon={FolderClosed} title={t('projects.none_title')} action={create}>
            {t('projects.none_body')}
          </Empty>
        ) : (
          <ul aria-label={t('projects.title')} className="divide-y">
            {list.data.map((project) => (
              <ProjectRow key={project.id} project={project} />
            ))}
          </ul>
        )}
      </Panel>
      {mayCreate && <ProjectDialog project={null} open={open === 'create'} onClose={() => show(undefined)} />}
    </Page>
  );
}

/** A project's page is the list of its servers. */
function ProjectRow({ project }: { project: Project }) {
  const mayReadServers = useMay('servers.read', { projectId: project.id });
  const mayManage = useMay('projects.manage', { projectId: project.id });
  const [dialog, setDialog] = useState<'rename' | 'delete' | null>(null);
  const close = () => setDialog(null);
  const servers = project.servers ?? 0;
  return (
    <li className="relative flex items-center gap-3 px-4 py-2.5 text-sm hover:bg-hover">
      <FolderClosed aria-hidden className="size-4 shrink-0 text-fg-3" />
      <div className="min-w-0 flex-1 sm:flex sm:items-center sm:gap-4">
        <p className="min-w-0 flex-1 truncate font-medium">
          {mayReadServers ? (
            <Link
              to="/servers"
              search={{ project: project.id }}
              className="after:absolute after:inset-0 after:-outline-offset-2"
            >
              {project.name}
            </Link>
          ) : (
            project.name
          )}
        </p>
        <p className="tabular text-fg-2 max-sm:text-xs sm:w-32">
          {t('projects.servers', { count: servers, shown: count(servers) })}
        </p>
        <p className="hidden w-36 text-right text-fg-3 text-xs sm:block">
          {t('projects.column.created')} <Time at={project.created_at} />
        </p>
      </div>
      {mayManage && (
        <span className="relative">
          <Menu trigger={<IconButton icon={Ellipsis} label={`${t('common.more')}: ${project.name}`} />}>
            <MenuItem icon={Pencil} onSelect={() => setDialog('rename')}>
              {t('projects.rename')}
            </MenuItem>
            <MenuItem icon={Trash2} tone="danger" onSelect={() => setDialog('delete')}>
              {t('projects.delete')}
            </MenuItem>
          </Menu>
        </span>
      )}
      <ProjectDialog project={project} open={dialog === 'rename'} onClose={close} />
      <DeleteProject project={project} open={dialog === 'delete'} onClose={close} />
    </li>
  );
}
