import { useSyncExternalStore } from 'react';

const PREFIX = 'roadstead.';
const listeners = new Set<() => void>();

/** A small choice of this person in this browser; where storage is blocked it lasts as long as the page. */
export function usePreference(name: string, fallback: boolean): [boolean, (value: boolean) => void];
export function usePreference(name: string, fallback: string): [string, (value: string) => void];
export function usePreference<T extends string | boolean>(
  name: string,
  fallback: T,
): [T, (value: T) => void] {
  const raw = useSyncExternalStore(subscribe, () => readPreference(name));
  return [decode(raw, fallback), (value) => writePreference(name, String(value))];
}

const memory = new Map<string, string>();

export function readPreference(name: string): string | null {
  try {
    return localStorage.getItem(PREFIX + name);
  } catch {
    return memory.get(name) ?? null;
  }
}

export function writePreference(name: string, value: string): void {
  try {
    localStorage.setItem(PREFIX + name, value);
  } catch {
    memory.set(name, value);
  }
  for (const listener of listeners) listener();
}

function decode<T extends string | boolean>(raw: string | null, fallback: T): T {
  if (raw === null) return fallback;
  if (typeof fallback === 'boolean') return (raw === 'true') as T;
  return raw as T;
}

/** Other tabs announce their changes with `storage`. */
function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  window.addEventListener('storage', listener);
  return () => {
    listeners.delete(listener);
    window.removeEventListener('storage', listener);
  };
}
