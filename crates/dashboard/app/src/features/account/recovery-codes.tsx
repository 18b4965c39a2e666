import { t } from '@/i18n';
import { Button } from '@/kit/button';
import { CopyButton } from '@/kit/copy-button';
import { Notice } from '@/kit/states';

/** The only time that recovery codes are seen. */
export function Codes({ codes, onDone }: { codes: readonly string[]; onDone: () => void }) {
  return (
    <div className="flex flex-col gap-4">
      <Notice tone="warn">{t('account.totp.codes_body')}</Notice>
      <ul className="mono grid grid-cols-2 gap-x-6 gap-y-1 text-sm">
        {codes.map((code) => (
          <li key={code}>{code}</li>
        ))}
      </ul>
      <div className="flex items-center justify-between gap-3">
        <CopyButton text={codes.join('\n')} label={t('account.totp.copy_codes')} />
        <Button tone="primary" onClick={onDone}>
          {t('account.totp.kept')}
        </Button>
      </div>
    </div>
  );
}
