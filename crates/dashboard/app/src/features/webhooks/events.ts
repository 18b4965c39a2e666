import { ACTION_AREAS, type ActionArea } from '@/features/audit/actions';

/** Every event. */
export const EVERYTHING = '*';

/** Whether something that happened is meant by a pattern: `*`, `area.*` or the event itself. */
export function matches(pattern: string, event: string): boolean {
  if (pattern === EVERYTHING || pattern === event) return true;
  return pattern.endsWith('.*') && event.startsWith(pattern.slice(0, -1));
}

/** The hub's limits. */
const LONGEST = 64;
export const MOST_PATTERNS = 50;

export function isPattern(text: string): boolean {
  return text.length <= LONGEST && /^(\*|[a-z_]+\.(\*|[a-z_]+))$/.test(text);
}

/** `auth.*, job.end` however it is separated. */
export function patternsIn(text: string): string[] {
  return [...new Set(text.split(/[\s,]+/).filter(Boolean))];
}

export function wrongPattern(patterns: readonly string[]): string | undefined {
  return patterns.find((pattern) => !isPattern(pattern));
}

const KNOWN = new Set(
  ACTION_AREAS.flatMap(({ area, actions }) => [`${area}.*`, ...actions.map(({ action }) => action)]),
);

/** Those that the picker shows, and those that must be typed. */
export function splitKnown(patterns: readonly string[]): { known: string[]; others: string[] } {
  return {
    known: patterns.filter((pattern) => KNOWN.has(pattern)),
    others: patterns.filter((pattern) => !KNOWN.has(pattern) && pattern !== EVERYTHING),
  };
}

/** Areas with the events in them that every word fits. */
export function findAreas(query: string): ActionArea[] {
  const words = query.trim().toLowerCase().split(/\s+/).filter(Boolean);
  return ACTION_AREAS.map((area) => ({
    ...area,
    actions: area.actions.filter(({ action, meaning }) => {
      const text = `${area.title} ${action} ${meaning}`.toLowerCase();
      return words.every((word) => text.includes(word));
    }),
  })).filter(({ actions }) => actions.length > 0);
}

/** All about an area takes the place of its single events, and the reverse. */
export function choose(patterns: readonly string[], pattern: string, chosen: boolean): string[] {
  const rest = patterns.filter((one) => one !== pattern);
  if (!chosen) return rest;
  const area = pattern.slice(0, pattern.indexOf('.'));
  const stays = pattern.endsWith('.*') ? rest.filter((one) => !one.startsWith(`${area}.`)) : rest;
  return [...stays, pattern];
}
