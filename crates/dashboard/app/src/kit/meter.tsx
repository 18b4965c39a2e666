import { cx } from './cx';

interface MeterProps {
  label: string;
  /** 0 to 100; null when unknown. */
  value: number | null;
  className?: string;
}

/** How full something is. It turns amber at 80 % and red at 92 %; the number always stands beside it. */
export function Meter({ label, value, className }: MeterProps) {
  const tone = value === null || value < 80 ? 'bg-accent' : value < 92 ? 'bg-warn' : 'bg-bad';
  return (
    // biome-ignore lint/a11y/useSemanticElements: a native meter cannot be drawn thin and in our colours everywhere
    <div
      role="meter"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={value === null ? 0 : Math.round(value)}
      className={cx('h-1 overflow-hidden rounded-full bg-pressed', className)}
    >
      <div
        className={cx('h-full rounded-full', tone)}
        style={{ width: `${Math.max(0, Math.min(100, value ?? 0))}%` }}
      />
    </div>
  );
}
