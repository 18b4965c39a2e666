import { cx } from '@/kit/cx';

/** Somebody's initials. */
export function Avatar({ name, className }: { name: string; className?: string }) {
  const initials = name
    .split(/\s+/)
    .slice(0, 2)
    .map((word) => word.charAt(0).toUpperCase())
    .join('');
  return (
    <span
      aria-hidden
      className={cx(
        'flex size-7 shrink-0 items-center justify-center rounded-full bg-accent-soft font-semibold text-2xs text-accent',
        className,
      )}
    >
      {initials || '?'}
    </span>
  );
}
