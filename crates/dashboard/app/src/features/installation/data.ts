import { queryOptions } from '@tanstack/react-query';
import { api, unwrap } from '@/api/client';
import { keys } from '@/api/keys';
import type { Installation, MailTest } from '@/api/types';

/** What the hub is made of; 403 for everybody who does not run it. */
export const installationQuery = queryOptions({
  queryKey: keys.installation(),
  queryFn: ({ signal }): Promise<Installation> => unwrap(api.GET('/v1/installation', { signal })),
  staleTime: 5 * 60_000,
});

export function sendTestMail(to: string): Promise<MailTest> {
  return unwrap(api.POST('/v1/installation/mail-test', { body: { to } }));
}
