import { CopyButton, CopyIcon } from './copy-button';

/** A line to paste elsewhere. It wraps, so that nothing of it is hidden, and copies as one line. */
export function CommandLine({ command, label }: { command: string; label: string }) {
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
