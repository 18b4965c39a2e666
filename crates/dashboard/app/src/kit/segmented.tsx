import { cx } from './cx';

interface SegmentedProps<V extends string> {
  label: string;
  value: V | null;
  options: readonly { value: V; label: string }[];
  onChange: (value: V) => void;
  className?: string;
}

/** A short choice where every option stays visible; where the screen is too narrow for that, it scrolls sideways. */
export function Segmented<V extends string>({
  label,
  value,
  options,
  onChange,
  className,
}: SegmentedProps<V>) {
  return (
    <fieldset
      aria-label={label}
      className={cx(
        'inline-flex min-w-0 max-w-full overflow-x-auto rounded-md border border-line-strong bg-surface p-0.5 [scrollbar-width:none]',
        className,
      )}
    >
      {options.map((option) => (
        <button
          key={option.value}
          type="button"
          aria-pressed={option.value === value}
          onClick={() => onChange(option.value)}
          className="h-6 min-w-9 shrink-0 whitespace-nowrap rounded-sm px-2 -outline-offset-2 font-medium text-fg-2 text-xs transition-colors hover:text-fg aria-pressed:bg-pressed aria-pressed:text-fg pointer-coarse:h-8"
        >
          {option.label}
        </button>
      ))}
    </fieldset>
  );
}
