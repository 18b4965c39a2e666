import { Select as Base } from '@base-ui/react/select';
import { Check, ChevronsUpDown } from 'lucide-react';
import type { ReactNode } from 'react';
import { cx } from './cx';
import { controlLook } from './input';

export interface Option<V extends string> {
  value: V;
  label: string;
  hint?: ReactNode;
}

interface SelectProps<V extends string> {
  label: string;
  value: V;
  options: readonly Option<V>[];
  onChange: (value: V) => void;
  className?: string;
  id?: string;
  'aria-invalid'?: boolean;
  'aria-describedby'?: string;
}

export function Select<V extends string>({
  label,
  value,
  options,
  onChange,
  className,
  ...control
}: SelectProps<V>) {
  return (
    <Base.Root
      items={options.map((option) => ({ value: option.value, label: option.label }))}
      value={value}
      onValueChange={(next) => next !== null && onChange(next)}
    >
      <Base.Trigger
        {...control}
        aria-label={label}
        className={cx(
          controlLook,
          'flex h-8 items-center justify-between gap-2 text-left pointer-coarse:h-10',
          className,
        )}
      >
        <span className="truncate">
          <Base.Value />
        </span>
        <ChevronsUpDown aria-hidden className="size-3.5 shrink-0 text-fg-3" />
      </Base.Trigger>
      <Base.Portal>
        <Base.Positioner sideOffset={4} alignItemWithTrigger={false} className="z-50">
          <Base.Popup className="popup max-h-80 min-w-(--anchor-width) overflow-y-auto p-1">
            {options.map((option) => (
              <Base.Item
                key={option.value}
                value={option.value}
                className="flex h-8 items-center gap-2 rounded-sm pr-3 pl-2 text-sm outline-none data-highlighted:bg-hover pointer-coarse:h-10"
              >
                <span className="flex size-4 items-center justify-center">
                  <Base.ItemIndicator>
                    <Check aria-hidden className="size-3.5 text-accent" />
                  </Base.ItemIndicator>
                </span>
                <Base.ItemText>{option.label}</Base.ItemText>
                {option.hint && <span className="ml-auto text-fg-3 text-xs">{option.hint}</span>}
              </Base.Item>
            ))}
          </Base.Popup>
        </Base.Positioner>
      </Base.Portal>
    </Base.Root>
  );
}
