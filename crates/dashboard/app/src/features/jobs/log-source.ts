import { api, checked, unwrap } from '@/api/client';
import { toApiError } from '@/api/error';
import { backoffMs } from '@/api/events/backoff';
import { readEvents } from '@/api/sse';
import type { Job, LogChunk, LogMatches, LogPage } from '@/api/types';
import type { LogPiece } from '@/kit/log/lines';
import type { LineRange } from '@/kit/log/link';
import { LogModel } from '@/kit/log/model';

/** Longer logs are not read from their start unless a link asks for a line there. */
const READ_WHOLE_BYTES = 32 * 1024 * 1024;
const TAIL_BYTES = 8 * 1024 * 1024;
const RANGE_LIMIT = 1024 * 1024;
/** How long lines are taken in before the page gets to draw and listen. */
const WORK_MS = 12;

export function createLogModel(job: Job, target: LineRange | null): LogModel {
  const fetchRange = (from: number, to: number) => readRange(job.id, from, to);
  return new LogModel(fetchRange, startOf(job.log.bytes, target));
}

/** Where to start reading a log of `size` bytes. */
export function startOf(size: number, target: LineRange | null): number {
  if (size <= READ_WHOLE_BYTES || target?.unit === 'line') return 0;
  const tail = size - TAIL_BYTES;
  return target === null ? tail : Math.max(0, Math.min(tail, target.first - TAIL_BYTES / 2));
}

const MATCHES_AT_ONCE = 100;

/** Looks through a bounded stretch of the log in the hub. */
export function searchLog(jobId: string, q: string, from: number, signal: AbortSignal): Promise<LogMatches> {
  const query = { q, from, limit: MATCHES_AT_ONCE };
  return unwrap(api.GET('/v1/jobs/{id}/log/search', { params: { path: { id: jobId }, query }, signal }));
}

async function readRange(jobId: string, from: number, to: number): Promise<LogPiece[]> {
  const pieces: LogPiece[] = [];
  let next = from;
  while (next < to) {
    // The route answers in several forms; the header below chooses this one.
    const page = (await unwrap<unknown>(
      api.GET('/v1/jobs/{id}/log', {
        params: { path: { id: jobId }, query: { from: next, limit: Math.min(RANGE_LIMIT, to - next) } },
        headers: { accept: 'application/json' },
      }),
    )) as LogPage;
    pieces.push(...page.data.map(pieceOf));
    if (page.next_offset <= next) break;
    next = page.next_offset;
  }
  return pieces;
}

/** Follows the log until the job ends, resuming where it stopped after every cut; ends early with `signal`. */
export async function followLog(
  jobId: string,
  model: LogModel,
  onEnd: (job: Job) => void,
  signal: AbortSignal,
): Promise<void> {
  let failures = 0;
  while (!signal.aborted) {
    const before = model.buffer.nextOffset;
    const outcome = await followOnce(jobId, model, onEnd, signal);
    if (signal.aborted || outcome === 'ended') return;
    if (outcome === 'refused') {
      model.setFeed({ phase: 'lost', retryAt: null });
      return;
    }
    failures = model.buffer.nextOffset > before ? 0 : failures + 1;
    const wait = backoffMs(failures);
    model.setFeed({ phase: 'lost', retryAt: Date.now() + wait });
    await sleep(wait, signal);
  }
}

async function followOnce(
  jobId: string,
  model: LogModel,
  onEnd: (job: Job) => void,
  signal: AbortSignal,
): Promise<'ended' | 'cut' | 'refused'> {
  let ended = false;
  try {
    const { response } = await checked(
      api.GET('/v1/jobs/{id}/log', {
        params: { path: { id: jobId }, query: { follow: true, from: model.buffer.nextOffset } },
        headers: { accept: 'text/event-stream' },
        parseAs: 'stream',
        signal,
      }),
    );
    if (!response.body) return 'cut';
    model.setFeed({ phase: 'live', retryAt: null });
    let workingSince = performance.now();
    await readEvents(
      response.body,
      async (events) => {
        for (const { event, data } of events) {
          if (event === 'log') model.push(pieceOf(JSON.parse(data) as LogChunk));
          if (event === 'end') {
            ended = true;
            model.setFeed({ phase: 'ended', retryAt: null });
            onEnd(JSON.parse(data) as Job);
          }
        }
        if (performance.now() - workingSince > WORK_MS) {
          await breathe();
          workingSince = performance.now();
        }
      },
      signal,
    );
  } catch (thrown) {
    const { status } = toApiError(thrown);
    if (status >= 400 && status < 500 && status !== 429) return 'refused';
    // Everything else is a cut that heals by itself.
  }
  return ended ? 'ended' : 'cut';
}

function pieceOf(chunk: LogChunk): LogPiece {
  const { offset, bytes, stream, at, text } = chunk;
  return { offset, bytes, stream, at, text, gap_bytes: chunk.gap_bytes ?? null };
}

/** Lets the browser draw and handle input; a timer would be slowed down in a hidden tab. */
function breathe(): Promise<void> {
  return new Promise((resolve) => {
    const channel = new MessageChannel();
    channel.port1.onmessage = () => {
      channel.port1.close();
      resolve();
    };
    channel.port2.postMessage(null);
  });
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener(
      'abort',
      () => {
        clearTimeout(timer);
        resolve();
      },
      { once: true },
    );
  });
}
