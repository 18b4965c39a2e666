import { Compass, RotateCw } from 'lucide-react';
import { toApiError } from '@/api/error';
import { t } from '@/i18n';
import { Button, ButtonLink } from '@/kit/button';
import { useDocumentTitle } from '@/kit/page';
import { Empty, ErrorState, Skeleton } from '@/kit/states';

/** An address that leads nowhere. */
export function NotFoundPage() {
  useDocumentTitle(t('error.not_found_title'));
  return (
    <div className="pt-[12dvh]">
      <Empty
        icon={Compass}
        title={t('error.not_found_title')}
        action={
          <ButtonLink to="/" tone="primary">
            {t('shell.not_found_action')}
          </ButtonLink>
        }
      >
        {t('error.not_found_body')}
      </Empty>
    </div>
  );
}

/** A page that could not be loaded, or broke while it was drawn. */
export function BrokenPage({ error, reset }: { error: unknown; reset?: () => void }) {
  const known = toApiError(error);
  const isOurs = known.code === 'internal' && known.status === 0;
  return (
    <div className="mx-auto max-w-3xl px-4 py-10">
      {isOurs ? (
        <div role="alert" className="flex flex-col items-center gap-4 text-center">
          <h1 className="font-semibold text-lg">{t('error.crash_title')}</h1>
          <p className="max-w-md text-fg-2 text-sm">{t('error.crash_body')}</p>
          <p className="max-w-full break-words font-mono text-fg-3 text-xs">{known.message}</p>
          <Button icon={RotateCw} tone="primary" onClick={() => window.location.reload()}>
            {t('error.reload')}
          </Button>
        </div>
      ) : (
        <ErrorState error={known} onRetry={reset} />
      )}
    </div>
  );
}

/** Holds the page's place while its code arrives. */
export function PendingPage() {
  return (
    <div
      role="status"
      aria-label={t('common.loading')}
      className="mx-auto max-w-[1440px] px-4 pt-7 sm:px-6 lg:px-8"
    >
      <Skeleton className="h-6 w-40" />
      <Skeleton className="mt-8 h-40 w-full rounded-lg" />
    </div>
  );
}
