import { Dialog as Base } from '@base-ui/react/dialog';
import { X } from 'lucide-react';
import { type ReactNode, type RefObject, useState } from 'react';
import type { ApiError } from '@/api/error';
import { t } from '@/i18n';
import { Button } from './button';
import { cx } from './cx';
import { Field } from './field';
import { Input } from './input';
import { InlineError } from './states';

interface DialogProps {
  open: boolean;
  onClose: () => void;
  title: string;
  description?: ReactNode;
  children?: ReactNode;
  footer?: ReactNode;
  width?: 'sm' | 'md' | 'lg';
  initialFocus?: RefObject<HTMLElement | null>;
  /** Not closed by a press beside it, which would lose what it shows. */
  stays?: boolean;
}

const widths = { sm: 'sm:max-w-md', md: 'sm:max-w-lg', lg: 'sm:max-w-2xl' };

/** Centred on a desk, a sheet from below on a phone. */
export function Dialog({
  open,
  onClose,
  title,
  description,
  children,
  footer,
  width = 'sm',
  initialFocus,
  stays = false,
}: DialogProps) {
  return (
    <Base.Root open={open} onOpenChange={(next) => !next && onClose()} disablePointerDismissal={stays}>
      <Base.Portal>
        <Base.Backdrop className="fixed inset-0 z-40 bg-(--backdrop) transition-opacity duration-150 data-ending-style:opacity-0 data-starting-style:opacity-0" />
        <Base.Popup
          initialFocus={initialFocus}
          className={cx(
            'popup fixed inset-x-0 bottom-0 z-40 flex max-h-[88dvh] flex-col overflow-hidden rounded-b-none sm:inset-auto sm:top-[10dvh] sm:left-1/2 sm:max-h-[82dvh]',
            'sm:w-[calc(100vw-32px)] sm:-translate-x-1/2 sm:rounded-xl',
            widths[width],
          )}
        >
          <header className="flex items-start gap-3 px-5 pt-5 pb-2">
            <div className="min-w-0 flex-1">
              <Base.Title className="font-semibold text-lg">{title}</Base.Title>
              {description && (
                <Base.Description className="mt-1 text-fg-2 text-sm">{description}</Base.Description>
              )}
            </div>
            <Base.Close
              aria-label={t('common.close')}
              className="-mt-1 -mr-1 flex size-7 shrink-0 items-center justify-center rounded-md text-fg-3 hover:bg-hover hover:text-fg pointer-coarse:size-10"
            >
              <X aria-hidden className="size-4" />
            </Base.Close>
          </header>
          <div className="min-h-0 flex-1 overflow-y-auto px-5 pt-2 pb-4">{children}</div>
          {footer && (
            <footer className="flex justify-end gap-2 border-t px-5 py-3 pb-[max(12px,env(safe-area-inset-bottom))]">
              {footer}
            </footer>
          )}
        </Base.Popup>
      </Base.Portal>
    </Base.Root>
  );
}

/** The buttons of a form inside a dialog: in sight however long the form is. */
export function FormActions({ children }: { children: ReactNode }) {
  return (
    <div className="-mx-5 -mb-4 sticky -bottom-4 z-10 flex justify-end gap-2 border-t bg-raised px-5 py-3 pb-[max(12px,env(safe-area-inset-bottom))]">
      {children}
    </div>
  );
}

interface ConfirmProps {
  open: boolean;
  onClose: () => void;
  title: string;
  /** What will happen, to what. */
  children: ReactNode;
  action: string;
  /** For the worst: the name that must be typed first. */
  typeToConfirm?: string;
  /** `primary` for what destroys nothing. */
  tone?: 'danger' | 'primary';
  busy: boolean;
  error: ApiError | null;
  onConfirm: () => void;
}

export function ConfirmDialog({
  open,
  onClose,
  title,
  children,
  action,
  typeToConfirm,
  tone = 'danger',
  busy,
  error,
  onConfirm,
}: ConfirmProps) {
  const [typed, setTyped] = useState('');
  const allowed = typeToConfirm === undefined || typed.trim() === typeToConfirm;
  const close = () => {
    setTyped('');
    onClose();
  };
  return (
    <Dialog
      open={open}
      onClose={close}
      title={title}
      footer={
        <>
          <Button onClick={close}>{t('common.cancel')}</Button>
          <Button tone={tone} disabled={!allowed} busy={busy} onClick={onConfirm}>
            {action}
          </Button>
        </>
      }
    >
      <form
        className="flex flex-col gap-4 text-fg-2 text-sm"
        onSubmit={(event) => {
          event.preventDefault();
          if (allowed && !busy) onConfirm();
        }}
      >
        <div className="flex flex-col gap-2">{children}</div>
        {typeToConfirm !== undefined && (
          <Field label={t('common.type_to_confirm', { name: typeToConfirm })}>
            <Input
              value={typed}
              onChange={(event) => setTyped(event.target.value)}
              autoComplete="off"
              spellCheck={false}
            />
          </Field>
        )}
        {error && <InlineError error={error} />}
      </form>
    </Dialog>
  );
}
