/** Keys of everything that is cached, in one place, so that events can name it. */
export const keys = {
  servers: () => ['servers'] as const,
  serverLists: () => ['servers', 'list'] as const,
  /** Lists that show servers of some states only: a change of state moves servers in and out of them. */
  serverListsByStatus: () => ['servers', 'list', 'by-status'] as const,
  serverTotals: () => ['servers', 'totals'] as const,
  server: (id: string) => ['servers', 'one', id] as const,
  serverMetrics: (id: string) => ['servers', 'metrics', id] as const,
  installToken: (id: string) => ['install-token', id] as const,
  jobs: () => ['jobs'] as const,
  jobLists: () => ['jobs', 'list'] as const,
  /** What is asked about jobs that have not ended, besides lists. */
  jobsUnfinished: () => ['jobs', 'unfinished'] as const,
  job: (id: string) => ['jobs', 'one', id] as const,
  jobSigning: (id: string) => ['jobs', 'signing', id] as const,
  batches: () => ['batches'] as const,
  batchLists: () => ['batches', 'list'] as const,
  batch: (id: string) => ['batches', 'one', id] as const,
  batchServers: (id: string) => ['batches', 'servers', id] as const,
  operatorKeys: () => ['operator-keys'] as const,
  audit: () => ['audit'] as const,
  sessions: () => ['sessions'] as const,
};
