import { CircleCheck, ShieldAlert, X } from 'lucide-react';
import type { ApiError } from '@/api/error';
import type { AuditVerification } from '@/api/types';
import { t } from '@/i18n';
import { IconButton } from '@/kit/button';
import { Code } from '@/kit/code-block';
import { cx } from '@/kit/cx';
import { count } from '@/kit/format';
import { InlineError, sentence } from '@/kit/states';

interface ChainStateProps {
  result: AuditVerification | undefined;
  error: ApiError | null;
  onClose: () => void;
}

/** What a check of the chain found, in words. */
export function ChainState({ result, error, onClose }: ChainStateProps) {
  return (
    <div aria-live="polite">
      {error && (
        <div className="mb-4">
          <InlineError error={error} />
        </div>
      )}
      {result && (
        <div
          className={cx(
            'mb-4 flex items-start gap-3 rounded-lg border bg-surface px-4 py-3 text-sm',
            !result.ok && 'border-bad',
          )}
        >
          {result.ok ? (
            <CircleCheck aria-hidden className="mt-0.5 size-4 shrink-0 text-ok" />
          ) : (
            <ShieldAlert aria-hidden className="mt-0.5 size-4 shrink-0 text-bad" />
          )}
          <div className="min-w-0 flex-1">
            <p className="font-medium">
              {result.ok
                ? t('audit.chain.ok', { count: result.checked, checked: count(result.checked) })
                : t('audit.chain.broken', { position: count(result.broken_at ?? 0) })}
            </p>
            {!result.ok && (
              <>
                {result.problem && <p>{sentence(result.problem)}</p>}
                {result.broken_id && (
                  <p>
                    {t('audit.chain.record')} <Code text={result.broken_id} copy />
                  </p>
                )}
                <p className="mt-1 text-fg-2">{t('audit.chain.what_now')}</p>
              </>
            )}
            <p className="text-fg-2">
              {result.redacted > 0 &&
                t('audit.chain.redacted', { count: result.redacted, redacted: count(result.redacted) })}{' '}
              {result.removed_up_to > 0 &&
                t('audit.chain.removed', { position: count(result.removed_up_to) })}
            </p>
          </div>
          <IconButton icon={X} label={t('common.close')} onClick={onClose} />
        </div>
      )}
    </div>
  );
}
