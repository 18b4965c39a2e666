import type { QueryClient, QueryKey } from '@tanstack/react-query';

const WAIT_MS = 1_000;

/** Marks queries as outdated at most once a second each, however many events say so. */
export class LazyInvalidator {
  private readonly due = new Map<string, QueryKey>();
  private timer: ReturnType<typeof setTimeout> | null = null;

  constructor(private readonly client: QueryClient) {}

  mark(key: QueryKey): void {
    this.due.set(JSON.stringify(key), key);
    this.timer ??= setTimeout(() => this.flush(), WAIT_MS);
  }

  stop(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    this.due.clear();
  }

  private flush(): void {
    this.timer = null;
    const keys = [...this.due.values()];
    this.due.clear();
    for (const queryKey of keys) void this.client.invalidateQueries({ queryKey });
  }
}
