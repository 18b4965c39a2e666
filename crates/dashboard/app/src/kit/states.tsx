import { CircleAlert, Lock, type LucideIcon, RotateCw, ServerOff } from 'lucide-react';
import type { ReactNode } from 'react';
import type { ApiError } from '@/api/error';
import { t } from '@/i18n';
import { Button } from './button';
import { CopyButton } from './copy-button';
import { cx } from './cx';
import { missingInWords } from './permission-words';

interface MessageProps {
  icon: LucideIcon;
  title: string;
  children?: ReactNode;
  action?: ReactNode;
  tone?: 'quiet' | 'bad';
  className?: string;
}

function Message({ icon: Icon, title, children, action, tone = 'quiet', className }: MessageProps) {
  return (
    <div className={cx('flex flex-col items-center px-6 py-16 text-center', className)}>
      <div
        className={cx(
          'mb-4 flex size-10 items-center justify-center rounded-full border',
          tone === 'bad' ? 'border-transparent bg-bad-soft text-bad' : 'bg-surface text-fg-3',
        )}
      >
        <Icon aria-hidden className="size-5" />
      </div>
      <h2 className="font-semibold text-base">{title}</h2>
      {children && <div className="mt-1 max-w-md text-pretty text-fg-2 text-sm">{children}</div>}
      {action && <div className="mt-5 flex flex-wrap justify-center gap-2">{action}</div>}
    </div>
  );
}

/** Says what this is and offers the one next action. */
export function Empty(props: Omit<MessageProps, 'tone'>) {
  return <Message {...props} />;
}

interface ErrorStateProps {
  error: ApiError;
  onRetry?: () => void;
  className?: string;
}

/** In place of what could not be shown: what happened, what to do, and the code to copy. */
export function ErrorState({ error, onRetry, className }: ErrorStateProps) {
  if (error.status === 403 && !Object.hasOwn(REFUSALS, error.code))
    return <NoPermission missing={error.missing} />;
  const unreachable = error.isUnreachable;
  return (
    <div role="alert">
      <Message
        icon={unreachable ? ServerOff : CircleAlert}
        tone="bad"
        className={className}
        title={unreachable ? t('error.unreachable_title') : t('error.title')}
        action={
          <>
            {onRetry && (
              <Button icon={RotateCw} onClick={onRetry}>
                {t('common.try_again')}
              </Button>
            )}
            <CopyButton text={errorReference(error)} label={t('error.copy_details')} tone="ghost" />
          </>
        }
      >
        <p>{inWords(error)}</p>
        <p className="mt-2 font-mono text-fg-3 text-xs">{errorReference(error)}</p>
      </Message>
    </div>
  );
}

/** Beside the control that caused it. `inItsWords`: what the hub says tells more than that it cannot be reached. */
export function InlineError({ error, inItsWords = false }: { error: ApiError; inItsWords?: boolean }) {
  return (
    <div role="alert" className="flex items-start gap-2 rounded-md bg-bad-soft px-3 py-2 text-bad text-sm">
      <CircleAlert aria-hidden className="mt-0.5 size-4 shrink-0" />
      <div className="min-w-0 break-words">
        <p>{inItsWords && error.status !== 0 ? sentence(error.message) : inWords(error)}</p>
        {error.requestId && <p className="mt-0.5 break-all font-mono text-2xs">{errorReference(error)}</p>}
      </div>
    </div>
  );
}

export function NoPermission({ missing = [] }: { missing?: readonly string[] }) {
  return (
    <Message icon={Lock} title={t('error.forbidden_title')}>
      {missing.length > 0 ? missingInWords(missing) : t('error.forbidden_body')}
    </Message>
  );
}

/** What a refusal or fault says to a person. */
export function inWords(error: ApiError): string {
  if (error.isUnreachable) return t('error.unreachable_body');
  const refusal = REFUSALS[error.code];
  if (refusal) return refusal;
  return error.missing.length === 0 ? sentence(error.message) : missingInWords(error.missing);
}

/** Refusals that another permission would not lift. */
const REFUSALS: Readonly<Record<string, string>> = {
  step_up_required: t('error.step_up_refused'),
  totp_enrollment_required: t('error.second_factor_missing'),
};

/** A note above content that is still shown, such as data that stopped moving. */
export function Notice({
  icon: Icon = CircleAlert,
  tone = 'warn',
  children,
}: {
  icon?: LucideIcon;
  tone?: 'warn' | 'idle' | 'bad';
  children: ReactNode;
}) {
  return (
    <div
      className={cx(
        'flex items-start gap-2 rounded-md px-3 py-2 text-sm',
        tone === 'warn' && 'bg-warn-soft text-warn',
        tone === 'bad' && 'bg-bad-soft text-bad',
        tone === 'idle' && 'bg-idle-soft text-fg-2',
      )}
    >
      <Icon aria-hidden className="mt-0.5 size-4 shrink-0" />
      <div className="min-w-0 flex-1">{children}</div>
    </div>
  );
}

/** Grey bars of the size of what comes, so that nothing jumps when it is there. */
export function Skeleton({ className }: { className?: string }) {
  return <div aria-hidden className={cx('animate-pulse-soft rounded-sm bg-pressed', className)} />;
}

export function LoadingRows({ rows = 8 }: { rows?: number }) {
  return (
    <div role="status" aria-label={t('common.loading')}>
      {Array.from({ length: rows }, (_, row) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: the rows are all alike and never move
        <div key={row} className="flex h-11 items-center gap-6 border-b px-4">
          <Skeleton className="h-3 w-1/5" />
          <Skeleton className="h-3 w-1/12" />
          <Skeleton className="hidden h-3 w-1/6 sm:block" />
          <Skeleton className="ml-auto h-3 w-16" />
        </div>
      ))}
    </div>
  );
}

function errorReference(error: ApiError): string {
  return error.requestId ? `${error.code} · ${error.requestId}` : error.code;
}

/** The hub's messages are lower-case without a full stop, made to be part of longer ones. */
export function sentence(message: string): string {
  const first = message.charAt(0).toUpperCase() + message.slice(1);
  return /[.!?…]$/.test(first) ? first : `${first}.`;
}
