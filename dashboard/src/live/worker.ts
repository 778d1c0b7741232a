/** One for all tabs of a browser: the server sees one listener, however many pages are open. */
import { Feed, type FeedMessage } from "./feed";

export type ToWorker = { kind: "here"; address: string; visible: boolean } | { kind: "again" } | { kind: "bye" };

interface Page {
  visible: boolean;
  missed: boolean;
}

const pages = new Map<MessagePort, Page>();
/** What a page that nobody looks at need not hear of: it reads anew when it is looked at again. */
const UNSEEN = new Set(["runs", "gone", "counts", "phases", "backups", "health"]);
const HELLO: FeedMessage = { kind: "event", event: "hello", data: {} };
let feed: Feed | null = null;

function tell(message: FeedMessage): void {
  for (const [port, page] of pages) {
    if (!page.visible && message.kind === "event" && UNSEEN.has(message.event)) page.missed = true;
    else port.postMessage(message);
  }
}

function hear(port: MessagePort, message: ToWorker): void {
  if (message.kind === "bye") {
    pages.delete(port);
    if (pages.size === 0) {
      feed?.close();
      feed = null;
    }
    return;
  }
  if (message.kind === "again") {
    feed?.open();
    return;
  }
  const before = pages.get(port);
  pages.set(port, { visible: message.visible, missed: before?.missed === true && !message.visible });
  if (feed === null) {
    feed = new Feed(message.address, tell);
    feed.open();
  }
  if (before === undefined) {
    port.postMessage(feed.state);
    if (feed.state.state === "live") port.postMessage(HELLO); // it joins in the middle
  } else if (message.visible && before.missed) port.postMessage(HELLO);
}

(self as unknown as { onconnect: (event: MessageEvent) => void }).onconnect = (event) => {
  const port = event.ports[0];
  if (!port) return;
  port.onmessage = ({ data }: MessageEvent<ToWorker>) => hear(port, data);
};
