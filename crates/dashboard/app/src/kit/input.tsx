import { Search, X } from 'lucide-react';
import { type ComponentProps, type Ref, useRef } from 'react';
import { t } from '@/i18n';
import { cx } from './cx';

/** 16 px on touch screens: below that, phones zoom the page when a field is focused. */
export const controlLook = cx(
  'w-full rounded-md border border-line-strong bg-surface px-2.5 text-fg text-sm transition-colors pointer-coarse:text-lg',
  'placeholder:text-fg-3 hover:border-fg-3 focus-visible:border-accent focus-visible:outline-1 focus-visible:outline-offset-0',
  'disabled:bg-hover disabled:text-fg-3 aria-invalid:border-bad aria-invalid:outline-bad',
);

export function Input({ className, ...props }: ComponentProps<'input'>) {
  return <input {...props} className={cx(controlLook, 'h-8 pointer-coarse:h-10', className)} />;
}

export function Textarea({ className, ...props }: ComponentProps<'textarea'>) {
  return <textarea {...props} className={cx(controlLook, 'min-h-20 resize-y py-1.5', className)} />;
}

interface SearchInputProps {
  label: string;
  value: string;
  onChange: (value: string) => void;
  onKeyDown?: ComponentProps<'input'>['onKeyDown'];
  placeholder?: string;
  className?: string;
  ref?: Ref<HTMLInputElement>;
  /** Marks the page's own search: `/` focuses it. */
  isPageSearch?: boolean;
}

export function SearchInput({
  label,
  value,
  onChange,
  onKeyDown,
  placeholder,
  className,
  isPageSearch,
  ...rest
}: SearchInputProps) {
  const own = useRef<HTMLInputElement>(null);
  const ref = rest.ref ?? own;
  return (
    <div className={cx('relative', className)}>
      <Search
        aria-hidden
        className="pointer-events-none absolute top-1/2 left-2.5 size-3.5 -translate-y-1/2 text-fg-3"
      />
      <Input
        ref={ref}
        type="search"
        aria-label={label}
        placeholder={placeholder ?? label}
        value={value}
        data-page-search={isPageSearch || undefined}
        autoComplete="off"
        spellCheck={false}
        onChange={(event) => onChange(event.target.value)}
        onKeyDown={(event) => {
          if (event.key === 'Escape' && value !== '') {
            event.stopPropagation();
            onChange('');
          }
          onKeyDown?.(event);
        }}
        className="pr-7 pl-8 [&::-webkit-search-cancel-button]:hidden"
      />
      {value !== '' && (
        <button
          type="button"
          aria-label={t('common.clear')}
          onClick={() => onChange('')}
          className="absolute top-1/2 right-1 flex size-6 -translate-y-1/2 items-center justify-center rounded-sm text-fg-3 hover:text-fg"
        >
          <X aria-hidden className="size-3.5" />
        </button>
      )}
    </div>
  );
}
