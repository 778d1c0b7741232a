/** The one connection to the events of the server. Lives in the shared worker, or in a page where there is none. */
export type FeedState = "connecting" | "live" | "lost" | "refused";
export type FeedMessage = { kind: "state"; state: FeedState; since: number } | { kind: "event"; event: string; data: unknown };

const EVENTS = ["hello", "runs", "gone", "counts", "phases", "job", "backups", "health"];
const PAUSES = [1000, 2000, 5000, 10_000];

export class Feed {
  private source: EventSource | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private attempts = 0;
  state: FeedMessage & { kind: "state" } = { kind: "state", state: "connecting", since: Date.now() };

  constructor(
    private readonly address: string,
    private readonly tell: (message: FeedMessage) => void,
  ) {}

  open(): void {
    this.close();
    const source = new EventSource(this.address);
    this.source = source;
    source.onopen = () => {
      this.attempts = 0;
      this.become("live");
    };
    source.onerror = () => this.lost(source);
    for (const event of EVENTS) {
      source.addEventListener(event, (message: MessageEvent<string>) =>
        this.tell({ kind: "event", event, data: JSON.parse(message.data) }),
      );
    }
  }

  close(): void {
    clearTimeout(this.timer);
    this.source?.close();
    this.source = null;
  }

  /** A browser gives up at an answer that is no stream (signed out, a proxy's error); else it tries again by itself. */
  private lost(source: EventSource): void {
    if (source.readyState !== EventSource.CLOSED) {
      this.become("lost");
      return;
    }
    void this.whyClosed().then((state) => {
      if (this.source !== source) return;
      this.become(state);
      const pause = PAUSES[Math.min(this.attempts++, PAUSES.length - 1)];
      if (state === "lost") this.timer = setTimeout(() => this.open(), pause);
    });
  }

  private async whyClosed(): Promise<FeedState> {
    const answer = await fetch(this.address.replace(/events$/, "session")).catch(() => null);
    return answer?.status === 401 ? "refused" : "lost";
  }

  private become(state: FeedState): void {
    if (this.state.state === state) return;
    this.state = { kind: "state", state, since: Date.now() };
    this.tell(this.state);
  }
}
