import { queryOptions, useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { api, checked, idempotencyKey, unwrap } from '@/api/client';
import type { ApiError } from '@/api/error';
import { keys } from '@/api/keys';
import { everyPage } from '@/api/pages';
import type { Project } from '@/api/types';
import { useMay } from '@/shell/session';

/** A page; the hub keeps a thousand projects at most. */
const PAGE = 200;

/** All of them: they are choices and filters as well as a list. */
export const projectsQuery = queryOptions({
  queryKey: keys.projects(),
  queryFn: ({ signal }) =>
    everyPage((cursor) =>
      unwrap(api.GET('/v1/projects', { params: { query: { limit: PAGE, cursor } }, signal })),
    ),
});

/** The projects that the caller sees; none until they are known, and for those who may see none. */
export function useProjects(): readonly Project[] {
  const mayRead = useMay('projects.read');
  return useQuery({ ...projectsQuery, enabled: mayRead }).data ?? [];
}

export function createProject(name: string): Promise<Project> {
  return unwrap(
    api.POST('/v1/projects', { headers: { 'idempotency-key': idempotencyKey() }, body: { name } }),
  );
}

export function renameProject({ id, version }: Project, name: string): Promise<Project> {
  return unwrap(
    api.PATCH('/v1/projects/{id}', {
      params: { path: { id } },
      headers: { 'if-match': `"${version}"` },
      body: { name },
    }),
  );
}

export function useRemoveProject(id: string) {
  const client = useQueryClient();
  return useMutation<unknown, ApiError>({
    mutationFn: () => checked(api.DELETE('/v1/projects/{id}', { params: { path: { id } } })),
    onSuccess: () => {
      for (const queryKey of [keys.projects(), keys.servers(), keys.members()]) {
        void client.invalidateQueries({ queryKey });
      }
    },
  });
}
