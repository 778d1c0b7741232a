import { lazily } from "./lazily";

const whole = lazily(() => new Intl.NumberFormat());
const short = lazily(() => new Intl.NumberFormat(undefined, { notation: "compact", maximumFractionDigits: 1 }));
const UNITS = ["B", "KB", "MB", "GB", "TB", "PB"];

/** Small numbers without the formatter, whose making takes longer than fifty rows. */
export const formatCount = (many: number): string => (many >= 0 && many < 1000 && Number.isInteger(many) ? String(many) : whole().format(many));
export const formatCountShort = (many: number): string => (many < 10_000 ? formatCount(many) : short().format(many));

/** Of bytes, by thousands, as disks are sold and our CLI prints them. */
export function formatSize(bytes: number): string {
  let size = bytes;
  let unit = 0;
  while (size >= 999.5 && unit < UNITS.length - 1) {
    size /= 1000;
    unit += 1;
  }
  return `${unit === 0 || size >= 99.5 ? Math.round(size) : size.toFixed(1)} ${UNITS[unit]}`;
}

export function formatPercent(percent: number): string {
  if (percent >= 100) return "100 %";
  // 99.96 is not done yet: never rounded up to what it is not.
  return percent < 10 || percent > 99 ? `${(Math.floor(percent * 10) / 10).toFixed(1)} %` : `${Math.floor(percent)} %`;
}

/** Of items a second; slow ones by the minute or the hour. */
export function formatRate(perSecond: number): string {
  if (perSecond >= 100) return `${short().format(Math.round(perSecond))}/s`;
  if (perSecond >= 1) return `${perSecond.toFixed(1)}/s`;
  if (perSecond * 60 >= 1) return `${(perSecond * 60).toFixed(1)}/min`;
  return `${(perSecond * 3600).toFixed(1)}/h`;
}

/** Of a metric: as short as is honest. */
export function formatValue(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e7)) return value.toExponential(3);
  return Number(value.toPrecision(5)).toLocaleString(undefined, { maximumSignificantDigits: 5 });
}

export const plural = (many: number, one: string, more = `${one}s`): string =>
  `${formatCount(many)} ${many === 1 ? one : more}`;
