import { CircleAlert, CircleCheck, X } from 'lucide-react';
import { useSyncExternalStore } from 'react';
import type { ApiError } from '@/api/error';
import { t } from '@/i18n';
import { cx } from './cx';
import { inWords } from './states';

interface Toast {
  id: number;
  tone: 'ok' | 'bad';
  text: string;
  reference: string | null;
}

const SHOWN_MS = 5_000;
const MOST = 4;

let toasts: readonly Toast[] = [];
let nextId = 1;
const listeners = new Set<() => void>();

function set(next: readonly Toast[]): void {
  toasts = next;
  for (const listener of listeners) listener();
}

function add(toast: Omit<Toast, 'id'>): void {
  const id = nextId;
  nextId += 1;
  set([...toasts, { ...toast, id }].slice(-MOST));
  // An error stays until it is closed: it may be needed for a report.
  if (toast.tone === 'ok') setTimeout(() => dismiss(id), SHOWN_MS);
}

function dismiss(id: number): void {
  set(toasts.filter((toast) => toast.id !== id));
}

export const toast = {
  done: (text: string) => add({ tone: 'ok', text, reference: null }),
  failed: (error: ApiError) =>
    add({
      tone: 'bad',
      text: inWords(error),
      reference: error.requestId ? `${error.code} · ${error.requestId}` : error.code,
    }),
};

export function Toasts() {
  const shown = useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => toasts,
  );
  return (
    <section
      aria-label={t('shell.notices')}
      aria-live="polite"
      className="pointer-events-none fixed right-4 bottom-[calc(72px+env(safe-area-inset-bottom))] left-4 z-50 flex flex-col items-end gap-2 sm:left-auto sm:w-96 md:bottom-4"
    >
      {shown.map((item) => (
        <div
          key={item.id}
          className="popup pointer-events-auto flex w-full items-start gap-2 py-2.5 pr-2 pl-3 text-sm"
        >
          {item.tone === 'ok' ? (
            <CircleCheck aria-hidden className="mt-0.5 size-4 shrink-0 text-ok" />
          ) : (
            <CircleAlert aria-hidden className="mt-0.5 size-4 shrink-0 text-bad" />
          )}
          <div className="min-w-0 flex-1">
            <p>{item.text}</p>
            {item.reference && (
              <p className={cx('mt-0.5 break-all font-mono text-2xs text-fg-3')}>{item.reference}</p>
            )}
          </div>
          <button
            type="button"
            aria-label={t('common.close')}
            onClick={() => dismiss(item.id)}
            className="flex size-6 shrink-0 items-center justify-center rounded-sm text-fg-3 hover:bg-hover hover:text-fg"
          >
            <X aria-hidden className="size-3.5" />
          </button>
        </div>
      ))}
    </section>
  );
}
