import { IconDatabaseOff, IconPlayerPause, IconPlayerPlay, IconPlugConnected, IconPlugConnectedX, IconQuestionMark } from "@tabler/icons-react";
import type { Stream } from "@/api/documents";
import { Badge } from "@/ui/status-badge";

const STATES = {
  following: ["blue", IconPlayerPlay, "A process follows it now."],
  left: ["gray", IconPlayerPause, "Nobody follows it now; it goes on from where it was."],
  "sink away": ["red", IconDatabaseOff, "The database of its sink cannot be read from here. Nothing is lost: lines wait in their files."],
  gone: ["orange", IconQuestionMark, "The database of its sink knows nothing of it."],
} as const;

export function StreamBadge({ state }: { state: Stream["state"] }) {
  const [tone, icon, meaning] = STATES[state];
  return (
    <Badge tone={tone} icon={icon} title={meaning}>
      {state}
    </Badge>
  );
}

/** The circuit breaker before the database of the sink, as its follower noted it. */
export function BreakerBadge({ breaker }: { breaker: Stream["breaker"] }) {
  if (breaker === null) return <Badge tone="gray" title="Nobody follows it, so nobody asks its database.">not asked</Badge>;
  if (breaker.state === "closed")
    return (
      <Badge tone="green" icon={IconPlugConnected} title="Its database answers.">
        closed
      </Badge>
    );
  return (
    <Badge tone="red" icon={IconPlugConnectedX} title="Its database does not answer; it is tried again by itself.">
      open
    </Badge>
  );
}

