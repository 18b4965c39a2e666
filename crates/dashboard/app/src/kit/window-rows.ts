import { useWindowVirtualizer } from '@tanstack/react-virtual';
import { type KeyboardEvent, type RefObject, useEffect, useLayoutEffect, useRef, useState } from 'react';

interface WindowRowsOptions {
  /** Rows that are here. */
  loaded: number;
  /** Rows there will be when everything is loaded. */
  total: number;
  /** Height of each, px. */
  height: number;
  /** More rows are about to be needed. */
  onEnd: () => void;
}

/** Rows that scroll with the page, of which only those on screen exist. */
export function useWindowRows({ loaded, total, height, onEnd }: WindowRowsOptions) {
  'use no memo';
  const host = useRef<HTMLDivElement>(null);
  const [offset, setOffset] = useState(0);
  useLayoutEffect(() => {
    const top = host.current ? host.current.getBoundingClientRect().top + window.scrollY : 0;
    setOffset(Math.round(top));
  }, []);
  const virtual = useWindowVirtualizer({
    count: total,
    estimateSize: () => height,
    overscan: 12,
    scrollMargin: offset,
    useFlushSync: false,
  });
  const items = virtual.getVirtualItems();
  const last = items.at(-1)?.index ?? 0;
  const isShort = loaded < total && last >= loaded - 40;
  useEffect(() => {
    if (isShort) onEnd();
  });
  const before = (items[0]?.start ?? offset) - offset;
  const after = virtual.getTotalSize() - ((items.at(-1)?.end ?? offset) - offset);
  return { host, virtual, items, offset, before, after };
}

interface WindowRowKeys {
  host: RefObject<HTMLElement | null>;
  loaded: number;
  scrollTo: (index: number) => void;
  open: (index: number) => void;
}

/** As `useRowKeys`, for rows that may not exist yet when a key asks for them. */
export function useWindowRowKeys({ host, loaded, scrollTo, open }: WindowRowKeys) {
  const [marked, setMarked] = useState(0);
  const wantsFocus = useRef(false);
  useEffect(() => {
    if (!wantsFocus.current) return;
    const row = host.current?.querySelector<HTMLElement>(`[data-row="${marked}"]`);
    if (row) {
      wantsFocus.current = false;
      row.focus({ preventScroll: true });
    }
  });
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.target instanceof HTMLElement && event.target.closest('button, a') && event.key === 'Enter')
      return;
    const moves: Record<string, number> = {
      ArrowDown: marked + 1,
      j: marked + 1,
      ArrowUp: marked - 1,
      k: marked - 1,
      PageDown: marked + 15,
      PageUp: marked - 15,
      Home: 0,
      End: loaded - 1,
    };
    const to = moves[event.key];
    if (to !== undefined && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      const next = Math.max(0, Math.min(loaded - 1, to));
      wantsFocus.current = true;
      setMarked(next);
      scrollTo(next);
    } else if (event.key === 'Enter' && marked < loaded) {
      open(marked);
    }
  };
  return { marked, setMarked, onKeyDown };
}
