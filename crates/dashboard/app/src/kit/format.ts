import { t } from '@/i18n';

const BINARY = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

/** `1536` → `1.5 KiB`. */
export function bytes(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return '–';
  let size = Math.abs(value);
  let unit = 0;
  while (size >= 1023.95 && unit < BINARY.length - 1) {
    size /= 1024;
    unit += 1;
  }
  return `${value < 0 ? '−' : ''}${threeDigits(size, unit === 0)} ${BINARY[unit]}`;
}

export function bytesPerSecond(value: number | null | undefined): string {
  return value === null || value === undefined ? '–' : `${bytes(value)}/s`;
}

export function percent(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return '–';
  return `${value.toFixed(value < 9.95 && value > 0 ? 1 : 0)} %`;
}

export function decimal(value: number | null | undefined): string {
  return value === null || value === undefined || !Number.isFinite(value)
    ? '–'
    : value.toFixed(value < 99.995 ? 2 : 0);
}

export function count(value: number): string {
  return value.toLocaleString('en');
}

/** How long something took: `840 ms`, `12.4 s`, `3 min 20 s`, `2 h 5 min`, `4 d 2 h`. */
export function duration(ms: number | null | undefined): string {
  if (ms === null || ms === undefined || !Number.isFinite(ms)) return '–';
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))} ms`;
  if (ms < 59_950) return `${(ms / 1_000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1_000);
  if (seconds < 3_600) return pair(Math.floor(seconds / 60), 'min', seconds % 60, 's');
  if (seconds < 86_400)
    return pair(Math.floor(seconds / 3_600), 'h', Math.floor((seconds % 3_600) / 60), 'min');
  return pair(Math.floor(seconds / 86_400), 'd', Math.floor((seconds % 86_400) / 3_600), 'h');
}

/** `just now`, `12 s ago`, `5 min ago`, `3 h ago`, `2 d ago`; times ahead read `in 5 min`. */
export function relativeTime(at: string, now: number): string {
  const seconds = Math.round((now - Date.parse(at)) / 1_000);
  if (!Number.isFinite(seconds)) return '–';
  const size = Math.abs(seconds);
  if (size < 5) return t('time.just_now');
  const text =
    size < 60
      ? `${size} s`
      : size < 3_600
        ? `${Math.floor(size / 60)} min`
        : size < 86_400
          ? `${Math.floor(size / 3_600)} h`
          : `${Math.floor(size / 86_400)} d`;
  return seconds > 0 ? t('time.ago', { span: text }) : t('time.ahead', { span: text });
}

const dateFormat = new Intl.DateTimeFormat('en-GB', {
  day: 'numeric',
  month: 'short',
  year: 'numeric',
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
});

export function dateTime(at: string): string {
  const date = new Date(at);
  return Number.isNaN(date.getTime()) ? '–' : dateFormat.format(date);
}

export function utcTime(at: string): string {
  const date = new Date(at);
  return Number.isNaN(date.getTime()) ? '–' : date.toISOString().slice(0, 19).replace('T', ' ');
}

/** `14:03:22.118`, for log lines. */
export function clockTime(at: string): string {
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return '';
  const two = (n: number) => String(n).padStart(2, '0');
  const ms = String(date.getMilliseconds()).padStart(3, '0');
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${ms}`;
}

/** The last eight hex digits, which people can type. */
export function shortId(id: string): string {
  return id.replaceAll('-', '').slice(-8);
}

function threeDigits(value: number, whole: boolean): string {
  if (whole) return String(Math.round(value));
  return value.toFixed(value < 9.995 ? 2 : value < 99.95 ? 1 : 0);
}

function pair(big: number, bigUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${big} ${bigUnit}` : `${big} ${bigUnit} ${small} ${smallUnit}`;
}
