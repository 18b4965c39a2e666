import { useQuery } from '@tanstack/react-query';
import { toApiError } from '@/api/error';
import type { Plan } from '@/api/types';
import { t } from '@/i18n';
import { count } from '@/kit/format';
import { Meter } from '@/kit/meter';
import { Panel, Section } from '@/kit/page';
import { ErrorState, LoadingRows, Notice } from '@/kit/states';
import { Badge } from '@/kit/status';
import { planQuery } from './data';
import { shareOf, standing } from './limits';
import '@/i18n/lazy/settings';

/** What the workspace may hold, and how much of that is used. */
export function PlanSection() {
  const plan = useQuery(planQuery);
  return (
    <Section title={t('settings.plan.title')} description={t('settings.plan.body')}>
      <Panel>
        {plan.isPending ? (
          <LoadingRows rows={2} />
        ) : plan.isError ? (
          <ErrorState error={toApiError(plan.error)} onRetry={() => void plan.refetch()} />
        ) : (
          <PlanFacts plan={plan.data} />
        )}
      </Panel>
    </Section>
  );
}

function PlanFacts({ plan }: { plan: Plan }) {
  return (
    <div className="divide-y text-sm">
      <div className="flex flex-wrap items-center gap-2 px-4 py-3">
        {plan.version === 0 ? (
          <span className="text-fg-2">{t('settings.plan.unnamed')}</span>
        ) : (
          <span className="font-medium">{plan.name}</span>
        )}
        {plan.features.map((feature) => (
          <Badge key={feature} tone="idle">
            {feature}
          </Badge>
        ))}
      </div>
      {(['servers', 'members'] as const).map((what) => (
        <Quota key={what} what={what} used={plan.used[what]} limit={plan.limits[what]} />
      ))}
    </div>
  );
}

function Quota({ what, used, limit }: { what: 'servers' | 'members'; used: number; limit: number | null }) {
  const label = t(`settings.plan.${what}`);
  return (
    <div className="px-4 py-3">
      <div className="flex items-baseline justify-between gap-3">
        <p>
          {label}
          {what === 'members' && (
            <span className="ml-2 text-fg-3 text-xs">{t('settings.plan.members_hint')}</span>
          )}
        </p>
        <p className="tabular shrink-0 text-fg-2">
          <QuotaNumbers used={used} limit={limit} />
        </p>
      </div>
      {limit !== null && <Meter label={label} value={shareOf(used, limit)} className="mt-2" />}
      {standing(used, limit) !== 'free' && (
        <div className="mt-3">
          <Notice>{t(`settings.plan.at_limit_${what}`)}</Notice>
        </div>
      )}
    </div>
  );
}

export function QuotaNumbers({ used, limit }: { used: number; limit: number | null }) {
  if (limit === null) {
    return (
      <>
        {count(used)} <span className="text-fg-3">· {t('settings.plan.no_limit')}</span>
      </>
    );
  }
  return t('settings.plan.of', { used: count(used), limit: count(limit) });
}
