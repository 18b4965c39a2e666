import { useQuery } from '@tanstack/react-query';
import { CircleCheck, KeyRound } from 'lucide-react';
import { useState } from 'react';
import { toApiError } from '@/api/error';
import type { Installation, MailTest } from '@/api/types';
import { emailError } from '@/features/auth/validate';
import { Tenants } from '@/features/workspaces/tenants';
import { t } from '@/i18n';
import { Button } from '@/kit/button';
import { Code, CommandLine } from '@/kit/code-block';
import { Field } from '@/kit/field';
import { Input } from '@/kit/input';
import { Facts, Panel, Section } from '@/kit/page';
import { ErrorState, InlineError, LoadingRows, NoPermission, Notice } from '@/kit/states';
import { useForm } from '@/kit/use-form';
import { WORKSPACE } from '@/shell/rights';
import { useMay, useSession } from '@/shell/session';
import { SettingsFrame } from '@/shell/settings-frame';
import { installationQuery, sendTestMail } from './data';
import '@/i18n/lazy/settings';

const MAIL_LINES = `[mail]
host = "smtp.example.net"
username = "roadstead"
password_file = "/etc/roadstead/mail-password"
from = "Roadstead <roadstead@example.net>"`;

export function HubPage() {
  const may = useMay('hub.manage', WORKSPACE);
  const hub = useQuery({ ...installationQuery, enabled: may });
  if (!may) return <NoPermission missing={['hub.manage']} />;
  return (
    <SettingsFrame title={t('settings.hub.title')} width="full">
      {hub.isPending ? (
        <Panel className="max-w-2xl">
          <LoadingRows rows={4} />
        </Panel>
      ) : hub.isError ? (
        <ErrorState error={toApiError(hub.error)} onRetry={() => void hub.refetch()} />
      ) : (
        <div className="flex flex-col gap-10">
          <HubFacts hub={hub.data} />
          <Mail mail={hub.data.mail} />
          <Providers providers={hub.data.providers} />
          <Tenants />
        </div>
      )}
    </SettingsFrame>
  );
}

function tlsWords(mode: string): string {
  if (mode === 'none') return t('settings.hub.mail_tls.none');
  return mode === 'tls' ? t('settings.hub.mail_tls.tls') : t('settings.hub.mail_tls.starttls');
}

function HubFacts({ hub }: { hub: Installation }) {
  return (
    <Section className="max-w-2xl" title={t('settings.hub.facts')} description={t('settings.hub.body')}>
      <Panel>
        <Facts
          rows={[
            [t('settings.hub.version'), <Code key="version" text={hub.version} />],
            [t('settings.hub.public_url'), <Code key="url" text={hub.public_url} copy />],
            [t('settings.hub.database'), t(`settings.hub.database_name.${hub.database}`)],
            [
              t('settings.hub.passkeys'),
              hub.passkeys ? t('settings.hub.passkeys_yes') : t('settings.hub.passkeys_no'),
            ],
          ]}
        />
      </Panel>
    </Section>
  );
}

function Mail({ mail }: { mail: Installation['mail'] }) {
  return (
    <Section className="max-w-2xl" title={t('settings.hub.mail')} description={t('settings.hub.mail_body')}>
      {mail ? (
        <>
          <Panel>
            <Facts
              rows={[
                [t('settings.hub.mail_server'), `${mail.host}:${mail.port}, ${tlsWords(mail.tls)}`],
                [t('settings.hub.mail_from'), mail.from],
              ]}
            />
          </Panel>
          <TestMail />
        </>
      ) : (
        <div className="flex flex-col gap-3">
          <Notice tone="idle">{t('settings.hub.mail_none')}</Notice>
          <CommandLine compact command={MAIL_LINES} label={t('settings.hub.snippet')} />
        </div>
      )}
    </Section>
  );
}

/** What the mail server says is shown in its own words: they are what one searches for. */
function TestMail() {
  const email = useSession()?.user.email ?? '';
  const [answer, setAnswer] = useState<MailTest | null>(null);
  const form = useForm({
    initial: { to: email },
    validate: ({ to }) => ({ to: emailError(to) }),
    submit: ({ to }) => {
      setAnswer(null);
      return sendTestMail(to.trim());
    },
    onDone: setAnswer,
  });
  return (
    <form className="mt-4 flex flex-col gap-3" noValidate onSubmit={form.send}>
      <div className="flex max-w-md flex-wrap items-end gap-2">
        <Field label={t('settings.hub.sent_to')} error={form.errors.to} className="min-w-48 flex-1">
          <Input
            type="email"
            autoComplete="email"
            value={form.values.to}
            onChange={(event) => form.set('to', event.target.value)}
          />
        </Field>
        <Button type="submit" busy={form.busy} className={form.errors.to ? 'mb-5' : undefined}>
          {t('settings.hub.send_test')}
        </Button>
      </div>
      <div aria-live="polite">
        {answer?.accepted && (
          <p className="flex items-start gap-2 rounded-md bg-ok-soft px-3 py-2 text-ok text-sm">
            <CircleCheck aria-hidden className="mt-0.5 size-4 shrink-0" />
            <span className="min-w-0 break-words">
              {t('settings.hub.accepted', { response: answer.response })}
            </span>
          </p>
        )}
        {answer && !answer.accepted && (
          <Notice tone="bad">
            {t('settings.hub.refused')} {answer.response}
          </Notice>
        )}
        {form.failure && <InlineError error={form.failure} inItsWords />}
      </div>
    </form>
  );
}

function Providers({ providers }: { providers: Installation['providers'] }) {
  return (
    <Section
      className="max-w-2xl"
      title={t('settings.hub.providers')}
      description={t('settings.hub.providers_body')}
    >
      <Panel>
        {providers.length === 0 ? (
          <p className="px-4 py-3 text-fg-2 text-sm">{t('settings.hub.providers_none')}</p>
        ) : (
          <ul aria-label={t('settings.hub.providers')} className="divide-y">
            {providers.map((provider) => (
              <li key={provider.id} className="flex items-center gap-3 px-4 py-3 text-sm">
                <KeyRound aria-hidden className="size-4 shrink-0 text-fg-3" />
                <div className="min-w-0 flex-1">
                  <p className="font-medium">{provider.name}</p>
                  <p className="break-all font-mono text-fg-3 text-xs">{provider.issuer}</p>
                </div>
                <Code text={provider.id} />
              </li>
            ))}
          </ul>
        )}
      </Panel>
    </Section>
  );
}
