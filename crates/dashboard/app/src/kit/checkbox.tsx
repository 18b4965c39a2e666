import { type ReactNode, useId } from 'react';
import { cx } from './cx';

interface CheckboxProps {
  label: ReactNode;
  /** What the choice means, below it. */
  hint?: ReactNode;
  checked: boolean;
  onChange: (checked: boolean) => void;
  disabled?: boolean;
  invalid?: boolean;
  className?: string;
}

/** The whole line can be pressed, not the box alone. */
export function Checkbox({ label, hint, checked, onChange, disabled, invalid, className }: CheckboxProps) {
  const id = useId();
  return (
    <div className={cx('flex items-start gap-2.5 text-sm', className)}>
      <input
        id={id}
        type="checkbox"
        checked={checked}
        disabled={disabled}
        aria-invalid={invalid || undefined}
        aria-describedby={hint ? `${id}-hint` : undefined}
        onChange={(event) => onChange(event.target.checked)}
        className="mt-0.5 size-4 shrink-0 accent-(--accent) aria-invalid:outline-2 aria-invalid:outline-bad pointer-coarse:size-5 pointer-coarse:mt-0"
      />
      <div className="min-w-0">
        <label htmlFor={id} className={disabled ? 'text-fg-3' : 'text-fg'}>
          {label}
        </label>
        {hint && (
          <p id={`${id}-hint`} className="text-fg-3 text-xs">
            {hint}
          </p>
        )}
      </div>
    </div>
  );
}
