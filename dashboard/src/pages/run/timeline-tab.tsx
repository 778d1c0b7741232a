import type { RunDetail, Timeline } from "@/api/model";
import { useTimeline } from "@/api/run";
import { formatCount } from "@/format/number";
import { formatDuration, formatTime } from "@/format/time";
import { DataTable } from "@/ui/data-table";
import { Section } from "@/ui/page";
import { ErrorState, Skeleton } from "@/ui/states";
import { Badge } from "@/ui/status-badge";
import { At } from "@/ui/time";
import classes from "./run.module.css";

type Attempt = Timeline["attempts"][number];

export default function TimelineTab({ run }: { run: RunDetail }) {
  const timeline = useTimeline(run.id);
  if (timeline.isPending) return <Skeleton rows={5} label="Loading the timeline" />;
  if (timeline.isError && !timeline.data) return <ErrorState error={timeline.error} again={() => void timeline.refetch()} />;
  const { attempts, events } = timeline.data;
  return (
    <div className={`${classes.panel} ${classes.two}`}>
      {attempts.length > 0 && (
        <Section title="Attempts and takeovers">
          <div style={{ padding: 14 }}>
            <Lane attempts={attempts} end={run.status === "running" ? null : run.updated} />
          </div>
          <Attempts rows={attempts} />
        </Section>
      )}
      <Section title="Log of events">
        <ol className={classes.events} style={{ padding: "4px 16px" }}>
          {events.map((event, at) => (
            <li key={`${event.at}:${at}`}>
              <At at={event.at} />
              <strong>{event.what}</strong>
              <span>
                {event.text}
                {event.actor && <span className={classes.dim}> by {event.actor}</span>}
              </span>
            </li>
          ))}
        </ol>
      </Section>
    </div>
  );
}

/** When somebody worked on it, and when nobody did. The table below says the same in words. */
function Lane({ attempts, end }: { attempts: readonly Attempt[]; end: number | null }) {
  const from = Math.min(...attempts.map((one) => one.begun));
  const to = Math.max(from + 1, end ?? Date.now() / 1000, ...attempts.map((one) => one.ended ?? one.begun));
  const share = (at: number) => (100 * (at - from)) / (to - from);
  return (
    <div className={classes.lane} aria-hidden>
      {attempts.map((one) => (
        <div
          key={one.epoch}
          className={classes.attempt}
          data-end={one.end}
          title={`${one.epoch}: ${formatTime(one.begun)}, ${one.end ?? "goes on"}`}
          style={{ left: `${share(one.begun)}%`, width: `${share(one.ended ?? to) - share(one.begun)}%` }}
        />
      ))}
    </div>
  );
}

const ENDS: Record<string, "green" | "red" | "orange" | "yellow" | "violet" | "gray"> = {
  completed: "green",
  partial: "yellow",
  failed: "red",
  interrupted: "orange",
  orphaned: "violet",
  displaced: "red",
};

function Attempts({ rows }: { rows: readonly Attempt[] }) {
  return (
    <DataTable
      caption="Attempts"
      dense
      rows={rows}
      rowKey={(one) => one.epoch}
      columns={[
        { name: "epoch", title: "Epoch", numeric: true, lead: true, cell: (one) => one.epoch },
        { name: "begun", title: "Begun", cell: (one) => <At at={one.begun} /> },
        { name: "took", title: "For", numeric: true, cell: (one) => (one.seconds === null ? "–" : formatDuration(one.seconds)) },
        { name: "commits", title: "Commits", numeric: true, cell: (one) => (one.commits === null ? "–" : formatCount(one.commits)) },
        { name: "end", title: "Its end", cell: (one) => (one.end === null ? <Badge tone="blue">goes on</Badge> : <Badge tone={ENDS[one.end] ?? "gray"}>{one.end}</Badge>) },
        { name: "owner", title: "Process", cell: (one) => `pid ${one.owner.pid} on ${one.owner.host}` },
      ]}
    />
  );
}
