export interface AuditSearch {
  action?: string;
  /** Entries of this person only. */
  actor?: string;
}

export function auditSearch(search: Record<string, unknown>): AuditSearch {
  return {
    ...(typeof search.action === 'string' && search.action !== '' ? { action: search.action } : {}),
    ...(typeof search.actor === 'string' && search.actor !== '' ? { actor: search.actor } : {}),
  };
}
