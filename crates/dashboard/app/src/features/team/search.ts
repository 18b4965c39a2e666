export interface TeamSearch {
  /** What is open over the page at first. */
  open?: 'invite';
}

export function teamSearch(search: Record<string, unknown>): TeamSearch {
  return search.open === 'invite' ? { open: 'invite' } : {};
}
