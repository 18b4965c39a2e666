import { useInfiniteQuery } from '@tanstack/react-query';
import { Link, useNavigate, useSearch } from '@tanstack/react-router';
import { Layers, SquareTerminal } from 'lucide-react';
import type { MouseEvent } from 'react';
import { toApiError } from '@/api/error';
import type { JobBatch } from '@/api/types';
import { commandOf } from '@/features/jobs/data';
import { t } from '@/i18n';
import { Button, ButtonLink } from '@/kit/button';
import { count } from '@/kit/format';
import { useIsNarrow } from '@/kit/narrow';
import { Page, Panel } from '@/kit/page';
import { useRowKeys } from '@/kit/row-keys';
import { Segmented } from '@/kit/segmented';
import { Empty, ErrorState, LoadingRows, NoPermission } from '@/kit/states';
import { BatchStateMark } from '@/kit/status';
import { Table, Td, Th } from '@/kit/table';
import { Time } from '@/kit/time';
import { useIsDisconnected } from '@/shell/connection-badge';
import { useMay } from '@/shell/session';
import { batchListQuery } from './data';
import { BatchBar } from './progress';
import type { BatchGroup } from './search';
import { selectorInWords } from './strategy';

export function BatchesPage() {
  const search = useSearch({ from: '/inside/batches' });
  const navigate = useNavigate({ from: '/batches' });
  const mayRead = useMay('jobs.read');
  const mayExec = useMay('servers.exec');
  const isDisconnected = useIsDisconnected();
  const list = useInfiniteQuery({ ...batchListQuery(search.state), enabled: mayRead });
  const batches = list.data?.pages.flatMap((page) => page.data) ?? [];
  const show = (state: BatchGroup | undefined) => void navigate({ search: { state }, replace: true });
  const runAction = mayExec && (
    <ButtonLink to="/jobs/new" search={{ on: 'several' }} tone="primary" icon={SquareTerminal}>
      {t('shell.run_command')}
    </ButtonLink>
  );
  if (!mayRead) return <NoPermission missing={['jobs.read']} />;
  return (
    <Page title={t('batches.title')} description={t('batches.body')} actions={runAction}>
      <Segmented<BatchGroup | 'all'>
        label={t('batches.filter_state')}
        className="mb-3"
        value={search.state ?? 'all'}
        options={(['all', 'open', 'succeeded', 'failed', 'cancelled'] as const).map((value) => ({
          value,
          label: t(`batches.group.${value}`),
        }))}
        onChange={(state) => show(state === 'all' ? undefined : state)}
      />
      <Panel className={isDisconnected ? 'opacity-60 grayscale' : undefined}>
        {list.isPending ? (
          <LoadingRows />
        ) : list.isError && batches.length === 0 ? (
          <ErrorState error={toApiError(list.error)} onRetry={() => void list.refetch()} />
        ) : batches.length > 0 ? (
          <BatchTable batches={batches} />
        ) : search.state ? (
          <Empty
            icon={Layers}
            title={t('batches.none_match_title')}
            action={<Button onClick={() => show(undefined)}>{t('servers.clear_filters')}</Button>}
          >
            {t('batches.none_match_body')}
          </Empty>
        ) : (
          <Empty icon={Layers} title={t('batches.none_title')} action={runAction}>
            {t('batches.none_body')}
          </Empty>
        )}
      </Panel>
      {list.hasNextPage && (
        <div className="mt-3 flex justify-center">
          <Button busy={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>
            {t('common.load_more')}
          </Button>
        </div>
      )}
    </Page>
  );
}

function BatchTable({ batches }: { batches: readonly JobBatch[] }) {
  return useIsNarrow() ? <Cards batches={batches} /> : <Rows batches={batches} />;
}

function Cards({ batches }: { batches: readonly JobBatch[] }) {
  return (
    <ul aria-label={t('batches.title')} className="divide-y">
      {batches.map((batch) => (
        <li key={batch.id} className="relative px-4 py-3">
          <Link
            to="/batches/$batchId"
            params={{ batchId: batch.id }}
            className="block truncate font-mono text-sm after:absolute after:inset-0 after:-outline-offset-2"
          >
            {commandOf(batch.args)}
          </Link>
          <BatchBar batch={batch} className="my-2" />
          <div className="flex items-center gap-3 text-fg-3 text-xs">
            <BatchStateMark state={batch.state} />
            <span className="min-w-0 flex-1 truncate">
              {t('batches.plan.servers', { count: batch.counts.total, shown: count(batch.counts.total) })}
            </span>
            <Time at={batch.created_at} />
          </div>
        </li>
      ))}
    </ul>
  );
}

function Rows({ batches }: { batches: readonly JobBatch[] }) {
  const navigate = useNavigate();
  const open = (batch: JobBatch | undefined) => {
    if (batch) void navigate({ to: '/batches/$batchId', params: { batchId: batch.id } });
  };
  const rowKeys = useRowKeys(batches.length, (index) => open(batches[index]));
  const onClick = (event: MouseEvent, batch: JobBatch) => {
    if (!(event.target instanceof Element && event.target.closest('a, button'))) open(batch);
  };
  return (
    <Table label={t('batches.title')} className="table-fixed">
      <thead>
        <tr>
          <Th className="w-52">{t('batches.column.state')}</Th>
          <Th>{t('batches.column.command')}</Th>
          <Th className="w-52">{t('batches.column.progress')}</Th>
          <Th className="w-24 text-right">{t('batches.column.servers')}</Th>
          <Th className="hidden w-48 xl:table-cell">{t('batches.where')}</Th>
          <Th className="w-28 text-right">{t('batches.column.created')}</Th>
        </tr>
      </thead>
      <tbody onKeyDown={rowKeys.onKeyDown}>
        {batches.map((batch, index) => (
          <tr
            key={batch.id}
            {...rowKeys.rowProps(index)}
            onClick={(event) => onClick(event, batch)}
            className="cursor-pointer -outline-offset-2 hover:bg-hover focus:bg-hover"
          >
            <Td>
              <BatchStateMark state={batch.state} />
            </Td>
            <Td className="truncate">
              <Link
                to="/batches/$batchId"
                params={{ batchId: batch.id }}
                tabIndex={-1}
                className="block truncate font-mono text-xs hover:underline"
                title={commandOf(batch.args)}
              >
                {commandOf(batch.args)}
              </Link>
            </Td>
            <Td>
              <BatchBar batch={batch} />
            </Td>
            <Td className="tabular text-right">{count(batch.counts.total)}</Td>
            <Td className="hidden truncate text-fg-2 xl:table-cell">{selectorInWords(batch.selector)}</Td>
            <Td className="text-right text-fg-2">
              <Time at={batch.created_at} />
            </Td>
          </tr>
        ))}
      </tbody>
    </Table>
  );
}
