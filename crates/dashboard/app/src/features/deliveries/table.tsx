import { useInfiniteQuery } from '@tanstack/react-query';
import { Link, useNavigate } from '@tanstack/react-router';
import { Send } from 'lucide-react';
import type { MouseEvent, ReactNode } from 'react';
import { toApiError } from '@/api/error';
import type { Delivery } from '@/api/types';
import { t } from '@/i18n';
import { Button } from '@/kit/button';
import { Panel } from '@/kit/page';
import { useRowKeys } from '@/kit/row-keys';
import { Empty, ErrorState, LoadingRows } from '@/kit/states';
import { Table, Td, Th } from '@/kit/table';
import { Time } from '@/kit/time';
import { deliveriesQuery } from './data';
import type { DeliverySearch } from './search';
import { DeliveryStateMark, eventInWords, outcomeInWords } from './state';
import '@/i18n/lazy/deliveries';

interface DeliveryTableProps {
  search: DeliverySearch;
  /** In place of the table when nothing fits the filters. */
  empty: ReactNode;
}

export function DeliveryTable({ search, empty }: DeliveryTableProps) {
  const list = useInfiniteQuery(deliveriesQuery(search));
  const rows = list.data?.pages.flatMap((page) => page.data) ?? [];
  return (
    <>
      <Panel>
        {list.isPending ? (
          <LoadingRows rows={5} />
        ) : list.isError && rows.length === 0 ? (
          <ErrorState error={toApiError(list.error)} onRetry={() => void list.refetch()} />
        ) : rows.length === 0 ? (
          empty
        ) : (
          <Rows rows={rows} />
        )}
      </Panel>
      {list.hasNextPage && (
        <div className="mt-3 flex justify-center">
          <Button busy={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>
            {t('common.load_more')}
          </Button>
        </div>
      )}
    </>
  );
}

export function NothingSent() {
  return (
    <Empty icon={Send} title={t('deliveries.none_title')}>
      {t('deliveries.none_body')}
    </Empty>
  );
}

function Rows({ rows }: { rows: readonly Delivery[] }) {
  const navigate = useNavigate();
  const open = (delivery: Delivery | undefined) => {
    if (!delivery) return;
    void navigate({ to: '/settings/deliveries/$deliveryId', params: { deliveryId: delivery.id } });
  };
  const rowKeys = useRowKeys(rows.length, (index) => open(rows[index]));
  return (
    <Table label={t('deliveries.title')} className="table-fixed">
      <thead>
        <tr>
          <Th className="w-32">{t('deliveries.column.state')}</Th>
          <Th>{t('deliveries.column.event')}</Th>
          <Th className="hidden w-64 md:table-cell">{t('deliveries.column.to')}</Th>
          <Th className="hidden w-56 lg:table-cell">{t('deliveries.column.attempts')}</Th>
          <Th className="w-28 text-right">{t('deliveries.column.when')}</Th>
        </tr>
      </thead>
      <tbody onKeyDown={rowKeys.onKeyDown}>
        {rows.map((delivery, index) => (
          <Row
            key={delivery.id}
            delivery={delivery}
            rowProps={rowKeys.rowProps(index)}
            onOpen={() => open(delivery)}
          />
        ))}
      </tbody>
    </Table>
  );
}

interface RowProps {
  delivery: Delivery;
  rowProps: ReturnType<ReturnType<typeof useRowKeys>['rowProps']>;
  onOpen: () => void;
}

function Row({ delivery, rowProps, onOpen }: RowProps) {
  const onClick = (event: MouseEvent) => {
    if (event.target instanceof Element && event.target.closest('a, button')) return;
    onOpen();
  };
  const last = delivery.last_attempt;
  return (
    <tr
      {...rowProps}
      onClick={onClick}
      className="cursor-pointer -outline-offset-2 hover:bg-hover focus:bg-hover"
    >
      <Td>
        <DeliveryStateMark state={delivery.state} />
      </Td>
      <Td className="truncate">
        <Link
          to="/settings/deliveries/$deliveryId"
          params={{ deliveryId: delivery.id }}
          tabIndex={-1}
          className="block truncate hover:underline"
        >
          {eventInWords(delivery)}
          {delivery.subject && <span className="ml-1.5 text-fg-3">{delivery.subject}</span>}
        </Link>
      </Td>
      <Td className="hidden truncate text-fg-2 md:table-cell">
        {delivery.webhook ? `${delivery.webhook.name} · ${delivery.to}` : delivery.to}
      </Td>
      <Td className="hidden truncate text-fg-2 lg:table-cell">
        {delivery.attempts}
        {last && delivery.state !== 'delivered' && ` · ${outcomeInWords(last)}`}
        {delivery.next_attempt_at && (
          <>
            {' · '}
            <Time at={delivery.next_attempt_at} />
          </>
        )}
      </Td>
      <Td className="text-right text-fg-2">
        <Time at={delivery.created_at} />
      </Td>
    </tr>
  );
}
