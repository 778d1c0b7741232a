/** Times of the API are seconds since 1970; people read them in their own zone. */
import { lazily } from "./lazily";

const absolute = lazily(() => new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" }));
const withZone = lazily(() => new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" }));
const clock = lazily(() => new Intl.DateTimeFormat(undefined, { timeStyle: "medium" }));
const day = lazily(() => new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric" }));
const dayAndYear = lazily(() => new Intl.DateTimeFormat(undefined, { dateStyle: "medium" }));
const relative = lazily(() => new Intl.RelativeTimeFormat(undefined, { numeric: "auto", style: "short" }));

export const formatTime = (at: number): string => absolute().format(at * 1000);
/** With weekday and zone, for the title of a time. */
export const formatTimeWhole = (at: number): string => withZone().format(at * 1000);
export const formatClock = (at: number): string => clock().format(at * 1000);
export const formatDay = (at: number): string => day().format(at * 1000);

/** "just now", "5 min. ago", "in 2 days"; a date where it is longer than a month. `now` in seconds too. */
export function formatRelative(at: number, now: number): string {
  const by = at - now;
  const size = Math.abs(by);
  if (size < 10) return by > 1 ? "in a moment" : "just now";
  if (size < 60) return relative().format(Math.trunc(by / 10) * 10, "second"); // a text that changes each second is no news
  if (size < 3600) return relative().format(Math.trunc(by / 60), "minute");
  if (size < 86_400) return relative().format(Math.trunc(by / 3600), "hour");
  if (size < 30 * 86_400) return relative().format(Math.trunc(by / 86_400), "day");
  return dayAndYear().format(at * 1000);
}

/** "42 s", "3 min 20 s", "2 h 5 min", "4 d 3 h": two parts at most. */
export function formatDuration(seconds: number): string {
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  const parts: [number, string][] = [
    [Math.floor(whole / 86_400), "d"],
    [Math.floor((whole % 86_400) / 3600), "h"],
    [Math.floor((whole % 3600) / 60), "min"],
    [whole % 60, "s"],
  ];
  const from = parts.findIndex(([many]) => many > 0);
  return parts
    .slice(from, from + 2)
    .filter(([many]) => many > 0)
    .map(([many, unit]) => `${many} ${unit}`)
    .join(" ");
}

/** An estimate is no more exact than it is shown: to ten seconds below ten minutes, to the minute above. */
export function formatEta(seconds: number): string {
  if (seconds < 60) return `${Math.ceil(seconds)} s`;
  const by = seconds < 600 ? 10 : 60;
  return formatDuration(Math.round(seconds / by) * by);
}
