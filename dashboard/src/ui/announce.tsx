/** What changed, said to those who hear the page: politely, and not each word of a torrent. */
import { useSyncExternalStore } from "react";

const PAUSE = 2500;
const watchers = new Set<() => void>();
let waiting: string[] = [];
let text = "";
let timer: ReturnType<typeof setTimeout> | undefined;

export function announce(what: string): void {
  waiting.push(what);
  timer ??= setTimeout(say, 300);
}

function say(): void {
  const [first, ...others] = waiting;
  waiting = [];
  text = others.length > 2 ? `${first}; and ${others.length} more changes` : [first, ...others].join("; ");
  timer = setTimeout(() => {
    timer = undefined;
    if (waiting.length > 0) timer = setTimeout(say, 0);
  }, PAUSE);
  for (const watcher of watchers) watcher();
}

const watch = (watcher: () => void) => {
  watchers.add(watcher);
  return () => watchers.delete(watcher);
};

export function Announcer() {
  const said = useSyncExternalStore(watch, () => text);
  return (
    <div className="visually-hidden" role="status" aria-live="polite">
      {said}
    </div>
  );
}
