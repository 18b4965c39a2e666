import { cx } from './cx';

/** `{env: "prod"}` as small chips. */
export function Labels({
  labels,
  max = 99,
  onPick,
}: {
  labels: Readonly<Record<string, string>>;
  max?: number;
  onPick?: (label: string) => void;
}) {
  const all = Object.entries(labels);
  if (all.length === 0) return null;
  const rest = all.length - max;
  return (
    <span className="inline-flex min-w-0 flex-wrap items-center gap-1">
      {all.slice(0, max).map(([key, value]) => {
        const text = value === '' ? key : `${key}:${value}`;
        const look =
          'inline-flex h-5 max-w-44 items-center rounded-sm border bg-bg px-1.5 text-2xs text-fg-2';
        return onPick ? (
          <button
            key={key}
            type="button"
            onClick={() => onPick(text)}
            className={cx(look, 'hover:border-line-strong hover:text-fg')}
          >
            <span className="truncate">{text}</span>
          </button>
        ) : (
          <span key={key} className={look} title={text}>
            <span className="truncate">{text}</span>
          </span>
        );
      })}
      {rest > 0 && <span className="text-2xs text-fg-3">+{rest}</span>}
    </span>
  );
}
