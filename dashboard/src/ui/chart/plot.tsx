import { useComputedColorScheme } from "@mantine/core";
import { type KeyboardEvent, useEffect, useRef } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import classes from "./chart.module.css";
import { type ChartProps, type ChartSeries, formatShortDay } from "./model";

type PlotProps = ChartProps & { height: number; onPoint: (at: number | null) => void };
const DAY = 86_400;
const WHOLE = [0, 1, 2, 3, 4, 5, 6, 7].flatMap((power) => [1, 2, 5].map((one) => one * 10 ** power));

export default function Plot(props: PlotProps) {
  const { x, series, height, label, onPoint } = props;
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const scheme = useComputedColorScheme();
  const looks = JSON.stringify([scheme, height, props.xKind, series.map(({ name, kind, tone }) => [name, kind, tone])]);

  useEffect(() => {
    const node = place.current;
    if (!node) return;
    const made = new uPlot(optionsOf(props, node), dataOf(x, series), node);
    plot.current = made;
    const watching = new ResizeObserver(() => made.setSize({ width: node.clientWidth, height }));
    watching.observe(node);
    return () => {
      watching.disconnect();
      made.destroy();
      plot.current = null;
    };
    // New numbers are put into the plot that is there (below); only another look makes another plot.
  }, [looks]);

  useEffect(() => plot.current?.setData(dataOf(x, series)), [x, series]);

  const step = (event: KeyboardEvent) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (event.key === "Escape") onPoint(null);
    if (by === undefined || !plot.current) return;
    event.preventDefault();
    const now = plot.current.cursor.idx ?? (by < 0 ? x.length : -1);
    const next = Math.max(0, Math.min(x.length - 1, now + by));
    plot.current.setCursor({ left: plot.current.valToPos(x[next] ?? 0, "x"), top: 0 });
  };
  return (
    <div
      ref={place}
      className={classes.plot}
      style={{ height }}
      role="img"
      aria-label={`Chart of ${label}. The button before it shows the numbers as a table.`}
      tabIndex={0}
      onKeyDown={step}
      onBlur={() => onPoint(null)}
    />
  );
}

const dataOf = (x: readonly number[], series: readonly ChartSeries[]): uPlot.AlignedData =>
  [[...x], ...series.map(({ values }) => [...values])] as uPlot.AlignedData;

function optionsOf(props: PlotProps, node: HTMLElement): uPlot.Options {
  const style = getComputedStyle(node);
  const colour = (name: string) => style.getPropertyValue(name).trim();
  const axis = { stroke: colour("--mantine-color-dimmed"), font: `12px ${style.fontFamily}`, grid: { stroke: colour("--border"), width: 1 }, ticks: { show: false } };
  const zeroBased = props.fromZero || props.series.some(({ kind }) => kind === "area" || kind === "bars");
  return {
    width: node.clientWidth,
    height: props.height,
    padding: [8, 12, 0, 0],
    legend: { show: false },
    cursor: { y: false, points: { size: 7 }, drag: { setScale: false, x: false, y: false } },
    scales: {
      x: { time: props.xKind === "time", ...(props.xKind === "day" && { range: (_, least, most) => [least - DAY / 2, most + DAY / 2] as [number, number] }) },
      y: zeroBased ? { range: (_, __, most) => uPlot.rangeNum(0, most || 1, 0.1, true) as [number, number] } : {},
    },
    axes: [
      { ...axis, size: 30, grid: { show: false }, ...(props.xKind === "day" && { splits: splitsOfDays, values: (_, at) => at.map(formatShortDay) }) },
      { ...axis, size: 68, space: 36, ...(props.isWhole && { incrs: WHOLE }), values: (_, at) => at.map((value) => props.format(value)) },
    ],
    series: [{}, ...props.series.map((one) => lookOf(one, colour))],
    hooks: { setCursor: [(plot) => props.onPoint(plot.cursor.left === undefined || plot.cursor.left < 0 ? null : (plot.cursor.idx ?? null))] },
  };
}

/** Days that were recorded, so many as have room for their names. */
function splitsOfDays(plot: uPlot): number[] {
  const days = plot.data[0] as number[];
  const every = Math.max(1, Math.ceil((days.length * 64) / Math.max(64, plot.width - 80)));
  return days.filter((_, at) => (days.length - 1 - at) % every === 0);
}

function lookOf({ name, kind = "line", tone = 1 }: ChartSeries, colour: (name: string) => string): uPlot.Series {
  const line = colour(`--chart-${tone}`);
  const soft = colour(`--chart-${tone}-soft`);
  if (kind === "bars") return { label: name, stroke: line, fill: line, width: 0, ...(uPlot.paths.bars && { paths: uPlot.paths.bars({ size: [0.62, 42], radius: 0.12 }) }), points: { show: false } };
  return { label: name, stroke: line, width: 2, points: { size: 5, fill: line }, ...(kind === "area" && { fill: soft }) };
}
