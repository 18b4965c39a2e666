import { useState } from 'react';
import { t } from '@/i18n';
import { Button } from '@/kit/button';
import { Dialog } from '@/kit/dialog';
import { saveFrom } from '@/kit/download';
import { RadioList } from '@/kit/radio-list';
import { type AuditSearch, exportUrl, isFiltered } from './search';

interface ExportDialogProps {
  search: AuditSearch;
  open: boolean;
  onClose: () => void;
}

type Format = 'jsonl' | 'csv';

/** The log as a file. The browser stores it as it comes, so that its size does not matter. */
export function ExportDialog({ search, open, onClose }: ExportDialogProps) {
  const [format, setFormat] = useState<Format>('jsonl');
  const filtered = isFiltered(search);
  return (
    <Dialog
      open={open}
      onClose={onClose}
      title={t('audit.export.title')}
      description={filtered ? t('audit.export.part') : t('audit.export.whole')}
      footer={
        <>
          <Button onClick={onClose}>{t('common.cancel')}</Button>
          <Button
            tone="primary"
            onClick={() => {
              saveFrom(exportUrl(search, format, Date.now()));
              onClose();
            }}
          >
            {t('audit.export.save')}
          </Button>
        </>
      }
    >
      <RadioList<Format>
        label={t('audit.export.format')}
        value={format}
        options={[
          {
            value: 'jsonl',
            label: t('audit.export.jsonl'),
            hint: filtered ? t('audit.export.jsonl_part') : t('audit.export.jsonl_whole'),
          },
          { value: 'csv', label: t('audit.export.csv'), hint: t('audit.export.csv_hint') },
        ]}
        onChange={setFormat}
      />
      <p className="mt-3 text-fg-3 text-xs">{t('audit.export.recorded')}</p>
    </Dialog>
  );
}
