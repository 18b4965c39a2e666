import { type KeyboardEvent, useState } from 'react';

/** Arrow keys through the rows of a table of which one can be reached by Tab; Enter opens it. */
export function useRowKeys(count: number, open: (index: number) => void) {
  const [marked, setMarked] = useState(0);
  const at = Math.min(marked, Math.max(0, count - 1));
  const onKeyDown = (event: KeyboardEvent<HTMLElement>) => {
    const isOnControl = event.target instanceof Element && event.target.closest('a, button, input') !== null;
    if (event.key === 'Enter' && !isOnControl) {
      open(at);
      return;
    }
    const moves: Record<string, number> = {
      ArrowDown: at + 1,
      j: at + 1,
      ArrowUp: at - 1,
      k: at - 1,
      Home: 0,
      End: count - 1,
    };
    const to = moves[event.key];
    if (to === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    const next = Math.max(0, Math.min(count - 1, to));
    setMarked(next);
    event.currentTarget.querySelector<HTMLElement>(`[data-row="${next}"]`)?.focus();
  };
  const rowProps = (index: number) => ({
    'data-row': index,
    tabIndex: index === at ? 0 : -1,
    onFocus: () => setMarked(index),
  });
  return { onKeyDown, rowProps };
}
