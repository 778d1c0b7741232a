import type { PointerEvent } from "react";
import { formatDuration, formatRelative, formatTime, formatTimeWhole } from "@/format/time";
import { useTextAt } from "./now";

/** The whole time, with weekday and zone, for who points at it: a table has a hundred of them, and at most one is asked for. */
const tellWhole = (at: number) => (event: PointerEvent<HTMLElement>) => {
  event.currentTarget.title = formatTimeWhole(at);
};

/** How long ago, with the time itself in the title; in the viewer's zone. */
export function Ago({ at }: { at: number }) {
  const text = useTextAt((now) => formatRelative(at, now));
  return (
    <time dateTime={new Date(at * 1000).toISOString()} onPointerEnter={tellWhole(at)}>
      {text}
    </time>
  );
}

/** The time itself. */
export function At({ at }: { at: number }) {
  return (
    <time dateTime={new Date(at * 1000).toISOString()} onPointerEnter={tellWhole(at)}>
      {formatTime(at)}
    </time>
  );
}

/** How long since, counting on. */
export function Since({ at }: { at: number }) {
  return <>{useTextAt((now) => formatDuration(Math.max(0, Math.floor(now - at))))}</>;
}
