/** One entry of `GET /v1/events`. */
export interface HubEvent {
  id: string;
  at: string;
  type: string;
  subject: { type: string; id: string } | null;
  data: unknown;
}

/** How the tab stands to the hub's event stream. */
export interface ConnectionState {
  phase: 'connecting' | 'open' | 'lost';
  /** When the next attempt is due (milliseconds of this machine's clock); null while one is running. */
  retryAt: number | null;
  /** Since when the phase holds. */
  since: number;
}

export const CONNECTING: ConnectionState = { phase: 'connecting', retryAt: null, since: 0 };

/** The event inside a stream's `data:` line, or null when it is not one. */
export function parseEvent(type: string, id: string | null, data: string): HubEvent | null {
  let value: unknown;
  try {
    value = JSON.parse(data);
  } catch {
    return null;
  }
  if (typeof value !== 'object' || value === null) return null;
  const body = value as Partial<HubEvent>;
  return {
    id: id ?? (typeof body.id === 'string' ? body.id : ''),
    at: typeof body.at === 'string' ? body.at : '',
    type,
    subject: body.subject ?? null,
    data: body.data ?? null,
  };
}
