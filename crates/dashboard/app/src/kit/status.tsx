import {
  Ban,
  CircleCheck,
  CircleDashed,
  CircleHelp,
  CirclePlay,
  CircleX,
  Clock,
  FileKey,
  Hourglass,
  type LucideIcon,
  OctagonPause,
  Pause,
  RefreshCw,
  TriangleAlert,
  Unplug,
} from 'lucide-react';
import type { JobBatchState, JobState, ServerStatus } from '@/api/types';
import { t } from '@/i18n';
import { cx } from './cx';
import { Tooltip } from './tooltip';

export type Tone = 'ok' | 'warn' | 'bad' | 'idle' | 'accent';

const textTones: Record<Tone, string> = {
  ok: 'text-ok',
  warn: 'text-warn',
  bad: 'text-bad',
  idle: 'text-idle',
  accent: 'text-accent',
};

const softTones: Record<Tone, string> = {
  ok: 'bg-ok-soft text-ok',
  warn: 'bg-warn-soft text-warn',
  bad: 'bg-bad-soft text-bad',
  idle: 'bg-idle-soft text-idle',
  accent: 'bg-accent-soft text-accent',
};

interface Sign {
  tone: Tone;
  icon: LucideIcon;
}

export const serverSigns: Record<ServerStatus, Sign> = {
  online: { tone: 'ok', icon: CircleCheck },
  suspect: { tone: 'warn', icon: TriangleAlert },
  offline: { tone: 'bad', icon: Unplug },
  pending: { tone: 'idle', icon: CircleDashed },
  revoked: { tone: 'idle', icon: Ban },
};

const jobSigns: Record<JobState, Sign> = {
  queued: { tone: 'idle', icon: Clock },
  awaiting_signature: { tone: 'warn', icon: FileKey },
  sent: { tone: 'idle', icon: Clock },
  running: { tone: 'accent', icon: CirclePlay },
  reconciling: { tone: 'warn', icon: RefreshCw },
  succeeded: { tone: 'ok', icon: CircleCheck },
  failed: { tone: 'bad', icon: CircleX },
  cancelled: { tone: 'idle', icon: Ban },
  timed_out: { tone: 'warn', icon: Clock },
  interrupted: { tone: 'bad', icon: TriangleAlert },
  expired: { tone: 'warn', icon: Hourglass },
  lost: { tone: 'warn', icon: CircleHelp },
  rejected: { tone: 'bad', icon: Ban },
};

const batchSigns: Record<JobBatchState, Sign> = {
  running: { tone: 'accent', icon: CirclePlay },
  paused: { tone: 'idle', icon: Pause },
  halted: { tone: 'bad', icon: OctagonPause },
  succeeded: { tone: 'ok', icon: CircleCheck },
  failed: { tone: 'warn', icon: TriangleAlert },
  cancelled: { tone: 'idle', icon: Ban },
};

/** Colour, icon and word together; never colour alone. */
export function ServerStatusMark({ status, soft }: { status: ServerStatus; soft?: boolean }) {
  return <Mark {...serverSigns[status]} text={t(`status.server.${status}`)} soft={soft} />;
}

/** Pointing at it says what the state means and what happens next. */
export function JobStateMark({ state, soft }: { state: JobState; soft?: boolean }) {
  const sign = jobSigns[state];
  return (
    <Tooltip content={t(`status.job_means.${state}`)}>
      <span className="inline-flex">
        <Mark {...sign} text={t(`status.job.${state}`)} soft={soft} pulse={state === 'running'} />
      </span>
    </Tooltip>
  );
}

export function BatchStateMark({ state, soft }: { state: JobBatchState; soft?: boolean }) {
  return (
    <Tooltip content={t(`status.batch_means.${state}`)}>
      <span className="inline-flex">
        <Mark
          {...batchSigns[state]}
          text={t(`status.batch.${state}`)}
          soft={soft}
          pulse={state === 'running'}
        />
      </span>
    </Tooltip>
  );
}

interface MarkProps extends Sign {
  text: string;
  soft?: boolean;
  pulse?: boolean;
}

export function Mark({ tone, icon: Icon, text, soft = false, pulse = false }: MarkProps) {
  return (
    <span
      className={cx(
        'inline-flex items-center gap-1.5 whitespace-nowrap align-middle font-medium text-sm',
        soft ? cx('h-6 rounded-full pr-2.5 pl-2 text-xs', softTones[tone]) : textTones[tone],
      )}
    >
      <Icon aria-hidden className={cx('size-3.5 shrink-0', pulse && 'animate-pulse-soft')} />
      {text}
    </span>
  );
}

/** A quiet word beside a name. */
export function Badge({ tone = 'idle', children }: { tone?: Tone; children: string }) {
  return (
    <span
      className={cx(
        'inline-flex h-5 items-center whitespace-nowrap rounded-sm px-1.5 font-medium text-2xs',
        softTones[tone],
      )}
    >
      {children}
    </span>
  );
}
