import { RadioTower } from 'lucide-react';
import { useEffect, useState } from 'react';
import { t } from '@/i18n';
import { useNow } from '@/kit/time';
import { retryConnection, useConnection } from './live';

const GRACE_MS = 1_500;

/** Whether live data has stopped for long enough to say so; a reconnect within a moment is not worth a flicker. */
export function useIsDisconnected(): boolean {
  const { phase, since } = useConnection();
  const [isLost, setIsLost] = useState(false);
  useEffect(() => {
    // Without the right to follow there is no stream, and none to be missed.
    if (phase !== 'lost') {
      setIsLost(false);
      return;
    }
    const timer = setTimeout(() => setIsLost(true), Math.max(0, since + GRACE_MS - Date.now()));
    return () => clearTimeout(timer);
  }, [phase, since]);
  return isLost;
}

export function ConnectionBadge() {
  const isLost = useIsDisconnected();
  if (!isLost) return null;
  return (
    <div
      className="popup -translate-x-1/2 fixed top-3 left-1/2 z-30 flex h-9 items-center gap-2 rounded-full pr-1.5 pl-3 text-sm"
      role="status"
    >
      <RadioTower aria-hidden className="size-4 text-warn" />
      <span className="whitespace-nowrap text-fg">{t('shell.connection.lost')}</span>
      <Countdown />
      <button
        type="button"
        onClick={retryConnection}
        className="h-7 whitespace-nowrap rounded-full px-2 font-medium text-accent text-xs hover:bg-hover"
      >
        {t('shell.connection.retry_now')}
      </button>
    </div>
  );
}

function Countdown() {
  const { retryAt } = useConnection();
  const now = useNow(1_000);
  const seconds = retryAt === null ? null : Math.max(0, Math.ceil((retryAt - now) / 1_000));
  return (
    // The number changes each second; only the words before it are announced.
    <span aria-hidden className="tabular hidden whitespace-nowrap text-fg-3 text-xs sm:inline">
      {seconds === null || seconds === 0
        ? t('shell.connection.retrying')
        : t('shell.connection.retry_in', { seconds })}
    </span>
  );
}
