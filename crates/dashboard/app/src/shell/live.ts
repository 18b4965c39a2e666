import type { InfiniteData, QueryClient } from '@tanstack/react-query';
import { useSyncExternalStore } from 'react';
import { type LiveServer, LiveStore } from '@/api/events/live-store';
import { CONNECTING, type ConnectionState, type HubEvent } from '@/api/events/message';
import { SharedEvents } from '@/api/events/shared';
import { mergeJob } from '@/api/job-state';
import { keys } from '@/api/keys';
import type { Job, JobBatch, Server } from '@/api/types';
import { LazyInvalidator } from './invalidate';
import { renewSession } from './session';

/** Live values of servers, fed by the event stream and by the API's answers. */
export const liveServers = new LiveStore();

let events: SharedEvents | null = null;
const connectionListeners = new Set<() => void>();

/** Opens the event stream for a signed-in person; the returned function closes it. */
export function startLive(client: QueryClient, userId: string): () => void {
  const invalidator = new LazyInvalidator(client);
  const stream = new SharedEvents(`roadstead.events.${userId}`);
  events = stream;
  stream.onEvent((event) => {
    liveServers.apply(event);
    route(event, client, invalidator);
  });
  let wasLost = false;
  stream.onState(() => {
    const isOpen = stream.state().phase === 'open';
    // The hub ends streams when rights change: what may be done is asked for again with the next one.
    if (isOpen && wasLost) void renewSession(client);
    wasLost = wasLost ? !isOpen : stream.state().phase === 'lost';
    for (const listener of connectionListeners) listener();
  });
  return () => {
    events = null;
    stream.stop();
    invalidator.stop();
    for (const listener of connectionListeners) listener();
  };
}

export function useConnection(): ConnectionState {
  return useSyncExternalStore(
    (listener) => {
      connectionListeners.add(listener);
      return () => connectionListeners.delete(listener);
    },
    () => events?.state() ?? CONNECTING,
  );
}

export function retryConnection(): void {
  events?.retryNow();
}

/** The server's live values; the answer it came with until something newer is known. */
export function useLive(server: Server): LiveServer {
  const live = useSyncExternalStore(
    (listener) => liveServers.subscribe(server.id, listener),
    () => liveServers.get(server.id),
  );
  return (
    live ?? {
      status: server.status,
      lastSeenAt: server.last_seen_at ?? null,
      live: server.live ?? null,
      cpuSpark: server.spark?.cpu_percent ?? [],
      memorySpark: server.spark?.memory_percent ?? [],
    }
  );
}

/** Brings what is cached up to date with one event. Live samples are the store's business alone. */
function route(event: HubEvent, client: QueryClient, invalidator: LazyInvalidator): void {
  const id = event.subject?.id;
  switch (event.type) {
    case 'reset':
      // The hub no longer has what was missed: everything on screen is asked for again.
      void client.invalidateQueries();
      return;
    case 'server.status':
      invalidator.mark(keys.serverTotals());
      invalidator.mark(keys.serverListsByStatus());
      return;
    case 'server.created':
    case 'server.updated':
    case 'server.deleted':
      invalidator.mark(keys.serverTotals());
      invalidator.mark(keys.serverLists());
      // How many servers each has.
      invalidator.mark(keys.projects());
      if (id && event.type === 'server.updated') invalidator.mark(keys.server(id));
      return;
    case 'install_token.used':
      if (id) void client.invalidateQueries({ queryKey: keys.installToken(id) });
      return;
    case 'job.created':
      invalidator.mark(keys.jobLists());
      invalidator.mark(keys.jobsUnfinished());
      return;
    case 'job.state':
      takeJob(event.data as Job, client);
      invalidator.mark(keys.jobLists());
      invalidator.mark(keys.jobsUnfinished());
      return;
    case 'job_batch.created':
    case 'job_batch.state':
      takeBatch(event.data as JobBatch, client);
      invalidator.mark(keys.batchLists());
      return;
    case 'security.event':
      invalidator.mark(keys.audit());
      return;
  }
}

/** A job's new state goes straight to its page and its rows; lists ask again later for what joined or left. */
function takeJob(job: Job, client: QueryClient): void {
  if (typeof job?.id !== 'string') return;
  client.setQueryData<Job>(keys.job(job.id), (known) => known && mergeJob(known, job));
  client.setQueriesData<InfiniteData<{ data: Job[] }>>({ queryKey: keys.jobLists() }, (known) => {
    if (!known?.pages.some((page) => page.data.some((row) => row.id === job.id))) return known;
    const pages = known.pages.map((page) => ({
      ...page,
      data: page.data.map((row) => (row.id === job.id ? mergeJob(row, job) : row)),
    }));
    return { ...known, pages };
  });
}

/** A batch's new state and counts go to its page and its row; the list asks again later for what is new. */
function takeBatch(batch: JobBatch, client: QueryClient): void {
  if (typeof batch?.id !== 'string') return;
  client.setQueryData<JobBatch>(keys.batch(batch.id), (known) => known && { ...known, ...batch });
  client.setQueriesData<InfiniteData<{ data: JobBatch[] }>>({ queryKey: keys.batchLists() }, (known) => {
    if (!known?.pages?.some((page) => page.data.some((row) => row.id === batch.id))) return known;
    const pages = known.pages.map((page) => ({
      ...page,
      data: page.data.map((row) => (row.id === batch.id ? batch : row)),
    }));
    return { ...known, pages };
  });
}
