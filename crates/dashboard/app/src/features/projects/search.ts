export interface ProjectsSearch {
  /** What is open over the page at first. */
  open?: 'create';
}

export function projectsSearch(search: Record<string, unknown>): ProjectsSearch {
  return search.open === 'create' ? { open: 'create' } : {};
}
