import { ChevronRight } from 'lucide-react';
import { type ReactNode, useId, useState } from 'react';
import { cx } from './cx';

interface DisclosureProps {
  label: string;
  /** A word about what is inside, beside the label while it is closed. */
  summary?: ReactNode;
  /** Whether it is open at first. */
  open?: boolean;
  /** Stays open whatever is pressed, for a field inside that must be seen. */
  keepOpen?: boolean;
  className?: string;
  children: ReactNode;
}

/** What few people need, one press away. */
export function Disclosure({
  label,
  summary,
  open = false,
  keepOpen = false,
  className,
  children,
}: DisclosureProps) {
  const [chosen, setChosen] = useState(open);
  const id = useId();
  const isOpen = chosen || keepOpen;
  return (
    <div className={className}>
      <button
        type="button"
        aria-expanded={isOpen}
        aria-controls={isOpen ? id : undefined}
        onClick={() => setChosen(!isOpen)}
        className="flex min-h-6 items-center gap-1 rounded-sm text-left text-fg-2 text-sm hover:text-fg pointer-coarse:min-h-10"
      >
        <ChevronRight
          aria-hidden
          className={cx('size-3.5 shrink-0 transition-transform', isOpen && 'rotate-90')}
        />
        {label}
        {!isOpen && summary && <span className="ml-1 text-fg-3">{summary}</span>}
      </button>
      {isOpen && (
        <div id={id} className="mt-4">
          {children}
        </div>
      )}
    </div>
  );
}
