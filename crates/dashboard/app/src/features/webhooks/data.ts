import { queryOptions, useMutation, useQueryClient } from '@tanstack/react-query';
import { api, checked, idempotencyKey, unwrap } from '@/api/client';
import type { ApiError } from '@/api/error';
import { keys } from '@/api/keys';
import type { Delivery, Webhook, WebhookCreated, WebhookForm } from '@/api/types';

/** All of them: a workspace has twenty at most. */
export const webhooksQuery = queryOptions({
  queryKey: keys.webhooks(),
  queryFn: async ({ signal }): Promise<Webhook[]> =>
    (await unwrap(api.GET('/v1/outgoing-webhooks', { signal }))).data,
});

export function webhookQuery(id: string) {
  return queryOptions({
    queryKey: keys.webhook(id),
    queryFn: ({ signal }): Promise<Webhook> =>
      unwrap(api.GET('/v1/outgoing-webhooks/{id}', { params: { path: { id } }, signal })),
  });
}

export function createWebhook(body: WebhookForm): Promise<WebhookCreated> {
  return unwrap(
    api.POST('/v1/outgoing-webhooks', { headers: { 'idempotency-key': idempotencyKey() }, body }),
  );
}

export function changeWebhook({ id, version }: Webhook, body: Partial<WebhookForm>): Promise<Webhook> {
  return unwrap(
    api.PATCH('/v1/outgoing-webhooks/{id}', {
      params: { path: { id }, header: { 'If-Match': `"${version}"` } },
      body,
    }),
  );
}

/** What was asked about webhooks and what they sent is asked anew. */
export function useRefreshWebhooks(): () => void {
  const client = useQueryClient();
  return () => {
    for (const queryKey of [keys.webhooks(), keys.deliveries()]) {
      void client.invalidateQueries({ queryKey });
    }
  };
}

export function useWebhookActions(webhook: Webhook) {
  const refresh = useRefreshWebhooks();
  const path = { id: webhook.id };
  return {
    rotate: useMutation<WebhookCreated, ApiError, undefined>({
      mutationFn: () => unwrap(api.POST('/v1/outgoing-webhooks/{id}/rotate-secret', { params: { path } })),
      onSuccess: refresh,
    }),
    test: useMutation<Delivery, ApiError>({
      mutationFn: () => unwrap(api.POST('/v1/outgoing-webhooks/{id}/test', { params: { path } })),
      onSuccess: refresh,
    }),
    enable: useMutation<Webhook, ApiError>({
      mutationFn: () => changeWebhook(webhook, { enabled: true }),
      onSuccess: refresh,
    }),
    remove: useMutation<unknown, ApiError>({
      mutationFn: () => checked(api.DELETE('/v1/outgoing-webhooks/{id}', { params: { path } })),
      onSuccess: refresh,
    }),
  };
}
