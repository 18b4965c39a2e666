import { Link, type LinkProps } from '@tanstack/react-router';
import { LoaderCircle, type LucideIcon } from 'lucide-react';
import type { ComponentProps, ReactNode } from 'react';
import { cx } from './cx';
import { Tooltip } from './tooltip';

export type ButtonTone = 'primary' | 'secondary' | 'ghost' | 'danger';
type Size = 'sm' | 'md';

const tones: Record<ButtonTone, string> = {
  primary: 'bg-accent text-accent-fg hover:bg-accent-hover',
  secondary: 'border border-line-strong bg-surface text-fg hover:bg-hover active:bg-pressed',
  ghost: 'text-fg-2 hover:bg-hover hover:text-fg active:bg-pressed',
  danger: 'bg-bad text-bg hover:bg-bad-hover',
};

/** Fingers get 40 px; a mouse gets the dense size. */
const sizes: Record<Size, string> = {
  sm: 'h-7 px-2 text-xs gap-1 pointer-coarse:h-9',
  md: 'h-8 px-3 text-sm gap-1.5 pointer-coarse:h-10',
};

function look(tone: ButtonTone, size: Size, extra?: string): string {
  return cx(
    'inline-flex shrink-0 select-none items-center justify-center whitespace-nowrap rounded-md font-medium transition-colors',
    'disabled:opacity-50 disabled:pointer-events-none aria-disabled:opacity-50 aria-disabled:pointer-events-none',
    tones[tone],
    sizes[size],
    extra,
  );
}

interface Looks {
  tone?: ButtonTone;
  size?: Size;
  icon?: LucideIcon;
}

export type ButtonProps = ComponentProps<'button'> & Looks & { busy?: boolean };

/** While `busy` it keeps its width and focus, shows a spinner and takes no second press. */
export function Button({ tone = 'secondary', size = 'md', icon: Icon, busy = false, ...props }: ButtonProps) {
  const { className, children, disabled, ...rest } = props;
  return (
    <button
      type="button"
      {...rest}
      disabled={disabled}
      aria-disabled={busy || undefined}
      aria-busy={busy || undefined}
      onClick={busy ? (event) => event.preventDefault() : rest.onClick}
      className={look(tone, size, className)}
    >
      {busy ? (
        <LoaderCircle aria-hidden className="size-3.5 animate-spin" />
      ) : (
        Icon && <Icon aria-hidden className="size-3.5" />
      )}
      {children}
    </button>
  );
}

export type ButtonLinkProps = LinkProps & Looks & { className?: string; children?: ReactNode };

export function ButtonLink({
  tone = 'secondary',
  size = 'md',
  icon: Icon,
  className,
  children,
  ...link
}: ButtonLinkProps) {
  return (
    <Link {...link} className={look(tone, size, className)}>
      {Icon && <Icon aria-hidden className="size-3.5" />}
      {children}
    </Link>
  );
}

type IconButtonProps = ComponentProps<'button'> & {
  icon: LucideIcon;
  label: string;
  hint?: ReactNode;
  pressed?: boolean;
};

/** A button that is only a picture: its name is for screen readers and in the tooltip. */
export function IconButton({ icon: Icon, label, hint, pressed, className, ...rest }: IconButtonProps) {
  return (
    <Tooltip content={hint ?? label}>
      <button
        type="button"
        aria-label={label}
        aria-pressed={pressed}
        {...rest}
        className={cx(
          'inline-flex size-7 shrink-0 items-center justify-center rounded-md text-fg-3 transition-colors hover:bg-hover hover:text-fg',
          'disabled:pointer-events-none disabled:opacity-40 aria-pressed:bg-accent-soft aria-pressed:text-accent pointer-coarse:size-10',
          className,
        )}
      >
        <Icon aria-hidden className="size-4" />
      </button>
    </Tooltip>
  );
}
