import { action_areas, actions } from '@/i18n/lazy/actions';

export interface ActionName {
  /** `area.verb` */
  action: string;
  meaning: string;
}

export interface ActionArea {
  area: string;
  title: string;
  actions: readonly ActionName[];
}

/** Everything that this dashboard has words for, by area; a newer hub may record more. */
export const ACTION_AREAS: readonly ActionArea[] = Object.entries(actions)
  .map(([area, verbs]) => ({
    area,
    title: action_areas[area as keyof typeof actions],
    actions: Object.entries(verbs).map(([verb, meaning]) => ({ action: `${area}.${verb}`, meaning })),
  }))
  .sort((a, b) => a.title.localeCompare(b.title, 'en'));

const MEANINGS = new Map(
  ACTION_AREAS.flatMap((area) => area.actions.map(({ action, meaning }) => [action, meaning] as const)),
);

/** `server.revoke` → `Server revoked`; null for what this dashboard does not know. */
export function meaningOf(action: string): string | null {
  return MEANINGS.get(action) ?? null;
}

/** Those whose name or meaning holds every word. */
export function findActions(query: string): ActionName[] {
  const words = query.trim().toLowerCase().split(/\s+/).filter(Boolean);
  return ACTION_AREAS.flatMap(({ title, actions: all }) =>
    all.filter(({ action, meaning }) => {
      const text = `${action} ${meaning} ${title}`.toLowerCase();
      return words.every((word) => text.includes(word));
    }),
  );
}
