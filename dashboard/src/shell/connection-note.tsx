import { Button } from "@mantine/core";
import { IconPlugConnectedX } from "@tabler/icons-react";
import { useEffect } from "react";
import { queryClient } from "@/api/query-client";
import { formatClock } from "@/format/time";
import { reconnect } from "@/live/live";
import { useConnection } from "@/live/use-live";
import classes from "./shell.module.css";

/** Says that what is shown may be old, and since when. */
export function ConnectionNote() {
  const { state, since } = useConnection();
  useEffect(() => {
    if (state === "refused") void queryClient.invalidateQueries({ queryKey: ["session"] });
  }, [state]);
  return (
    <div role="status">
      {state === "lost" && (
        <div className={classes.connection}>
          <IconPlugConnectedX size={18} aria-hidden />
          <span>
            The connection to the server is lost. This is how it was at {formatClock(since / 1000)}; the jobs go on without it.
          </span>
          <Button size="compact-sm" variant="default" onClick={reconnect}>
            Try now
          </Button>
        </div>
      )}
    </div>
  );
}

const WORDS = { live: "live", connecting: "connecting", lost: "not connected", refused: "not connected" };

export function LiveDot() {
  const { state } = useConnection();
  return (
    <span className={classes.live} data-state={state === "refused" ? "lost" : state}>
      <span className={classes.dot} aria-hidden />
      <span className={classes.liveText}>{WORDS[state]}</span>
    </span>
  );
}
