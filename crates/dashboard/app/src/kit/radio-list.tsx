import { type ReactNode, useId } from 'react';
import { cx } from './cx';

export interface RadioOption<V extends string> {
  value: V;
  label: ReactNode;
  /** What the choice means, below it. */
  hint?: ReactNode;
  disabled?: boolean;
}

interface RadioListProps<V extends string> {
  label: string;
  value: V | null;
  options: readonly RadioOption<V>[];
  onChange: (value: V) => void;
  invalid?: boolean;
  className?: string;
}

/** A choice whose options need a sentence each; arrow keys go through them. */
export function RadioList<V extends string>({
  label,
  value,
  options,
  onChange,
  invalid,
  className,
}: RadioListProps<V>) {
  const id = useId();
  return (
    <div
      role="radiogroup"
      aria-label={label}
      aria-invalid={invalid || undefined}
      className={cx(
        'divide-y overflow-hidden rounded-md border border-line-strong aria-invalid:border-bad',
        className,
      )}
    >
      {options.map((option) => (
        <div
          key={option.value}
          className={cx(
            'relative flex items-start gap-2.5 bg-surface px-3 py-2 text-sm has-focus-visible:bg-hover',
            option.value === value && 'bg-accent-soft',
            !option.disabled && option.value !== value && 'hover:bg-hover',
          )}
        >
          <input
            type="radio"
            id={`${id}-${option.value}`}
            name={id}
            checked={option.value === value}
            disabled={option.disabled}
            aria-describedby={option.hint ? `${id}-${option.value}-hint` : undefined}
            onChange={() => onChange(option.value)}
            className="relative z-10 mt-0.5 size-4 shrink-0 accent-(--accent) pointer-coarse:size-5"
          />
          <div className="min-w-0">
            <label
              htmlFor={`${id}-${option.value}`}
              className={cx('font-medium after:absolute after:inset-0', option.disabled && 'text-fg-3')}
            >
              {option.label}
            </label>
            {option.hint && (
              <p id={`${id}-${option.value}-hint`} className="text-fg-2 text-xs">
                {option.hint}
              </p>
            )}
          </div>
        </div>
      ))}
    </div>
  );
}
