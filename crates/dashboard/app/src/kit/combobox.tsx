import { Combobox as Base } from '@base-ui/react/combobox';
import { Check, ChevronsUpDown } from 'lucide-react';
import type { ReactNode } from 'react';
import { t } from '@/i18n';
import { cx } from './cx';
import { controlLook } from './input';

interface ComboboxProps<T> {
  value: T | null;
  items: readonly T[];
  onChange: (value: T | null) => void;
  onQuery: (query: string) => void;
  labelOf: (item: T) => string;
  keyOf: (item: T) => string;
  hintOf?: (item: T) => ReactNode;
  placeholder: string;
  nothing: string;
  /** The choices for what was typed are not known yet. */
  isSearching?: boolean;
  id?: string;
  'aria-invalid'?: boolean;
  'aria-describedby'?: string;
}

/** A field that searches while one types; the searching itself is the caller's. */
export function Combobox<T>(props: ComboboxProps<T>) {
  const {
    value,
    items,
    onChange,
    onQuery,
    labelOf,
    keyOf,
    hintOf,
    placeholder,
    nothing,
    isSearching,
    ...control
  } = props;
  return (
    <Base.Root
      items={items}
      filter={null}
      value={value}
      onValueChange={(next: T | null) => onChange(next)}
      onInputValueChange={(text) => onQuery(value !== null && text === labelOf(value) ? '' : text)}
      itemToStringLabel={labelOf}
      isItemEqualToValue={(a: T, b: T) => keyOf(a) === keyOf(b)}
    >
      <div className="relative">
        <Base.Input
          {...control}
          placeholder={placeholder}
          spellCheck={false}
          className={cx(controlLook, 'h-8 pr-8 pointer-coarse:h-10')}
        />
        <Base.Trigger
          aria-label={t('common.show_choices')}
          className="absolute inset-y-0 right-0 flex w-8 items-center justify-center text-fg-3"
        >
          <ChevronsUpDown aria-hidden className="size-3.5" />
        </Base.Trigger>
      </div>
      <Base.Portal>
        <Base.Positioner sideOffset={4} className="z-50">
          <Base.Popup className="popup max-h-72 w-(--anchor-width) overflow-y-auto p-1">
            <Base.Empty>
              {/* Base UI keeps this element for screen readers even when there are items. */}
              <div className="px-2 py-3 text-center text-fg-3 text-sm">
                {isSearching ? t('common.searching') : nothing}
              </div>
            </Base.Empty>
            <Base.List>
              {(item: T) => (
                <Base.Item
                  key={keyOf(item)}
                  value={item}
                  className="flex h-8 items-center gap-2 rounded-sm px-2 text-sm outline-none data-highlighted:bg-hover pointer-coarse:h-10"
                >
                  <span className="min-w-0 flex-1 truncate">{labelOf(item)}</span>
                  {hintOf?.(item)}
                  <Base.ItemIndicator>
                    <Check aria-hidden className="size-3.5 text-accent" />
                  </Base.ItemIndicator>
                </Base.Item>
              )}
            </Base.List>
          </Base.Popup>
        </Base.Positioner>
      </Base.Portal>
    </Base.Root>
  );
}
