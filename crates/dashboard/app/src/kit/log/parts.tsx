import { X } from 'lucide-react';
import { t } from '@/i18n';
import { IconButton } from '../button';
import { CopyButton } from '../copy-button';
import { bytes, count } from '../format';
import { useNow } from '../time';
import type { LogFeed, LogModel } from './model';

export function SelectionTools({
  model,
  selection,
  onClear,
}: {
  model: LogModel;
  selection: { first: number; last: number };
  onClear: () => void;
}) {
  const link = async () => window.location.href;
  return (
    <div className="ml-auto flex items-center gap-1">
      <span className="tabular">
        {selection.first === selection.last
          ? t('log.line_picked', { number: count(selection.first) })
          : t('log.lines_picked', { first: count(selection.first), last: count(selection.last) })}
      </span>
      <CopyButton
        size="sm"
        tone="ghost"
        text={() => model.textOf(selection.first, Math.min(selection.last, selection.first + 20_000))}
        label={t('log.copy_text')}
      />
      <CopyButton size="sm" tone="ghost" text={link} label={t('log.copy_link')} />
      <IconButton icon={X} label={t('log.clear_selection')} onClick={onClear} />
    </div>
  );
}

export function StartMissing({
  first,
  startOffset,
  downloadUrl,
}: {
  first: number;
  startOffset: number;
  downloadUrl: string;
}) {
  return (
    <p className="border-b bg-idle-soft px-3 py-1.5 text-fg-2 text-xs">
      {startOffset > 0
        ? t('log.start_not_loaded', { size: bytes(startOffset) })
        : t('log.start_dropped', { lines: count(first - 1) })}{' '}
      <a href={downloadUrl} download className="text-accent underline">
        {t('log.download_all')}
      </a>
    </p>
  );
}

export function FeedState({ feed }: { feed: LogFeed }) {
  const now = useNow(1_000);
  if (feed.phase === 'lost') {
    const seconds = feed.retryAt === null ? 0 : Math.max(0, Math.ceil((feed.retryAt - now) / 1_000));
    return <span className="text-warn">{t('log.lost', { seconds })}</span>;
  }
  return (
    <span className="flex items-center gap-1.5">
      {feed.phase === 'live' && <span aria-hidden className="size-2 animate-pulse-soft rounded-full bg-ok" />}
      {t(`log.phase.${feed.phase}`)}
    </span>
  );
}
