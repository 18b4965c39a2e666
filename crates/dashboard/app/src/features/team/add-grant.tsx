import type { Member } from '@/api/types';
import { t } from '@/i18n';
import { Button } from '@/kit/button';
import { Dialog, FormActions } from '@/kit/dialog';
import { InlineError } from '@/kit/states';
import { toast } from '@/kit/toast';
import { useForm } from '@/kit/use-form';
import { useMemberActions } from './data';
import { GrantFields } from './grant-fields';
import { blankGrant, grantedOf, grantProblems, scopeOf } from './values';
import { sameGrant } from './words';

interface AddGrantProps {
  member: Member;
  open: boolean;
  onClose: () => void;
}

export function AddGrant({ member, open, onClose }: AddGrantProps) {
  return (
    <Dialog open={open} onClose={onClose} title={t('team.grant.add_title', { name: member.name })} width="md">
      {open && <AddForm member={member} onClose={onClose} />}
    </Dialog>
  );
}

function AddForm({ member, onClose }: { member: Member; onClose: () => void }) {
  const { setGrants } = useMemberActions(member);
  const form = useForm({
    initial: { ...blankGrant },
    validate: (values) => {
      const problems = grantProblems(values);
      const scope = scopeOf(values);
      const isHeld =
        scope && member.grants.some((one) => sameGrant(one, { granted: grantedOf(values), scope }));
      return isHeld ? { granted: t('team.grant.already', { name: member.name }) } : problems;
    },
    submit: (values) =>
      setGrants.mutateAsync([
        ...member.grants.map(({ granted, scope }) => ({ granted, scope })),
        { granted: grantedOf(values), scope: scopeOf(values) ?? { type: 'workspace' } },
      ]),
    onDone: () => {
      toast.done(t('team.grant.added', { name: member.name }));
      onClose();
    },
  });
  return (
    <form className="flex flex-col gap-5" noValidate onSubmit={form.send}>
      <GrantFields values={form.values} errors={form.errors} onChange={form.patch} />
      {form.failure && <InlineError error={form.failure} />}
      <FormActions>
        <Button onClick={onClose}>{t('common.cancel')}</Button>
        <Button type="submit" tone="primary" busy={form.busy}>
          {t('team.grant.add')}
        </Button>
      </FormActions>
    </form>
  );
}
