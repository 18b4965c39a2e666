import type { ReactNode } from 'react';
import { useDocumentTitle } from '@/kit/page';
import { Logo } from './logo';

/** The frame of pages that are shown before signing in. */
export function OuterPage({
  title,
  description,
  children,
  footer,
}: {
  title: string;
  description?: ReactNode;
  children: ReactNode;
  footer?: ReactNode;
}) {
  useDocumentTitle(title);
  return (
    <main className="flex min-h-dvh flex-col items-center px-4 py-12 sm:pt-[14dvh]">
      <div className="w-full max-w-sm">
        <Logo className="mb-6 size-10" />
        <h1 className="font-semibold text-2xl tracking-[-0.015em]">{title}</h1>
        {description && <p className="mt-1 text-fg-2 text-sm">{description}</p>}
        <div className="mt-6">{children}</div>
        {footer && <div className="mt-6 text-fg-3 text-xs">{footer}</div>}
      </div>
    </main>
  );
}
