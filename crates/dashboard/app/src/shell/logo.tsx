import { cx } from '@/kit/cx';

/** An anchor whose arms are the sheltering shore. */
export function Logo({ className }: { className?: string }) {
  return (
    <svg viewBox="0 0 32 32" fill="none" aria-hidden className={cx('shrink-0', className)}>
      <rect width="32" height="32" rx="8" className="fill-accent" />
      <g className="stroke-accent-fg" strokeWidth="2.2" strokeLinecap="round" strokeLinejoin="round">
        <circle cx="16" cy="8.4" r="2.3" />
        <path d="M16 10.8V24.5M12 14h8" />
        <path d="M6.8 18.4c.6 4.2 4.4 6.6 9.2 6.6s8.6-2.4 9.2-6.6" />
      </g>
    </svg>
  );
}
