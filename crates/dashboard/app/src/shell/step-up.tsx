import { lazy, Suspense, useEffect, useState } from 'react';
import { setStaleHandler } from '@/api/client';
import { t } from '@/i18n';
import { Dialog } from '@/kit/dialog';
import { LoadingRows } from '@/kit/states';

const StepUpForm = lazy(() => import('./step-up-form').then((module) => ({ default: module.StepUpForm })));

/** Asks who is there before something dangerous, ten minutes after that was last shown. */
export function StepUp() {
  // Several requests may wait for one answer.
  const [waiting, setWaiting] = useState<((shown: boolean) => void)[]>([]);
  useEffect(() => {
    setStaleHandler(() => new Promise((resolve) => setWaiting((before) => [...before, resolve])));
    return () => setStaleHandler(() => Promise.resolve(false));
  }, []);
  const settle = (shown: boolean) => {
    for (const resolve of waiting) resolve(shown);
    setWaiting([]);
  };
  const open = waiting.length > 0;
  return (
    <Dialog
      open={open}
      onClose={() => settle(false)}
      title={t('auth.step_up_title')}
      description={t('auth.step_up_body')}
    >
      {open && (
        <Suspense fallback={<LoadingRows rows={1} />}>
          <StepUpForm onShown={() => settle(true)} />
        </Suspense>
      )}
    </Dialog>
  );
}
