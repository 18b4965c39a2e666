import { ShieldAlert } from 'lucide-react';
import { type ReactNode, useMemo } from 'react';
import type { PolicyRules, ServerDetail, Tier } from '@/api/types';
import { t } from '@/i18n';
import { Button } from '@/kit/button';
import { Checkbox } from '@/kit/checkbox';
import { Dialog } from '@/kit/dialog';
import { Field } from '@/kit/field';
import { Input, Textarea } from '@/kit/input';
import { InlineError, Notice } from '@/kit/states';
import { toast } from '@/kit/toast';
import { useForm } from '@/kit/use-form';
import { useTrustActions } from './data';
import { pathsIn, type RestrictionValues, rulesOf, TIERS, valuesOf, words } from './rules';

interface RestrictDialogProps {
  server: ServerDetail;
  open: boolean;
  onClose: () => void;
}

export function RestrictDialog({ server, open, onClose }: RestrictDialogProps) {
  return (
    <Dialog
      open={open}
      onClose={onClose}
      title={t('policy.form.title')}
      description={t('policy.form.body')}
      width="md"
    >
      {open && <RestrictForm server={server} onClose={onClose} />}
    </Dialog>
  );
}

function validate(values: RestrictionValues) {
  const paths = pathsIn(values.paths);
  const wrongPath = paths.find((path) => !path.startsWith('/') || path.split('/').includes('..'));
  return {
    kinds: values.limitKinds && words(values.kinds).length === 0 ? t('policy.form.name_one') : undefined,
    users: values.limitUsers && words(values.users).length === 0 ? t('policy.form.name_one') : undefined,
    paths: !values.limitPaths
      ? undefined
      : paths.length === 0
        ? t('policy.form.name_one')
        : wrongPath
          ? t('policy.form.path_wrong', { path: wrongPath })
          : undefined,
  };
}

function RestrictForm({ server, onClose }: { server: ServerDetail; onClose: () => void }) {
  const { restrict } = useTrustActions(server);
  const file: PolicyRules | null = server.policy?.file ?? null;
  const current = server.restrictions?.rules ?? server.policy?.hub ?? null;
  const hasRules = current !== null && Object.keys(current).length > 0;
  const initial = useMemo(() => valuesOf(current, file), [current, file]);
  const form = useForm({
    initial,
    validate,
    submit: (values) => restrict(rulesOf(values, file)),
    onDone: () => {
      toast.done(server.status === 'online' ? t('policy.form.sent') : t('policy.form.sent_offline'));
      onClose();
    },
  });
  const lift = useForm({
    initial: {},
    validate: () => ({}),
    submit: () => restrict({}),
    onDone: () => {
      toast.done(t('policy.form.lifted'));
      onClose();
    },
  });
  const { values, errors, set } = form;
  const failure = form.failure ?? lift.failure;
  const noOperators = values.sign.length > 0 && (server.policy?.operators ?? []).length === 0;
  return (
    <form className="flex flex-col gap-5" noValidate onSubmit={form.send}>
      <TierChoice
        title={t('policy.rule.tiers')}
        chosen={values.tiers}
        fixed={TIERS.filter((tier) => file?.tiers && !file.tiers.includes(tier))}
        fixedHint={t('policy.form.file_forbids')}
        hints
        onChange={(tiers) => set('tiers', tiers)}
      />
      <Limited
        label={t('policy.form.limit_kinds')}
        checked={values.limitKinds}
        onChange={(checked) => set('limitKinds', checked)}
      >
        <Field label={t('policy.rule.kinds')} hint={t('policy.form.kinds_hint')} error={errors.kinds}>
          <Input
            value={values.kinds}
            placeholder="exec"
            spellCheck={false}
            className="font-mono"
            onChange={(event) => set('kinds', event.target.value)}
          />
        </Field>
      </Limited>
      <Limited
        label={t('policy.form.limit_users')}
        checked={values.limitUsers}
        onChange={(checked) => set('limitUsers', checked)}
      >
        <Field label={t('policy.rule.users')} hint={t('policy.form.users_hint')} error={errors.users}>
          <Input
            value={values.users}
            placeholder="deploy, www-data"
            spellCheck={false}
            autoCapitalize="off"
            className="font-mono"
            onChange={(event) => set('users', event.target.value)}
          />
        </Field>
      </Limited>
      <Limited
        label={t('policy.form.limit_paths')}
        checked={values.limitPaths}
        onChange={(checked) => set('limitPaths', checked)}
      >
        <Field label={t('policy.rule.paths')} hint={t('policy.form.paths_hint')} error={errors.paths}>
          <Textarea
            value={values.paths}
            placeholder={'/srv\n/var/www'}
            spellCheck={false}
            rows={3}
            className="font-mono"
            onChange={(event) => set('paths', event.target.value)}
          />
        </Field>
      </Limited>
      <TierChoice
        title={t('policy.rule.require_operator_signature')}
        chosen={values.sign}
        fixed={TIERS.filter((tier) => file?.require_operator_signature?.includes(tier))}
        fixedHint={t('policy.form.file_wants')}
        onChange={(sign) => set('sign', sign)}
      />
      {noOperators && <Notice icon={ShieldAlert}>{t('policy.form.nobody_can_sign')}</Notice>}
      {values.tiers.length === 0 && <Notice icon={ShieldAlert}>{t('policy.form.nothing_left')}</Notice>}
      {failure && <InlineError error={failure} />}
      <div className="flex flex-wrap justify-end gap-2">
        {hasRules && (
          <Button tone="ghost" className="mr-auto" busy={lift.busy} onClick={() => void lift.send()}>
            {t('policy.form.lift')}
          </Button>
        )}
        <Button onClick={onClose}>{t('common.cancel')}</Button>
        <Button type="submit" tone="primary" busy={form.busy}>
          {t('policy.restrict')}
        </Button>
      </div>
    </form>
  );
}

interface TierChoiceProps {
  title: string;
  chosen: readonly Tier[];
  /** What the file has decided, either way: it stands as it is. */
  fixed: readonly Tier[];
  fixedHint: string;
  /** Whether each power is explained; once in a form is enough. */
  hints?: boolean;
  onChange: (tiers: Tier[]) => void;
}

function TierChoice({ title, chosen, fixed, fixedHint, hints = false, onChange }: TierChoiceProps) {
  return (
    <fieldset className="flex flex-col gap-2">
      <legend className="mb-2 font-medium text-sm">{title}</legend>
      {TIERS.map((tier) => (
        <Checkbox
          key={tier}
          label={t(`policy.tier.${tier}`)}
          hint={fixed.includes(tier) ? fixedHint : hints ? t(`policy.tier_hint.${tier}`) : undefined}
          checked={chosen.includes(tier)}
          disabled={fixed.includes(tier)}
          onChange={(checked) =>
            onChange(TIERS.filter((one) => (one === tier ? checked : chosen.includes(one))))
          }
        />
      ))}
    </fieldset>
  );
}

interface LimitedProps {
  label: string;
  checked: boolean;
  onChange: (checked: boolean) => void;
  children: ReactNode;
}

function Limited({ label, checked, onChange, children }: LimitedProps) {
  return (
    <div className="flex flex-col gap-3">
      <Checkbox label={label} checked={checked} onChange={onChange} />
      {checked && <div className="ml-6.5">{children}</div>}
    </div>
  );
}
