import type { ApiError } from '@/api/error';
import { t } from '@/i18n';
import { InlineError } from '@/kit/states';

/** An attempt to show who one is that was refused; `wrong` says what may have been. */
export function RefusedAttempt({ error, wrong }: { error: ApiError; wrong: string }) {
  if (error.code === 'invalid_credentials') {
    return (
      <p role="alert" className="rounded-md bg-bad-soft px-3 py-2 text-bad text-sm">
        {wrong}
      </p>
    );
  }
  if (error.status === 429) {
    return (
      <p role="alert" className="rounded-md bg-warn-soft px-3 py-2 text-sm text-warn">
        {error.retryAfterSeconds
          ? t('auth.too_many_in', { seconds: error.retryAfterSeconds })
          : t('auth.too_many')}
      </p>
    );
  }
  return <InlineError error={error} />;
}
