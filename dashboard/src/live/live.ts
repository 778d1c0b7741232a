/** What happens, as pages hear of it: from the worker that all tabs share, or by themselves where browsers have none. */
import { API } from "@/api/client";
import { Feed, type FeedMessage, type FeedState } from "./feed";
import type { ToWorker } from "./worker";

type Listener = (data: never) => void;

const listeners = new Map<string, Set<Listener>>();
const watchers = new Set<() => void>();
let connection: { state: FeedState; since: number } = { state: "connecting", since: Date.now() };
let stop: (() => void) | null = null;
let again: (() => void) | null = null;

/** Begins, once; gives what ends it. */
export function connect(): void {
  if (stop !== null) return;
  const address = new URL(`${API}/events`, location.href).href;
  if ("SharedWorker" in window) byWorker(address);
  else byPage(address);
}

export function disconnect(): void {
  stop?.();
  stop = again = null;
}

/** Now, because somebody asked; else it tries by itself. */
export const reconnect = (): void => again?.();

export function listen<T>(event: string, listener: (data: T) => void): () => void {
  const of = listeners.get(event) ?? new Set();
  listeners.set(event, of);
  of.add(listener as Listener);
  return () => of.delete(listener as Listener);
}

export function watchConnection(watcher: () => void): () => void {
  watchers.add(watcher);
  return () => watchers.delete(watcher);
}

export const connectionNow = (): { state: FeedState; since: number } => connection;

function hear(message: FeedMessage): void {
  if (message.kind === "state") {
    connection = { state: message.state, since: message.since };
    for (const watcher of watchers) watcher();
  } else {
    for (const listener of listeners.get(message.event) ?? []) listener(message.data as never);
  }
}

function byWorker(address: string): void {
  const worker = new SharedWorker(new URL("./worker.ts", import.meta.url), { type: "module", name: "waycairn-live" });
  const say = (message: ToWorker) => worker.port.postMessage(message);
  const here = () => say({ kind: "here", address, visible: document.visibilityState === "visible" });
  const bye = () => say({ kind: "bye" });
  worker.port.onmessage = ({ data }: MessageEvent<FeedMessage>) => hear(data);
  document.addEventListener("visibilitychange", here);
  addEventListener("pagehide", bye);
  addEventListener("pageshow", here); // a page may come back out of the cache of the browser
  here();
  again = () => say({ kind: "again" });
  stop = () => {
    document.removeEventListener("visibilitychange", here);
    removeEventListener("pagehide", bye);
    removeEventListener("pageshow", here);
    bye();
  };
}

function byPage(address: string): void {
  const feed = new Feed(address, hear);
  feed.open();
  again = () => feed.open();
  stop = () => feed.close();
}
