import { ArrowDown, ArrowUp, ChevronsUpDown } from 'lucide-react';
import type { ComponentProps, ReactNode } from 'react';
import { cx } from './cx';

/** Tables scroll sideways inside their own box, so that the page never does. */
export function Table({
  label,
  children,
  className,
}: {
  label: string;
  children: ReactNode;
  className?: string;
}) {
  return (
    <div className="overflow-x-auto">
      <table aria-label={label} className={cx('w-full border-collapse text-left text-sm', className)}>
        {children}
      </table>
    </div>
  );
}

export function Th({ children, className, ...rest }: ComponentProps<'th'>) {
  return (
    <th
      scope="col"
      {...rest}
      className={cx(
        'h-9 whitespace-nowrap border-b px-3 font-medium text-fg-3 text-xs first:pl-4 last:pr-4',
        className,
      )}
    >
      {children}
    </th>
  );
}

export function Td({ children, className, ...rest }: ComponentProps<'td'>) {
  return (
    <td
      {...rest}
      className={cx('h-11 border-b px-3 first:pl-4 last:pr-4 [tr:last-child>&]:border-b-0', className)}
    >
      {children}
    </td>
  );
}

export type SortDirection = 'ascending' | 'descending' | null;

/** The button inside a sortable header; the header itself carries `aria-sort`. */
export function SortButton({
  direction,
  onClick,
  children,
}: {
  direction: SortDirection;
  onClick: () => void;
  children: ReactNode;
}) {
  const Icon = direction === 'ascending' ? ArrowUp : direction === 'descending' ? ArrowDown : ChevronsUpDown;
  return (
    <button
      type="button"
      onClick={onClick}
      className={cx(
        '-mx-1 inline-flex items-center gap-1 rounded-sm px-1 hover:text-fg',
        direction && 'text-fg',
      )}
    >
      {children}
      <Icon aria-hidden className={cx('size-3', direction === null && 'opacity-50')} />
    </button>
  );
}
