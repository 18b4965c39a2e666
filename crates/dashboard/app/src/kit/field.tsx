import { CircleAlert } from 'lucide-react';
import { cloneElement, type ReactElement, type ReactNode, useId } from 'react';
import { cx } from './cx';

interface FieldProps {
  label: string;
  hint?: ReactNode;
  error?: string | null;
  optional?: string;
  className?: string;
  children: ReactElement<{ id?: string; 'aria-invalid'?: boolean; 'aria-describedby'?: string }>;
}

/** Label, control, hint and error, tied together for screen readers. */
export function Field({ label, hint, error, optional, className, children }: FieldProps) {
  const id = useId();
  const described = [hint ? `${id}-hint` : null, error ? `${id}-error` : null].filter(Boolean).join(' ');
  return (
    <div className={cx('flex flex-col gap-1', className)}>
      <label htmlFor={id} className="flex items-baseline justify-between font-medium text-fg text-sm">
        {label}
        {optional && <span className="font-normal text-fg-3 text-xs">{optional}</span>}
      </label>
      {cloneElement(children, {
        id,
        'aria-invalid': error ? true : undefined,
        'aria-describedby': described || undefined,
      })}
      {error && (
        <p id={`${id}-error`} className="flex items-start gap-1 text-bad text-xs">
          <CircleAlert aria-hidden className="mt-0.5 size-3 shrink-0" />
          {error}
        </p>
      )}
      {hint && (
        <p id={`${id}-hint`} className="text-fg-3 text-xs">
          {hint}
        </p>
      )}
    </div>
  );
}

interface FieldGroupProps {
  label: string;
  error?: string | null;
  children: ReactNode;
}

/** The same for controls that are several: each has its own name, together they have this one. */
export function FieldGroup({ label, error, children }: FieldGroupProps) {
  return (
    <fieldset className="flex min-w-0 flex-col gap-1">
      <legend className="mb-1 font-medium text-fg text-sm">{label}</legend>
      {children}
      {error && (
        <p className="flex items-start gap-1 text-bad text-xs">
          <CircleAlert aria-hidden className="mt-0.5 size-3 shrink-0" />
          {error}
        </p>
      )}
    </fieldset>
  );
}
