import { type ReactNode, useState } from 'react';
import type { ApiError } from '@/api/error';
import { t } from '@/i18n';
import { Button } from './button';
import { CommandLine } from './code-block';
import { ConfirmDialog, Dialog } from './dialog';
import { Notice } from './states';

/** A secret that the hub tells once. */
export interface ShownOnce {
  /** What it is, for its box. */
  label: string;
  value: string;
  /** What is lost with it, and what whoever has it can do. */
  note: ReactNode;
  /** How to use it. */
  more?: ReactNode;
}

interface FormThenShownProps<T> {
  open: boolean;
  onClose: () => void;
  title: string;
  description?: ReactNode;
  shownTitle: string;
  width?: 'sm' | 'md' | 'lg';
  form: (onMade: (made: T) => void, onClose: () => void) => ReactNode;
  shown: (made: T) => ShownOnce;
}

/** A form whose answer holds a secret: it lives here until the dialog is closed, and nowhere else. */
export function FormThenShown<T>({
  open,
  onClose,
  title,
  description,
  shownTitle,
  width = 'md',
  form,
  shown,
}: FormThenShownProps<T>) {
  const [made, setMade] = useState<T | null>(null);
  const close = () => {
    setMade(null);
    onClose();
  };
  return (
    <Dialog
      open={open}
      onClose={close}
      stays={made !== null}
      title={made === null ? title : shownTitle}
      description={made === null ? description : undefined}
      width={width}
    >
      {open && (made === null ? form(setMade, close) : <Shown secret={shown(made)} onClose={close} />)}
    </Dialog>
  );
}

interface ConfirmThenShownProps<T> {
  open: boolean;
  onClose: () => void;
  title: string;
  shownTitle: string;
  action: string;
  /** `primary` for what destroys nothing. */
  tone?: 'danger' | 'primary';
  /** What will happen, to what. */
  children: ReactNode;
  ask: {
    isPending: boolean;
    error: ApiError | null;
    reset: () => void;
    mutate: (variables: undefined, options: { onSuccess: (made: T) => void }) => void;
  };
  shown: (made: T) => ShownOnce;
}

/** A question whose answer makes a secret. */
export function ConfirmThenShown<T>({
  open,
  onClose,
  title,
  shownTitle,
  action,
  tone,
  children,
  ask,
  shown,
}: ConfirmThenShownProps<T>) {
  const [made, setMade] = useState<T | null>(null);
  const close = () => {
    setMade(null);
    ask.reset();
    onClose();
  };
  if (made !== null) {
    return (
      <Dialog open={open} onClose={close} stays title={shownTitle} width="md">
        <Shown secret={shown(made)} onClose={close} />
      </Dialog>
    );
  }
  return (
    <ConfirmDialog
      open={open}
      onClose={close}
      title={title}
      action={action}
      tone={tone}
      busy={ask.isPending}
      error={ask.error}
      onConfirm={() => ask.mutate(undefined, { onSuccess: setMade })}
    >
      {children}
    </ConfirmDialog>
  );
}

function Shown({ secret, onClose }: { secret: ShownOnce; onClose: () => void }) {
  return (
    <div className="flex flex-col gap-4">
      <Notice>{secret.note}</Notice>
      <CommandLine command={secret.value} label={secret.label} />
      {secret.more}
      <div className="flex justify-end">
        <Button onClick={onClose}>{t('common.close')}</Button>
      </div>
    </div>
  );
}
