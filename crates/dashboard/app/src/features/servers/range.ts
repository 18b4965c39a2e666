/** What the charts show, as it stands in the URL: a named range that ends now, or a fixed stretch. */
export const RANGES = {
  live: 300,
  '1h': 3_600,
  '6h': 21_600,
  '24h': 86_400,
  '7d': 604_800,
  '30d': 2_592_000,
} as const;
export type RangeName = keyof typeof RANGES;

export interface RangeSearch {
  range?: RangeName;
  /** Unix seconds. */
  from?: number;
  to?: number;
}

export type TimeRange = { kind: 'named'; name: RangeName } | { kind: 'fixed'; from: number; to: number };

const SHORTEST_S = 30;

export function rangeSearch(search: Record<string, unknown>): RangeSearch {
  const from = Number(search.from);
  const to = Number(search.to);
  if (Number.isInteger(from) && Number.isInteger(to) && from > 0 && to - from >= SHORTEST_S)
    return { from, to };
  const name = String(search.range ?? '');
  return isRangeName(name) && name !== '1h' ? { range: name } : {};
}

export function rangeOf(search: RangeSearch): TimeRange {
  if (search.from !== undefined && search.to !== undefined)
    return { kind: 'fixed', from: search.from, to: search.to };
  return { kind: 'named', name: search.range ?? '1h' };
}

/** A dragged stretch, widened when it is too short to show anything. */
export function zoomed(from: number, to: number): RangeSearch {
  const missing = Math.max(0, SHORTEST_S - (to - from));
  return { from: from - Math.ceil(missing / 2), to: to + Math.ceil(missing / 2) };
}

/** How often a range that ends now is asked for again. */
export function refreshMs(range: TimeRange): number | false {
  if (range.kind === 'fixed') return false;
  return { live: 15_000, '1h': 15_000, '6h': 60_000, '24h': 120_000, '7d': 600_000, '30d': 1_800_000 }[
    range.name
  ];
}

function isRangeName(name: string): name is RangeName {
  return Object.hasOwn(RANGES, name);
}
