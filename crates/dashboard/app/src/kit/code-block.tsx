import { t } from '@/i18n';
import { CopyButton, CopyIcon } from './copy-button';
import { cx } from './cx';

interface CommandLineProps {
  command: string;
  label: string;
  /** With the copy button beside the line instead of below it, for short ones. */
  compact?: boolean;
}

/** A line to paste elsewhere. It wraps, so that nothing of it is hidden, and copies as one line. */
export function CommandLine({ command, label, compact = false }: CommandLineProps) {
  if (compact) {
    return (
      <figure aria-label={label} className="flex items-start gap-1 rounded-md border bg-log py-1 pr-1 pl-3">
        <pre className="min-w-0 flex-1 whitespace-pre-wrap break-all py-1 font-mono text-xs leading-5">
          {command}
        </pre>
        <CopyIcon text={command} label={`${t('common.copy')}: ${label}`} />
      </figure>
    );
  }
  return (
    <figure aria-label={label} className="overflow-hidden rounded-lg border bg-log">
      <pre className="max-h-56 overflow-y-auto whitespace-pre-wrap break-all px-4 py-3 font-mono text-sm leading-6">
        {command}
      </pre>
      <figcaption className="flex items-center justify-end border-t bg-surface px-2 py-2">
        <CopyButton text={command} tone="primary" />
      </figcaption>
    </figure>
  );
}

/** A short value in monospace with its copy button. */
export function Code({ text, copy = false }: { text: string; copy?: boolean }) {
  return (
    <span className="inline-flex min-w-0 items-center gap-1">
      <code className="min-w-0 break-all font-mono text-[0.925em]">{text}</code>
      {copy && <CopyIcon text={text} />}
    </span>
  );
}

/** Text as it is, in a box that scrolls, by keys as well. */
export function TextBox({ text, label, className }: { text: string; label: string; className?: string }) {
  return (
    // biome-ignore lint/a11y/useSemanticElements: a scrolling box, not a section of the page
    <div
      role="region"
      aria-label={label}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: see above
      tabIndex={0}
      className={cx(
        'max-h-60 overflow-auto whitespace-pre-wrap break-all bg-log px-4 py-3 font-mono -outline-offset-2',
        className,
      )}
    >
      {text}
    </div>
  );
}
