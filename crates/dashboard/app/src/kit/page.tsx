import { type ReactNode, useEffect } from 'react';
import { cx } from './cx';

interface PageProps {
  title: string;
  /** What stands in the browser's tab; the title by default. */
  documentTitle?: string;
  description?: ReactNode;
  actions?: ReactNode;
  /** Tabs, over the line that ends the heading. */
  below?: ReactNode;
  width?: 'full' | 'reading';
  children: ReactNode;
}

export function useDocumentTitle(title: string): void {
  useEffect(() => {
    document.title = `${title} · Roadstead`;
  }, [title]);
}

export function Page({
  title,
  documentTitle,
  description,
  actions,
  below,
  width = 'full',
  children,
}: PageProps) {
  useDocumentTitle(documentTitle ?? title);
  return (
    <div className="mx-auto w-full max-w-[1440px] px-4 pt-5 pb-nav sm:px-6 md:pt-7 lg:px-8">
      <header
        className={cx('flex flex-wrap items-start justify-between gap-x-4 gap-y-3', below ? 'mb-2' : 'mb-5')}
      >
        <div className="min-w-0">
          <h1 className="font-semibold text-xl tracking-[-0.01em]">{title}</h1>
          {description && <p className="mt-0.5 text-fg-2 text-sm">{description}</p>}
        </div>
        {actions && <div className="flex flex-wrap items-center gap-2">{actions}</div>}
      </header>
      {below && <div className="mb-6 border-b">{below}</div>}
      <div className={cx(width === 'reading' && 'max-w-2xl')}>{children}</div>
    </div>
  );
}

interface SectionProps {
  title: string;
  actions?: ReactNode;
  description?: ReactNode;
  children: ReactNode;
  className?: string;
}

export function Section({ title, actions, description, children, className }: SectionProps) {
  return (
    <section className={className}>
      <header className="mb-2 flex min-h-8 items-center justify-between gap-4">
        <div>
          <h2 className="font-semibold text-base">{title}</h2>
          {description && <p className="text-fg-2 text-sm">{description}</p>}
        </div>
        {actions}
      </header>
      {children}
    </section>
  );
}

/** One hairline around what belongs together. */
export function Panel({ children, className }: { children: ReactNode; className?: string }) {
  return <div className={cx('overflow-hidden rounded-lg border bg-surface', className)}>{children}</div>;
}

/** Names and values in two columns with hairlines between. */
export function Facts({ rows }: { rows: readonly (readonly [string, ReactNode])[] }) {
  return (
    <dl className="divide-y text-sm">
      {rows.map(([name, value]) => (
        <div key={name} className="flex gap-4 px-4 py-2">
          <dt className="w-32 shrink-0 text-fg-3">{name}</dt>
          <dd className="min-w-0 flex-1 break-words">{value}</dd>
        </div>
      ))}
    </dl>
  );
}
