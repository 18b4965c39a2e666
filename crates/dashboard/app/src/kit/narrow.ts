import { useSyncExternalStore } from 'react';

const narrow = window.matchMedia('(width < 768px)');

/** Whether the window is as wide as a phone: tables become lists there. */
export function useIsNarrow(): boolean {
  return useSyncExternalStore(subscribe, () => narrow.matches);
}

function subscribe(listener: () => void): () => void {
  narrow.addEventListener('change', listener);
  return () => narrow.removeEventListener('change', listener);
}
