import { memo } from 'react';
import { cx } from './cx';

interface SparklineProps {
  points: readonly (number | null)[];
  /** The value at the top edge; 100 for percentages. */
  max: number;
  className?: string;
}

const WIDTH = 72;
const HEIGHT = 20;

/** A small line without axes. Missing points leave a gap. The number beside it carries the value, so it is hidden from screen readers. */
export const Sparkline = memo(function Sparkline({ points, max, className }: SparklineProps) {
  const { line, area } = paths(points, max);
  return (
    <svg
      aria-hidden
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      preserveAspectRatio="none"
      className={cx('block overflow-visible text-(--chart-1)', className)}
    >
      <path d={area} fill="currentColor" opacity={0.12} />
      <path
        d={line}
        fill="none"
        stroke="currentColor"
        strokeWidth={1.25}
        strokeLinejoin="round"
        strokeLinecap="round"
        vectorEffect="non-scaling-stroke"
      />
    </svg>
  );
});

function paths(points: readonly (number | null)[], max: number): { line: string; area: string } {
  const step = WIDTH / Math.max(1, points.length - 1);
  let line = '';
  let area = '';
  let start: string | null = null;
  let last = '';
  const close = () => {
    if (start !== null) area += `L${last} ${HEIGHT}L${start} ${HEIGHT}Z`;
    start = null;
  };
  points.forEach((point, index) => {
    if (point === null) {
      close();
      return;
    }
    const x = (index * step).toFixed(1);
    const y = (HEIGHT - 1 - (Math.max(0, Math.min(max, point)) / max) * (HEIGHT - 2)).toFixed(1);
    const command = start === null ? 'M' : 'L';
    line += `${command}${x} ${y}`;
    area += `${command}${x} ${y}`;
    // A lone point would be invisible as a line.
    if (start === null) line += 'h0.01';
    start ??= x;
    last = x;
  });
  close();
  return { line, area };
}
