export interface ChartSeries {
  name: string;
  /** null: nothing is known there; the curve has a gap. */
  values: readonly (number | null)[];
  kind?: "line" | "area" | "bars";
  /** Of the palette, 1 to 4; what is drawn later stands before what was drawn first. */
  tone?: 1 | 2 | 3 | 4;
}

export interface ChartProps {
  label: string;
  note?: string;
  /** Ascending. Times and days in seconds since 1970; days are those of UTC. */
  x: readonly number[];
  xKind: "time" | "day" | "number";
  xName: string;
  series: readonly ChartSeries[];
  format: (value: number) => string;
  height?: number;
  /** The scale begins at 0; with areas and bars it does anyway. */
  fromZero?: boolean;
  /** Counts: no tick stands between two of them. */
  isWhole?: boolean;
}

const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeZone: "UTC" });
const shortDay = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric", timeZone: "UTC" });
const moment = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

export function formatX({ xKind, xName }: Pick<ChartProps, "xKind" | "xName">, x: number | undefined): string {
  if (x === undefined) return "";
  if (xKind === "day") return day.format(x * 1000);
  return xKind === "time" ? moment.format(x * 1000) : `${xName} ${x.toLocaleString()}`;
}

export const formatShortDay = (x: number): string => shortDay.format(x * 1000);
