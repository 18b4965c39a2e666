import { useQuery } from '@tanstack/react-query';
import { Fingerprint, Plus } from 'lucide-react';
import { useState } from 'react';
import { toApiError } from '@/api/error';
import type { Passkey } from '@/api/types';
import { required } from '@/features/auth/validate';
import { t } from '@/i18n';
import { Button } from '@/kit/button';
import { ConfirmDialog, Dialog } from '@/kit/dialog';
import { Field } from '@/kit/field';
import { Input } from '@/kit/input';
import { Panel, Section } from '@/kit/page';
import { ErrorState, InlineError, LoadingRows } from '@/kit/states';
import { Badge } from '@/kit/status';
import { Time } from '@/kit/time';
import { toast } from '@/kit/toast';
import { useForm } from '@/kit/use-form';
import { methodsQuery } from '@/shell/account';
import { browserHasPasskeys } from '@/shell/passkeys';
import { deviceOf } from './device';
import {
  addPasskey,
  passkeysQuery,
  renamePasskey,
  useRefreshPasskeys,
  useRemovePasskey,
} from './passkeys-data';
import { Codes } from './recovery-codes';
import '@/i18n/lazy/factors';

/** Passkeys of this account; where they cannot be, why not. */
export function Passkeys() {
  const methods = useQuery(methodsQuery);
  const isOffered = methods.data?.passkeys ?? false;
  const list = useQuery({ ...passkeysQuery, enabled: isOffered });
  const [adding, setAdding] = useState(false);
  const hasBrowser = browserHasPasskeys();
  return (
    <Section
      title={t('factors.passkey.title')}
      description={t('factors.passkey.body')}
      actions={
        isOffered &&
        hasBrowser && (
          <Button icon={Plus} onClick={() => setAdding(true)}>
            {t('factors.passkey.add')}
          </Button>
        )
      }
    >
      <Panel>
        {methods.isPending ? (
          <LoadingRows rows={1} />
        ) : !isOffered ? (
          <p className="px-4 py-3 text-fg-2 text-sm">
            {t('factors.passkey.no_address', { host: window.location.hostname })}
          </p>
        ) : list.isPending ? (
          <LoadingRows rows={1} />
        ) : list.isError ? (
          <ErrorState error={toApiError(list.error)} onRetry={() => void list.refetch()} />
        ) : list.data.length === 0 ? (
          <p className="px-4 py-3 text-fg-2 text-sm">
            {hasBrowser ? t('factors.passkey.none') : t('factors.passkey.no_browser')}
          </p>
        ) : (
          <ul aria-label={t('factors.passkey.title')} className="divide-y">
            {list.data.map((passkey) => (
              <PasskeyRow key={passkey.id} passkey={passkey} />
            ))}
          </ul>
        )}
      </Panel>
      <Dialog
        open={adding}
        onClose={() => setAdding(false)}
        title={t('factors.passkey.add')}
        description={t('factors.passkey.add_body')}
      >
        {adding && <AddForm onClose={() => setAdding(false)} />}
      </Dialog>
    </Section>
  );
}

function AddForm({ onClose }: { onClose: () => void }) {
  const refresh = useRefreshPasskeys();
  // They live here until the dialog is closed, and nowhere else.
  const [codes, setCodes] = useState<readonly string[] | null>(null);
  const form = useForm({
    initial: { name: deviceOf(navigator.userAgent) },
    validate: ({ name }) => ({ name: required(name) }),
    submit: ({ name }) => addPasskey(name.trim()),
    onDone: ({ name, recovery_codes }) => {
      toast.done(t('factors.passkey.added_done', { name }));
      refresh();
      if (recovery_codes) setCodes(recovery_codes);
      else onClose();
    },
  });
  if (codes) {
    return (
      <div className="flex flex-col gap-3">
        <p className="text-sm">{t('factors.recovery.after_passkey')}</p>
        <Codes codes={codes} onDone={onClose} />
      </div>
    );
  }
  return (
    <NameForm
      form={form}
      action={t('factors.passkey.add_go_on')}
      hint={t('factors.passkey.name_hint')}
      onClose={onClose}
    />
  );
}

function RenameForm({ passkey, onClose }: { passkey: Passkey; onClose: () => void }) {
  const refresh = useRefreshPasskeys();
  const form = useForm({
    initial: { name: passkey.name },
    validate: ({ name }) => ({ name: required(name) }),
    submit: ({ name }) => renamePasskey(passkey.id, name.trim()),
    onDone: ({ name }) => {
      toast.done(t('factors.passkey.renamed', { name }));
      refresh();
      onClose();
    },
  });
  return <NameForm form={form} action={t('common.save')} onClose={onClose} />;
}

interface NameFormProps {
  form: Pick<
    ReturnType<typeof useForm<{ name: string }, unknown>>,
    'values' | 'errors' | 'failure' | 'busy' | 'set' | 'send'
  >;
  action: string;
  hint?: string;
  onClose: () => void;
}

function NameForm({ form, action, hint, onClose }: NameFormProps) {
  return (
    <form className="flex flex-col gap-4" noValidate onSubmit={form.send}>
      <Field label={t('factors.passkey.name')} hint={hint} error={form.errors.name}>
        <Input
          value={form.values.name}
          autoFocus
          autoComplete="off"
          onFocus={(event) => event.target.select()}
          onChange={(event) => form.set('name', event.target.value)}
        />
      </Field>
      {form.failure && <InlineError error={form.failure} />}
      <div className="flex justify-end gap-2">
        <Button onClick={onClose}>{t('common.cancel')}</Button>
        <Button type="submit" tone="primary" busy={form.busy}>
          {action}
        </Button>
      </div>
    </form>
  );
}

function PasskeyRow({ passkey }: { passkey: Passkey }) {
  const [doing, setDoing] = useState<'rename' | 'remove' | null>(null);
  const remove = useRemovePasskey(passkey.id);
  const close = () => {
    setDoing(null);
    remove.reset();
  };
  return (
    <li className="flex flex-wrap items-center gap-x-3 gap-y-2 px-4 py-3 text-sm">
      <Fingerprint aria-hidden className="size-4 shrink-0 text-fg-3" />
      <div className="min-w-0 flex-1 basis-48">
        <p className="flex flex-wrap items-center gap-2">
          <span className="min-w-0 truncate font-medium">{passkey.name}</span>
          <Badge tone="idle">
            {passkey.backed_up ? t('factors.passkey.backed_up') : t('factors.passkey.one_place')}
          </Badge>
        </p>
        <p className="flex flex-wrap gap-x-3 text-fg-3 text-xs">
          <span>
            {passkey.last_used_at === null ? (
              t('factors.passkey.never_used')
            ) : (
              <>
                {t('factors.passkey.last_used')} <Time at={passkey.last_used_at} />
              </>
            )}
          </span>
          <span>
            {t('factors.passkey.added')} <Time at={passkey.created_at} look="date" />
          </span>
        </p>
      </div>
      <div className="flex gap-2 max-sm:ml-7">
        <Button
          size="sm"
          aria-label={`${t('factors.passkey.rename')}: ${passkey.name}`}
          onClick={() => setDoing('rename')}
        >
          {t('factors.passkey.rename')}
        </Button>
        <Button
          size="sm"
          aria-label={t('common.remove_one', { name: passkey.name })}
          onClick={() => setDoing('remove')}
        >
          {t('common.remove')}
        </Button>
      </div>
      <Dialog open={doing === 'rename'} onClose={close} title={t('factors.passkey.rename_title')}>
        {doing === 'rename' && <RenameForm passkey={passkey} onClose={close} />}
      </Dialog>
      <ConfirmDialog
        open={doing === 'remove'}
        onClose={close}
        title={t('factors.passkey.remove_title', { name: passkey.name })}
        action={t('common.remove')}
        busy={remove.isPending}
        error={remove.error}
        onConfirm={() =>
          remove.mutate(undefined, {
            onSuccess: () => toast.done(t('factors.passkey.removed', { name: passkey.name })),
          })
        }
      >
        <p>{t('factors.passkey.remove_body')}</p>
      </ConfirmDialog>
    </li>
  );
}
