import { useMutation, useQueryClient } from '@tanstack/react-query';
import { api, unwrap } from '@/api/client';
import type { ApiError } from '@/api/error';
import { keys } from '@/api/keys';
import type { PolicyRules, Server, ServerDetail } from '@/api/types';

export function useTrustActions(server: ServerDetail) {
  const client = useQueryClient();
  const params = { path: { id: server.id } };
  const takeOver = (changed: Server) => {
    client.setQueryData<ServerDetail>(keys.server(server.id), (known) => known && { ...known, ...changed });
    void client.invalidateQueries({ queryKey: keys.server(server.id) });
  };
  return {
    /** Rules of the hub; none lift all that it had set. */
    restrict: (rules: PolicyRules) =>
      unwrap(api.PUT('/v1/servers/{id}/restrictions', { params, body: rules })).then(takeOver),
    rotate: useMutation<Server, ApiError>({
      mutationFn: () => unwrap(api.POST('/v1/servers/{id}/rotate-token', { params })),
      onSuccess: takeOver,
    }),
  };
}
