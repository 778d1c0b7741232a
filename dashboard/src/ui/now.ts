/** One clock for all times that are shown: a component renders only when its own text changes. */
import { useSyncExternalStore } from "react";

const watchers = new Set<() => void>();
let timer: ReturnType<typeof setInterval> | undefined;
let now = 0;

function watch(watcher: () => void): () => void {
  watchers.add(watcher);
  timer ??= setInterval(tick, 1000);
  return () => {
    watchers.delete(watcher);
    if (watchers.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  };
}

function tick(): void {
  now = Date.now() / 1000;
  for (const watcher of watchers) watcher();
}

export function useTextAt(text: (now: number) => string): string {
  return useSyncExternalStore(watch, () => {
    if (timer === undefined) now = Date.now() / 1000;
    return text(now);
  });
}
