import { Link, type LinkProps } from '@tanstack/react-router';
import type { ReactNode } from 'react';

export interface TabLink {
  link: LinkProps;
  label: ReactNode;
  active: boolean;
}

/** Every tab is a page with an address, so this is navigation, not the tab pattern of ARIA. */
export function TabLinks({ label, tabs }: { label: string; tabs: readonly TabLink[] }) {
  return (
    <nav aria-label={label} className="-mb-px flex gap-5 overflow-x-auto [scrollbar-width:none]">
      {tabs.map(({ link, label: text, active }) => (
        <Link
          key={String(link.to) + String(text)}
          {...link}
          activeOptions={{ exact: true, includeSearch: false }}
          aria-current={active ? 'page' : undefined}
          className="flex h-10 shrink-0 items-center border-transparent border-b-2 font-medium text-fg-2 text-sm transition-colors hover:text-fg aria-[current]:border-accent aria-[current]:text-fg -outline-offset-2"
        >
          {text}
        </Link>
      ))}
    </nav>
  );
}
