export function Kbd({ keys }: { keys: string }) {
  return (
    <span className="inline-flex gap-0.5">
      {keys.split(' ').map((key) => (
        <kbd
          key={key}
          className="inline-flex h-5 min-w-5 items-center justify-center rounded-sm border bg-bg px-1 font-sans text-2xs text-fg-2"
        >
          {key}
        </kbd>
      ))}
    </span>
  );
}

export const isApple = typeof navigator !== 'undefined' && /Mac|iPhone|iPad/.test(navigator.userAgent);
export const modKey = isApple ? '⌘' : 'Ctrl';
