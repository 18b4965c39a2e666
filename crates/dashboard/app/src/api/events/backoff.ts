const FIRST_MS = 1_000;
const LONGEST_MS = 15_000;

/** Wait before attempt `failures + 1`: doubling, capped, with a fifth of jitter so that tabs do not come back in step. */
export function backoffMs(failures: number, random: () => number = Math.random): number {
  const full = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(failures, 10));
  return Math.round(full * (0.8 + 0.2 * random()));
}
