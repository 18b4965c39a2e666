import { Combobox as Base } from '@base-ui/react/combobox';
import { Check, X } from 'lucide-react';
import { type ReactNode, useRef } from 'react';
import { t } from '@/i18n';
import { cx } from './cx';
import { controlLook } from './input';

interface MultiComboboxProps<T> {
  value: readonly T[];
  items: readonly T[];
  onChange: (value: T[]) => void;
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

/** As `Combobox`, for several; what is chosen stands in the field and can be taken out one by one. */
export function MultiCombobox<T>(props: MultiComboboxProps<T>) {
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
  const anchor = useRef<HTMLDivElement>(null);
  return (
    <Base.Root
      multiple
      items={items}
      filter={null}
      value={value as T[]}
      onValueChange={(next: T[]) => onChange(next)}
      onInputValueChange={onQuery}
      itemToStringLabel={labelOf}
      isItemEqualToValue={(a: T, b: T) => keyOf(a) === keyOf(b)}
    >
      <Base.Chips
        ref={anchor}
        className={cx(
          controlLook,
          'flex min-h-8 flex-wrap items-center gap-1 px-1 py-[3px] focus-within:border-accent focus-within:outline-1 focus-within:outline-accent has-aria-invalid:border-bad pointer-coarse:min-h-10',
        )}
      >
        {value.map((item) => (
          <Base.Chip
            key={keyOf(item)}
            className="flex h-6 max-w-full items-center gap-0.5 rounded-sm bg-pressed pl-2 text-xs outline-none focus-visible:outline-2 focus-visible:outline-accent pointer-coarse:h-8"
          >
            <span className="truncate">{labelOf(item)}</span>
            <Base.ChipRemove
              aria-label={t('common.remove_one', { name: labelOf(item) })}
              className="flex size-6 items-center justify-center rounded-sm text-fg-3 hover:text-fg pointer-coarse:size-8"
            >
              <X aria-hidden className="size-3" />
            </Base.ChipRemove>
          </Base.Chip>
        ))}
        <Base.Input
          {...control}
          placeholder={value.length === 0 ? placeholder : undefined}
          spellCheck={false}
          className="h-6 min-w-24 flex-1 bg-transparent px-1.5 outline-none placeholder:text-fg-3 pointer-coarse:h-8"
        />
      </Base.Chips>
      <Base.Portal>
        <Base.Positioner sideOffset={4} anchor={anchor} className="z-50">
          <Base.Popup className="popup max-h-72 w-(--anchor-width) overflow-y-auto p-1">
            <Base.Empty>
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
                  <span className="flex size-4 items-center justify-center">
                    <Base.ItemIndicator>
                      <Check aria-hidden className="size-3.5 text-accent" />
                    </Base.ItemIndicator>
                  </span>
                  <span className="min-w-0 flex-1 truncate">{labelOf(item)}</span>
                  {hintOf?.(item)}
                </Base.Item>
              )}
            </Base.List>
          </Base.Popup>
        </Base.Positioner>
      </Base.Portal>
    </Base.Root>
  );
}
