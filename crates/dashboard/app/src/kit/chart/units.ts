import { bytes, bytesPerSecond, count, decimal, percent } from '../format';

/** How a chart's numbers are written and where its ticks fall. */
export interface Unit {
  format: (value: number | null | undefined) => string;
  /** Fixed top of the axis; otherwise it follows the data. */
  max?: number;
  /** Smallest top of the axis, so that noise near zero does not look like a storm. */
  atLeast: number;
  steps: number[];
}

const binarySteps = Array.from({ length: 50 }, (_, power) => 2 ** power);
const decimalSteps = Array.from({ length: 12 }, (_, power) => 10 ** (power - 2)).flatMap((size) => [
  size,
  2 * size,
  5 * size,
]);

export const units = {
  percent: { format: percent, max: 100, atLeast: 100, steps: [5, 10, 25, 50] },
  bytes: { format: bytes, atLeast: 1024, steps: binarySteps },
  bytesPerSecond: { format: bytesPerSecond, atLeast: 4096, steps: binarySteps },
  load: { format: decimal, atLeast: 1, steps: decimalSteps },
  perSecond: {
    format: (value) => (value === null || value === undefined ? '–' : `${decimal(value)}/s`),
    atLeast: 1,
    steps: decimalSteps,
  },
  number: {
    format: (value) => (value === null || value === undefined ? '–' : count(value)),
    atLeast: 10,
    steps: decimalSteps,
  },
} satisfies Record<string, Unit>;

/** A tick is a round number: `2.00 GiB` reads `2 GiB` there. */
export function tickText(unit: Unit, value: number): string {
  return unit.format(value).replace(/\.0+(?=\s|$)/, '');
}

const two = (n: number) => String(n).padStart(2, '0');
const dayFormat = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short' });

/** Tick labels in local time; a tick at midnight names the day. */
export function timeTicks(splits: readonly number[], stepSeconds: number): string[] {
  return splits.map((at) => {
    const date = new Date(at * 1_000);
    const isMidnight = date.getHours() === 0 && date.getMinutes() === 0 && date.getSeconds() === 0;
    if (isMidnight || stepSeconds >= 86_400) return dayFormat.format(date);
    const clock = `${two(date.getHours())}:${two(date.getMinutes())}`;
    return stepSeconds < 60 ? `${clock}:${two(date.getSeconds())}` : clock;
  });
}
