import { useNavigate } from '@tanstack/react-router';
import { useEffect, useRef } from 'react';
import type { Destination } from './navigation';

const SEQUENCE_MS = 1_200;

interface ShortcutActions {
  openPalette: () => void;
  openSheet: () => void;
  /** Where the person may go. */
  destinations: readonly Destination[];
  mayEnroll: boolean;
  mayExec: boolean;
}

/** Keys that work on every page. They never take a key that is meant for a field. */
export function useShortcuts(actions: ShortcutActions): void {
  const navigate = useNavigate();
  const latest = useRef(actions);
  useEffect(() => {
    latest.current = actions;
  });
  useEffect(() => {
    let goSince = 0;
    const onKey = (event: KeyboardEvent) => {
      const { openPalette, openSheet, destinations, mayEnroll, mayExec } = latest.current;
      if ((event.metaKey || event.ctrlKey) && !event.altKey && event.key.toLowerCase() === 'k') {
        event.preventDefault();
        openPalette();
        return;
      }
      if (
        event.metaKey ||
        event.ctrlKey ||
        event.altKey ||
        isTyping(event.target) ||
        isInDialog(event.target)
      )
        return;
      if (event.timeStamp - goSince < SEQUENCE_MS) {
        goSince = 0;
        const target = destinations.find((destination) => destination.key === event.key);
        if (target) {
          event.preventDefault();
          void navigate({ to: target.to });
          return;
        }
      }
      if (event.key === 'g') goSince = event.timeStamp;
      else if (event.key === '?') openSheet();
      else if (event.key === '/' && focusPageSearch()) event.preventDefault();
      else if (event.key === 'n' && mayEnroll) void navigate({ to: '/servers/new' });
      else if (event.key === 'r' && mayExec) void navigate({ to: '/jobs/new' });
    };
    window.addEventListener('keydown', onKey);
    return () => window.removeEventListener('keydown', onKey);
  }, [navigate]);
}

function isTyping(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement &&
    (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName))
  );
}

function isInDialog(target: EventTarget | null): boolean {
  return (
    target instanceof Element && target.closest('[role="dialog"], [role="menu"], [role="listbox"]') !== null
  );
}

function focusPageSearch(): boolean {
  const field = document.querySelector<HTMLInputElement>('[data-page-search]');
  field?.focus();
  field?.select();
  return field !== null;
}
