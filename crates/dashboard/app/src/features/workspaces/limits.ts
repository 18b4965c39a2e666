export type Standing = 'free' | 'full' | 'over';

/** How what there is stands to its limit. */
export function standing(used: number, limit: number | null): Standing {
  if (limit === null || used < limit) return 'free';
  return used === limit ? 'full' : 'over';
}

/** How full it is in percent; null without a limit. A limit of nothing is full. */
export function shareOf(used: number, limit: number | null): number | null {
  if (limit === null) return null;
  return limit === 0 ? 100 : Math.min(100, (used / limit) * 100);
}

/** What a limit's field says: nothing is none, `undefined` what cannot be a limit. */
export function parseLimit(text: string): number | null | undefined {
  const trimmed = text.trim();
  if (trimmed === '') return null;
  if (!/^\d{1,10}$/.test(trimmed)) return undefined;
  const value = Number(trimmed);
  return value <= 4_294_967_295 ? value : undefined;
}

export function featureWords(text: string): string[] {
  return [...new Set(text.split(/[\s,]+/).filter(Boolean))];
}

/** The first that the hub would not take. */
export function wrongFeature(text: string): string | undefined {
  return featureWords(text).find((word) => !/^[a-z0-9_]{1,40}$/.test(word));
}
