import { useQuery } from '@tanstack/react-query';
import { useParams } from '@tanstack/react-router';
import { CircleCheck, Clock, FileLock2, LockKeyholeOpen, ShieldAlert, UserRound } from 'lucide-react';
import { type ReactNode, useState } from 'react';
import type { Policy, ServerDetail } from '@/api/types';
import { t } from '@/i18n';
import { Button } from '@/kit/button';
import { Panel, Section } from '@/kit/page';
import { LoadingRows, Notice } from '@/kit/states';
import { Badge } from '@/kit/status';
import { useLive } from '@/shell/live';
import { placeOf } from '@/shell/rights';
import { useMay } from '@/shell/session';
import { serverQuery } from '../data';
import { RestrictDialog } from './restrict';
import { isOpen, type Rule, type RuleInForce, rulesInForce } from './rules';
import { AgentToken } from './token';

/** What this hub may do on the host, by whose decision, and how to narrow it. */
export function PolicyTab() {
  const { serverId } = useParams({ from: '/inside/servers/$serverId' });
  const server = useQuery(serverQuery(serverId)).data;
  if (!server) return <LoadingRows rows={5} />;
  return (
    <div className="flex flex-col gap-8">
      <InForce server={server} />
      <Operators policy={server.policy} />
      <AgentToken server={server} />
    </div>
  );
}

function InForce({ server }: { server: ServerDetail }) {
  const mayManage = useMay('servers.manage', placeOf(server));
  const [restricting, setRestricting] = useState(false);
  const { policy } = server;
  return (
    <Section
      title={t('policy.title')}
      description={t('policy.body')}
      actions={
        mayManage &&
        server.status !== 'revoked' && (
          <Button icon={FileLock2} onClick={() => setRestricting(true)}>
            {t('policy.restrict')}
          </Button>
        )
      }
    >
      <div className="flex flex-col gap-3">
        <Pending server={server} />
        {!policy ? (
          <Panel>
            <p className="px-4 py-3 text-fg-2 text-sm">{t('policy.unknown')}</p>
          </Panel>
        ) : policy.source === 'unreadable' ? (
          <Notice icon={ShieldAlert} tone="bad">
            <p className="font-medium">{t('policy.unreadable')}</p>
            <div className="text-fg-2">
              {policy.problem && <p className="font-mono text-xs">{policy.problem}</p>}
              <p>{t('policy.unreadable_next')}</p>
            </div>
          </Notice>
        ) : (
          <>
            <p className="flex items-center gap-2 text-fg-2 text-sm">
              {isOpen(policy) ? (
                <LockKeyholeOpen aria-hidden className="size-4 shrink-0 text-fg-3" />
              ) : (
                <CircleCheck aria-hidden className="size-4 shrink-0 text-ok" />
              )}
              {isOpen(policy)
                ? t('policy.open')
                : policy.source === 'file'
                  ? t('policy.from_file')
                  : t('policy.no_file')}
            </p>
            <RuleTable policy={policy} />
          </>
        )}
      </div>
      <RestrictDialog server={server} open={restricting} onClose={() => setRestricting(false)} />
    </Section>
  );
}

/** What the hub wants and the host has not confirmed. */
function Pending({ server }: { server: ServerDetail }) {
  const { status } = useLive(server);
  const wanted = server.restrictions;
  if (!wanted || wanted.in_force) return null;
  return (
    <Notice icon={Clock}>
      <p className="font-medium">{t('policy.pending')}</p>
      <p>{status === 'online' ? t('policy.pending_online') : t('policy.pending_offline')}</p>
    </Notice>
  );
}

function RuleTable({ policy }: { policy: Policy }) {
  return (
    <Panel>
      <table aria-label={t('policy.title')} className="w-full text-left text-sm">
        <thead className="hidden sm:table-header-group">
          <tr className="border-b text-fg-3 text-xs">
            <th scope="col" className="h-9 w-48 px-4 font-medium">
              {t('policy.column.rule')}
            </th>
            <th scope="col" className="px-3 font-medium">
              {t('policy.column.in_force')}
            </th>
            <th scope="col" className="px-4 font-medium">
              {t('policy.column.why')}
            </th>
          </tr>
        </thead>
        <tbody className="divide-y">
          {rulesInForce(policy).map((row) => (
            <tr key={row.rule} className="block px-4 py-3 align-top sm:table-row">
              <th scope="row" className="block font-medium sm:table-cell sm:px-4 sm:py-3">
                {t(`policy.rule.${row.rule}`)}
                <span className="block font-normal text-fg-3 text-xs">
                  {t(`policy.rule_hint.${row.rule}`)}
                </span>
              </th>
              <td className="mt-2 block sm:table-cell sm:px-3 sm:py-3">
                <Values rule={row.rule} values={row.inForce} />
              </td>
              <td className="mt-1 block text-fg-2 sm:table-cell sm:px-4 sm:py-3">
                <Why row={row} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Panel>
  );
}

function Values({ rule, values }: { rule: Rule; values: readonly string[] | null }): ReactNode {
  if (values === null) return <span className="text-fg-3">{t(`policy.unrestricted.${rule}`)}</span>;
  if (values.length === 0) return <Badge tone="warn">{t('policy.nothing')}</Badge>;
  return (
    <span className="flex flex-wrap gap-1">
      {values.map((value) => (
        <span
          key={value}
          className="inline-flex min-h-5 items-center break-all rounded-sm border bg-bg px-1.5 font-mono text-xs"
        >
          {value}
        </span>
      ))}
    </span>
  );
}

function Why({ row }: { row: RuleInForce }) {
  const { rule, file, hub } = row;
  if (file === null && hub === null) return <span className="text-fg-3">{t('policy.why.nobody')}</span>;
  const text = (list: readonly string[]) => (list.length === 0 ? t('policy.nothing') : list.join(', '));
  if (rule === 'require_operator_signature' || (file === null) !== (hub === null)) {
    return (
      <ul>
        {file !== null && <li>{t('policy.why.file')}</li>}
        {hub !== null && <li>{t('policy.why.hub')}</li>}
      </ul>
    );
  }
  return (
    <ul>
      <li>{t('policy.why.file_says', { list: text(file ?? []) })}</li>
      <li>{t('policy.why.hub_says', { list: text(hub ?? []) })}</li>
    </ul>
  );
}

function Operators({ policy }: { policy: Policy | null }) {
  const operators = policy?.operators ?? [];
  const isAsked = policy ? (rulesInForce(policy).at(-1)?.inForce ?? null) !== null : false;
  if (!policy || policy.source === 'unreadable') return null;
  return (
    <Section title={t('policy.operators')} description={t('policy.operators_body')}>
      {operators.length === 0 && isAsked ? (
        <Notice icon={ShieldAlert}>{t('policy.operators_missing')}</Notice>
      ) : (
        <Panel>
          {operators.length === 0 ? (
            <p className="px-4 py-3 text-fg-2 text-sm">{t('policy.operators_none')}</p>
          ) : (
            <ul className="divide-y">
              {operators.map((operator) => (
                <li key={operator.fingerprint} className="flex items-start gap-3 px-4 py-2.5 text-sm">
                  <UserRound aria-hidden className="mt-0.5 size-4 shrink-0 text-fg-3" />
                  <span className="min-w-0">
                    <span className="block">{operator.comment || t('signing.no_comment')}</span>
                    <span className="block break-all font-mono text-fg-3 text-xs">
                      {operator.fingerprint}
                    </span>
                  </span>
                </li>
              ))}
            </ul>
          )}
        </Panel>
      )}
    </Section>
  );
}
