import { t } from '@/i18n';
import { Page, Section } from '@/kit/page';
import { Segmented } from '@/kit/segmented';
import { Avatar } from '@/shell/avatar';
import { useSession } from '@/shell/session';
import { type ThemeChoice, useTheme } from '@/shell/theme';
import { ApiKeys } from './api-keys';
import { EmailAddress } from './email';
import { Identities } from './identities';
import { Membership } from './membership';
import { OperatorKeys } from './operator-keys';
import { Passkeys } from './passkeys';
import { Password } from './password';
import { Sessions } from './sessions';
import { TwoFactor } from './two-factor';

export function AccountPage() {
  const session = useSession();
  if (!session) return null;
  return (
    <Page title={t('account.title')} width="reading">
      <div className="flex flex-col gap-10">
        <div className="flex items-center gap-3">
          <Avatar name={session.user.name} className="size-10 text-sm" />
          <div className="min-w-0">
            <p className="truncate font-medium">{session.user.name}</p>
            <p className="truncate text-fg-2 text-sm">{session.user.email}</p>
          </div>
        </div>
        <Appearance />
        <Membership />
        <EmailAddress />
        <Password />
        <Passkeys />
        <TwoFactor />
        <Identities />
        <Sessions />
        <ApiKeys />
        <OperatorKeys />
      </div>
    </Page>
  );
}

function Appearance() {
  const [theme, setTheme] = useTheme();
  return (
    <Section title={t('account.appearance')}>
      <Segmented<ThemeChoice>
        label={t('shell.theme.label')}
        value={theme}
        options={(['light', 'dark', 'system'] as const).map((value) => ({
          value,
          label: t(`shell.theme.${value}`),
        }))}
        onChange={setTheme}
      />
    </Section>
  );
}
