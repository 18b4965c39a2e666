import { useInfiniteQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { ChevronRight, ScrollText } from 'lucide-react';
import { useState } from 'react';
import { toApiError } from '@/api/error';
import type { AuditEntry } from '@/api/types';
import { ServerName } from '@/features/jobs/job-list';
import { useMayAt } from '@/features/servers/may';
import { t } from '@/i18n';
import { Button } from '@/kit/button';
import { Code } from '@/kit/code-block';
import { cx } from '@/kit/cx';
import { shortId } from '@/kit/format';
import { useIsNarrow } from '@/kit/narrow';
import { Facts, Panel } from '@/kit/page';
import { Empty, ErrorState, LoadingRows, NoPermission } from '@/kit/states';
import { Badge } from '@/kit/status';
import { Table, Td, Th } from '@/kit/table';
import { Time } from '@/kit/time';
import { WORKSPACE } from '@/shell/rights';
import { useMay } from '@/shell/session';
import { meaningOf } from './actions';
import { auditQuery } from './data';
import { RedactDialog } from './redact';
import { type AuditSearch, isFiltered } from './search';
import { wordsOf } from './words';

/** Who did what, newest first; a row opens to show where from and with which request. */
export function AuditTable({
  search,
  ofOneServer = false,
  onActor,
  onAction,
  onClear,
}: {
  search: AuditSearch;
  /** Whether the list is of one server only, whose name needs no repeating. */
  ofOneServer?: boolean;
  onActor?: (id: string) => void;
  onAction?: (action: string) => void;
  onClear?: () => void;
}) {
  const mayRead = useMayAt('audit.read', ofOneServer ? search.server : undefined);
  const list = useInfiniteQuery({ ...auditQuery(search), enabled: mayRead });
  if (!mayRead) return <NoPermission missing={['audit.read']} />;
  const entries = list.data?.pages.flatMap((page) => page.data) ?? [];
  return (
    <>
      <Panel>
        {list.isPending ? (
          <LoadingRows />
        ) : list.isError && entries.length === 0 ? (
          <ErrorState error={toApiError(list.error)} onRetry={() => void list.refetch()} />
        ) : entries.length === 0 && onClear && isFiltered(search) ? (
          <Empty
            icon={ScrollText}
            title={t('audit.none_match_title')}
            action={<Button onClick={onClear}>{t('servers.clear_filters')}</Button>}
          >
            {t('audit.none_match_body')}
          </Empty>
        ) : entries.length === 0 ? (
          <Empty icon={ScrollText} title={t('audit.none_title')}>
            {t('audit.none_body')}
          </Empty>
        ) : (
          <Table label={t('audit.title')} className="table-fixed">
            <thead>
              <tr>
                <Th className="w-28">{t('audit.column.when')}</Th>
                <Th className="hidden w-44 md:table-cell">{t('audit.column.who')}</Th>
                <Th>{t('audit.column.what')}</Th>
                <Th className="hidden w-56 md:table-cell">{t('audit.column.on_what')}</Th>
                <Th className="w-20">{t('audit.column.result')}</Th>
              </tr>
            </thead>
            <tbody>
              {entries.map((entry) => (
                <EntryRows
                  key={entry.id}
                  entry={entry}
                  ofOneServer={ofOneServer}
                  onActor={onActor}
                  onAction={onAction}
                />
              ))}
            </tbody>
          </Table>
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

interface EntryRowsProps {
  entry: AuditEntry;
  ofOneServer: boolean;
  onActor?: (id: string) => void;
  onAction?: (action: string) => void;
}

function EntryRows({ entry, ofOneServer, onActor, onAction }: EntryRowsProps) {
  const [isOpen, setIsOpen] = useState(false);
  const words = wordsOf(entry);
  const meaning = words?.what ?? meaningOf(entry.action);
  const [redacting, setRedacting] = useState(false);
  // Columns that are not shown must not be spanned: they would take room from the others.
  const isNarrow = useIsNarrow();
  const mayRedact = useMay('audit.redact', WORKSPACE) && !entry.redacted_at;
  const actorName = entry.actor.name || (entry.actor.id ? shortId(entry.actor.id) : t('audit.nobody'));
  return (
    <>
      <tr className={cx('hover:bg-hover', isOpen && 'bg-hover')}>
        <Td className="text-fg-2">
          <Time at={entry.at} />
        </Td>
        <Td className="hidden truncate md:table-cell">
          {onActor && entry.actor.id ? (
            <button
              type="button"
              onClick={() => onActor(entry.actor.id ?? '')}
              className="max-w-full truncate hover:underline"
            >
              {actorName}
            </button>
          ) : (
            actorName
          )}
        </Td>
        <Td className="truncate">
          <button
            type="button"
            aria-expanded={isOpen}
            onClick={() => setIsOpen(!isOpen)}
            className="flex max-w-full items-center gap-1 rounded-sm text-left"
          >
            <ChevronRight
              aria-hidden
              className={cx('size-3.5 shrink-0 text-fg-3 transition-transform', isOpen && 'rotate-90')}
            />
            {meaning && <span className="truncate">{meaning}</span>}
            {!words && (
              <span
                className={cx(
                  'truncate font-mono',
                  meaning ? 'ml-1 text-2xs text-fg-3 max-sm:hidden' : 'text-xs',
                )}
              >
                {entry.action}
              </span>
            )}
            {entry.redacted_at && <Badge tone="idle">{t('audit.redacted')}</Badge>}
          </button>
        </Td>
        <Td className="hidden truncate text-fg-2 md:table-cell">
          <SubjectLink subject={entry.subject} />
          {entry.server_id && entry.subject.type !== 'server' && !ofOneServer && (
            <>
              {' · '}
              <ServerName id={entry.server_id} />
            </>
          )}
        </Td>
        <Td>
          <Badge tone={entry.result === 'ok' ? 'ok' : entry.result === 'denied' ? 'warn' : 'bad'}>
            {t(`audit.result.${entry.result}`)}
          </Badge>
        </Td>
      </tr>
      {isOpen && (
        <tr>
          <td colSpan={isNarrow ? 3 : 5} className="border-b bg-bg p-0">
            <EntryFacts entry={entry} actorName={actorName} />
            {(onAction || mayRedact) && (
              <div className="flex flex-wrap gap-2 px-4 pb-3">
                {onAction && (
                  <Button size="sm" onClick={() => onAction(entry.action)}>
                    {t('audit.only_action', { action: entry.action })}
                  </Button>
                )}
                {mayRedact && (
                  <Button size="sm" onClick={() => setRedacting(true)}>
                    {t('audit.redact.open')}
                  </Button>
                )}
              </div>
            )}
            <RedactDialog entry={entry} open={redacting} onClose={() => setRedacting(false)} />
          </td>
        </tr>
      )}
    </>
  );
}

function EntryFacts({ entry, actorName }: { entry: AuditEntry; actorName: string }) {
  const rows: [string, React.ReactNode][] = [
    [t('audit.column.when'), <Time key="at" at={entry.at} look="date" />],
    [t('audit.column.who'), `${actorName} (${entry.actor.type})`],
    [t('audit.column.on_what'), <SubjectLink key="subject" subject={entry.subject} />],
  ];
  if (entry.redacted_at)
    rows.push([t('audit.redacted'), <Time key="redacted" at={entry.redacted_at} look="date" />]);
  rows.push([t('audit.column.what'), <Code key="action" text={entry.action} />]);
  const words = wordsOf(entry);
  if (words) {
    if (words.message) rows.push([t('audit.happened'), words.message]);
    if (words.jobId) {
      rows.push([
        t('audit.job'),
        <Link
          key="job"
          to="/jobs/$jobId"
          params={{ jobId: words.jobId }}
          className="font-mono text-xs underline"
        >
          {shortId(words.jobId)}
        </Link>,
      ]);
    }
  }
  if (entry.ip) rows.push([t('audit.ip'), <Code key="ip" text={entry.ip} />]);
  if (entry.user_agent) rows.push([t('audit.user_agent'), entry.user_agent]);
  if (entry.request_id)
    rows.push([t('audit.request_id'), <Code key="request" text={entry.request_id} copy />]);
  if (hasContent(entry.details)) {
    rows.push([
      t('audit.details'),
      <pre key="details" className="whitespace-pre-wrap break-all font-mono text-xs">
        {JSON.stringify(entry.details, null, 2)}
      </pre>,
    ]);
  }
  if (typeof entry.position === 'number') rows.push([t('audit.position'), entry.position]);
  if (entry.hash) rows.push([t('audit.hash'), <Code key="hash" text={entry.hash} copy />]);
  return <Facts rows={rows} />;
}

function SubjectLink({ subject }: { subject: AuditEntry['subject'] }) {
  const name = subject.name || (subject.id ? shortId(subject.id) : '');
  if (subject.type === 'server' && subject.id) {
    return (
      <Link
        to="/servers/$serverId"
        params={{ serverId: subject.id }}
        className="hover:text-fg hover:underline"
      >
        {name}
      </Link>
    );
  }
  if (subject.type === 'job' && subject.id) {
    return (
      <Link to="/jobs/$jobId" params={{ jobId: subject.id }} className="hover:text-fg hover:underline">
        {name}
      </Link>
    );
  }
  const kind = subject.type.replaceAll('_', ' ');
  return name === '' ? kind : `${name} (${kind})`;
}

function hasContent(details: unknown): boolean {
  return typeof details === 'object' && details !== null && Object.keys(details).length > 0;
}
