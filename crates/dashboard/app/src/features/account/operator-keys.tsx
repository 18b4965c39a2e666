import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { KeyRound, Plus } from 'lucide-react';
import { useState } from 'react';
import { api, checked } from '@/api/client';
import { type ApiError, toApiError } from '@/api/error';
import { keys } from '@/api/keys';
import type { OperatorKey } from '@/api/types';
import { t } from '@/i18n';
import { Button } from '@/kit/button';
import { CommandLine } from '@/kit/code-block';
import { ConfirmDialog, Dialog } from '@/kit/dialog';
import { Disclosure } from '@/kit/disclosure';
import { Field } from '@/kit/field';
import { Input, Textarea } from '@/kit/input';
import { Panel, Section } from '@/kit/page';
import { ErrorState, InlineError, LoadingRows } from '@/kit/states';
import { Time } from '@/kit/time';
import { toast } from '@/kit/toast';
import { useForm } from '@/kit/use-form';
import { useMay } from '@/shell/session';
import { addOperatorKey, operatorKeysQuery, policyLine, problemOfKey } from './operator-keys-data';

/** The keys with which this person signs jobs that hosts reserve for their operators. */
export function OperatorKeys() {
  const list = useQuery(operatorKeysQuery);
  const [adding, setAdding] = useState(false);
  const own = list.data?.data ?? [];
  const mayExec = useMay('servers.exec');
  // Who runs nothing has nothing to sign.
  if (!mayExec && own.length === 0) return null;
  return (
    <div id="operator-keys" className="scroll-mt-4">
      <Section
        title={t('account.keys.title')}
        description={t('account.keys.body')}
        actions={
          <Button icon={Plus} onClick={() => setAdding(true)}>
            {t('account.keys.add')}
          </Button>
        }
      >
        <Panel>
          {list.isPending ? (
            <LoadingRows rows={1} />
          ) : list.isError ? (
            <ErrorState error={toApiError(list.error)} onRetry={() => void list.refetch()} />
          ) : own.length === 0 ? (
            <p className="px-4 py-3 text-fg-2 text-sm">{t('account.keys.none')}</p>
          ) : (
            <ul className="divide-y">
              {own.map((key) => (
                <KeyRow key={key.id} operatorKey={key} />
              ))}
            </ul>
          )}
        </Panel>
        <Dialog
          open={adding}
          onClose={() => setAdding(false)}
          title={t('account.keys.add_title')}
          description={t('account.keys.add_body')}
          width="md"
        >
          {adding && <AddKey onClose={() => setAdding(false)} />}
        </Dialog>
      </Section>
    </div>
  );
}

function KeyRow({ operatorKey }: { operatorKey: OperatorKey }) {
  const client = useQueryClient();
  const [asking, setAsking] = useState(false);
  const remove = useMutation<unknown, ApiError>({
    mutationFn: () =>
      checked(api.DELETE('/v1/account/operator-keys/{id}', { params: { path: { id: operatorKey.id } } })),
    onSuccess: () => {
      setAsking(false);
      toast.done(t('account.keys.removed', { name: operatorKey.name }));
      void client.invalidateQueries({ queryKey: keys.operatorKeys() });
    },
  });
  return (
    <li className="px-4 py-3 text-sm">
      <div className="flex items-start gap-3">
        <KeyRound aria-hidden className="mt-0.5 size-4 shrink-0 text-fg-3" />
        <div className="min-w-0 flex-1">
          <p className="truncate font-medium">{operatorKey.name}</p>
          <p className="break-all font-mono text-fg-2 text-xs">{operatorKey.fingerprint}</p>
          <p className="text-fg-3 text-xs">
            {t('account.keys.added')} <Time at={operatorKey.created_at} look="date" />
          </p>
        </div>
        <Button
          size="sm"
          aria-label={t('common.remove_one', { name: operatorKey.name })}
          onClick={() => setAsking(true)}
        >
          {t('common.remove')}
        </Button>
      </div>
      <Disclosure label={t('account.keys.list_it')} className="mt-1 ml-7">
        <p className="mb-2 text-fg-2">{t('account.keys.list_it_body')}</p>
        <CommandLine compact command={policyLine(operatorKey)} label={t('account.keys.policy_line')} />
      </Disclosure>
      <ConfirmDialog
        open={asking}
        onClose={() => setAsking(false)}
        title={t('account.keys.remove_title', { name: operatorKey.name })}
        action={t('common.remove')}
        busy={remove.isPending}
        error={remove.error}
        onConfirm={() => remove.mutate()}
      >
        <p>{t('account.keys.remove_body')}</p>
      </ConfirmDialog>
    </li>
  );
}

function AddKey({ onClose }: { onClose: () => void }) {
  const client = useQueryClient();
  const form = useForm({
    initial: { public_key: '', name: '' },
    validate: ({ public_key }) => {
      const problem = problemOfKey(public_key);
      return { public_key: problem ? t(`account.keys.problem.${problem}`) : undefined };
    },
    submit: ({ public_key, name }) => addOperatorKey({ publicKey: public_key, name }),
    onDone: (key) => {
      toast.done(t('account.keys.added_done', { name: key.name }));
      void client.invalidateQueries({ queryKey: keys.operatorKeys() });
      onClose();
    },
  });
  return (
    <form className="flex flex-col gap-4" noValidate onSubmit={form.send}>
      <Field
        label={t('account.keys.public_key')}
        hint={t('account.keys.public_key_hint')}
        error={form.errors.public_key}
      >
        <Textarea
          value={form.values.public_key}
          rows={3}
          spellCheck={false}
          autoComplete="off"
          placeholder="ssh-ed25519 AAAA… you@laptop"
          className="break-all font-mono text-xs"
          onChange={(event) => form.set('public_key', event.target.value)}
        />
      </Field>
      <Field
        label={t('account.keys.name')}
        optional={t('common.optional')}
        hint={t('account.keys.name_hint')}
        error={form.errors.name}
      >
        <Input value={form.values.name} onChange={(event) => form.set('name', event.target.value)} />
      </Field>
      {form.failure &&
        (form.failure.status === 409 ? (
          <p role="alert" className="text-bad text-sm">
            {t('account.keys.already')}
          </p>
        ) : (
          <InlineError error={form.failure} />
        ))}
      <div className="flex justify-end gap-2">
        <Button onClick={onClose}>{t('common.cancel')}</Button>
        <Button type="submit" tone="primary" busy={form.busy}>
          {t('account.keys.add')}
        </Button>
      </div>
    </form>
  );
}
