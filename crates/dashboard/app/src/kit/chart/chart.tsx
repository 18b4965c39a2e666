import { Table2 } from 'lucide-react';
import { useEffect, useId, useLayoutEffect, useRef, useState } from 'react';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { t } from '@/i18n';
import { IconButton } from '../button';
import { cx } from '../cx';
import { dateTime } from '../format';
import { useThemeName } from '../theme-name';
import { tickText, timeTicks, type Unit } from './units';

export interface ChartSeries {
  label: string;
  values: readonly (number | null)[];
  /** Which of the chart colours. */
  color: 1 | 2 | 3;
  /** A filled area below the line. */
  filled?: boolean;
}

export interface ChartProps {
  title: string;
  unit: Unit;
  /** Unix seconds. */
  times: readonly number[];
  series: readonly ChartSeries[];
  /** What the time axis shows, unix seconds. */
  from: number;
  to: number;
  /** Charts of one group share their crosshair. */
  group: string;
  onZoom?: (from: number, to: number) => void;
  /** Data that no longer moves is greyed. */
  stale?: boolean;
}

/** Lines over time: gaps stay gaps, the crosshair is shared, dragging zooms, and a table says the same in words. */
export function TimeChart(props: ChartProps) {
  const { title, unit, times, series, stale } = props;
  const [asTable, setAsTable] = useState(false);
  const [index, setIndex] = useState<number | null>(null);
  const captionId = useId();
  const shown = index ?? lastKnown(series);
  return (
    <figure aria-labelledby={captionId} className="min-w-0 px-4 py-3">
      <figcaption id={captionId} className="flex min-h-7 items-center gap-3">
        <span className="shrink-0 font-medium text-sm">{title}</span>
        <span className="tabular ml-auto flex min-w-0 flex-wrap justify-end gap-x-3 text-xs">
          {series.map((one) => (
            <span key={one.label} className="inline-flex items-center gap-1.5 text-fg-2">
              <span
                aria-hidden
                className="size-2 rounded-full"
                style={{ backgroundColor: `var(--chart-${one.color})` }}
              />
              {one.label}
              <span className="min-w-12 text-right font-medium text-fg">
                {unit.format(shown === null ? null : one.values[shown])}
              </span>
            </span>
          ))}
        </span>
        <IconButton
          icon={Table2}
          label={asTable ? t('chart.show_chart') : t('chart.show_table')}
          pressed={asTable}
          onClick={() => setAsTable(!asTable)}
          className="-mr-1.5"
        />
      </figcaption>
      {asTable ? (
        <ChartTable {...props} />
      ) : (
        <div
          role="img"
          aria-label={summary(props)}
          className={cx('relative mt-1 h-40', stale && 'opacity-50 grayscale')}
        >
          <Canvas {...props} onIndex={setIndex} />
          {times.length === 0 && (
            <p className="absolute inset-0 flex items-center justify-center text-fg-3 text-xs">
              {t('chart.no_data')}
            </p>
          )}
        </div>
      )}
    </figure>
  );
}

function Canvas({
  unit,
  times,
  series,
  from,
  to,
  group,
  onZoom,
  onIndex,
}: ChartProps & { onIndex: (index: number | null) => void }) {
  const host = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const latest = useRef({ from, to, onZoom, onIndex, unit });
  latest.current = { from, to, onZoom, onIndex, unit };
  const theme = useThemeName();
  const shape = series.map((one) => `${one.label}/${one.color}/${one.filled}`).join('|');
  const data = useRef<uPlot.AlignedData>([[]]);
  data.current = [times as number[], ...series.map((one) => one.values as (number | null)[])];
  const seriesRef = useRef(series);
  seriesRef.current = series;

  useLayoutEffect(() => {
    const element = host.current;
    if (!element) return;
    void shape;
    const chart = new uPlot(options(element, seriesRef.current, group, latest), data.current, element);
    plot.current = chart;
    const resize = new ResizeObserver(() => {
      const { clientWidth: width, clientHeight: height } = element;
      if (width > 0 && (width !== chart.width || height !== chart.height)) chart.setSize({ width, height });
    });
    resize.observe(element);
    return () => {
      resize.disconnect();
      chart.destroy();
      plot.current = null;
    };
  }, [shape, group]);

  useEffect(() => {
    void [times, series, from, to];
    plot.current?.setData(data.current);
  }, [times, series, from, to]);

  useEffect(() => {
    void theme;
    plot.current?.redraw(false);
  }, [theme]);

  return <div ref={host} className="absolute inset-0" />;
}

type Latest = {
  current: Pick<ChartProps, 'from' | 'to' | 'onZoom' | 'unit'> & { onIndex: (index: number | null) => void };
};

function options(
  element: HTMLElement,
  series: readonly ChartSeries[],
  group: string,
  latest: Latest,
): uPlot.Options {
  const css = (name: string) => getComputedStyle(element).getPropertyValue(name);
  const font = '11px "Inter Variable", sans-serif';
  const axis: uPlot.Axis = {
    stroke: () => css('--fg-3'),
    font,
    grid: { stroke: () => css('--chart-grid'), width: 1 },
    ticks: { show: false },
  };
  return {
    width: element.clientWidth || 320,
    height: element.clientHeight || 160,
    legend: { show: false },
    padding: [6, 4, 0, 0],
    cursor: {
      y: false,
      points: { size: 6 },
      drag: { x: true, y: false, setScale: false },
      // Only the position is shared: a drag in one chart is not a drag in all.
      sync: { key: group, filters: { pub: (type) => type === 'mousemove' || type === 'mouseleave' } },
    },
    scales: {
      x: { time: true, range: () => [latest.current.from, latest.current.to] },
      y: {
        range: (_, __, max) => {
          const { max: fixed, atLeast } = latest.current.unit;
          return [0, fixed ?? Math.max(atLeast, (max ?? 0) * 1.1)];
        },
      },
    },
    axes: [
      { ...axis, size: 24, gap: 4, space: 64, values: (_, splits, __, ___, step) => timeTicks(splits, step) },
      {
        ...axis,
        size: 62,
        gap: 6,
        space: 32,
        incrs: latest.current.unit.steps,
        values: (_, splits) => splits.map((value) => tickText(latest.current.unit, value)),
      },
    ],
    series: [
      {},
      ...series.map(
        (one): uPlot.Series => ({
          label: one.label,
          stroke: () => css(`--chart-${one.color}`),
          fill: one.filled ? () => withAlpha(css(`--chart-${one.color}`), 0.1) : undefined,
          width: 1.5,
          spanGaps: false,
          points: { show: (_, __, first, last) => last - first < 2, size: 3 },
        }),
      ),
    ],
    hooks: {
      setCursor: [
        (chart) =>
          latest.current.onIndex(
            chart.cursor.left === undefined || chart.cursor.left < 0 ? null : (chart.cursor.idx ?? null),
          ),
      ],
      setSelect: [
        (chart) => {
          const { left, width } = chart.select;
          if (width > 4)
            latest.current.onZoom?.(
              Math.floor(chart.posToVal(left, 'x')),
              Math.ceil(chart.posToVal(left + width, 'x')),
            );
          chart.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        },
      ],
    },
  };
}

/** `oklch(a b c)` → `oklch(a b c / alpha)`. */
function withAlpha(color: string, alpha: number): string {
  return color.replace(/\)\s*$/, ` / ${alpha})`);
}

/** The same numbers for those who cannot see a canvas, newest first. */
function ChartTable({ title, unit, times, series }: ChartProps) {
  const rows = times.map((_, row) => row).reverse();
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling box must be reachable by keyboard
    <section aria-label={title} tabIndex={0} className="mt-1 h-40 overflow-auto">
      <table className="tabular w-full text-left text-xs">
        <thead className="sticky top-0 bg-surface text-fg-3">
          <tr>
            <th scope="col" className="py-1 pr-3 font-medium">
              {t('chart.time')}
            </th>
            {series.map((one) => (
              <th key={one.label} scope="col" className="py-1 pr-3 text-right font-medium">
                {one.label}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={times[row]} className="border-t">
              <td className="whitespace-nowrap py-1 pr-3">
                {dateTime(new Date((times[row] ?? 0) * 1_000).toISOString())}
              </td>
              {series.map((one) => (
                <td key={one.label} className="whitespace-nowrap py-1 pr-3 text-right">
                  {unit.format(one.values[row])}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function lastKnown(series: readonly ChartSeries[]): number | null {
  const values = series[0]?.values ?? [];
  for (let row = values.length - 1; row >= 0; row -= 1) {
    if (values[row] !== null && values[row] !== undefined) return row;
  }
  return null;
}

function summary({ title, unit, series }: ChartProps): string {
  const parts = series.map((one) => {
    const known = one.values.filter((value): value is number => value !== null);
    if (known.length === 0) return `${one.label}: ${t('chart.no_data')}`;
    const [low, high] = [Math.min(...known), Math.max(...known)];
    return t('chart.summary', {
      label: one.label,
      low: unit.format(low),
      high: unit.format(high),
      last: unit.format(known.at(-1)),
    });
  });
  return `${title}. ${parts.join('; ')}`;
}
