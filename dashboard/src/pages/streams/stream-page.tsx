import { Alert } from "@mantine/core";
import { IconDatabaseOff } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link, useParams } from "react-router";
import { api } from "@/api/client";
import type { Generation, WholeStream } from "@/api/documents";
import { useJobAct } from "@/api/job";
import type { Job } from "@/api/model";
import { formatCount, formatSize, plural } from "@/format/number";
import { type Column, DataTable } from "@/ui/data-table";
import { type FactLines, Facts } from "@/ui/facts";
import { JobOutcome } from "@/ui/job-outcome";
import { Page, Section } from "@/ui/page";
import { ErrorState, Skeleton } from "@/ui/states";
import { Ago, At } from "@/ui/time";
import { Lag } from "./lag";
import { Letters } from "./letters";
import { ProcessButton } from "./process-button";
import { BreakerBadge, StreamBadge } from "./stream-badge";
import classes from "./streams.module.css";

const EVERY = 5000;

export default function StreamPage() {
  const { stream: name = "" } = useParams();
  const stream = useQuery({
    queryKey: ["stream", name],
    refetchInterval: EVERY,
    queryFn: ({ signal }) => api.get<WholeStream>(`/streams/${encodeURIComponent(name)}`, {}, signal),
  });
  if (stream.data) return <Loaded stream={stream.data} />;
  return <Page title={name}>{stream.isError ? <ErrorState error={stream.error} again={() => void stream.refetch()} /> : <Skeleton label="Looking at the stream" />}</Page>;
}

function Loaded({ stream }: { stream: WholeStream }) {
  const act = useJobAct<undefined>("stream.process", stream.name, () => api.post<Job>(`/streams/${encodeURIComponent(stream.name)}/process`));
  return (
    <Page title={stream.name} tab={`Stream ${stream.name}`} note={<div className={classes.note}><StreamBadge state={stream.state} /><Lag stream={stream} /></div>} actions={<ProcessButton stream={stream} act={act} />}>
      <JobOutcome act={act} doing="Reading what is there" failed="It was not processed to the end" done={processed} />
      <Away stream={stream} />
      <div className={classes.columns}>
        <Section title="How it stands">
          <div className={classes.body}>
            <Facts facts={standingOf(stream)} />
          </div>
        </Section>
        <Section title="What was met">
          <div className={classes.body}>
            <Facts facts={countsOf(stream)} />
          </div>
        </Section>
      </div>
      <Files stream={stream} />
      <Letters stream={stream} />
    </Page>
  );
}

function processed(result: Record<string, unknown>) {
  const done = result.done as { events?: number; dead?: number } | null;
  return done === null ? "What was there was read." : `${formatCount(done.events ?? 0)} events were committed${done.dead ? `; ${plural(done.dead, "line")} could not be used` : ""}.`;
}

function Away({ stream: { breaker, error, behind } }: { stream: WholeStream }) {
  if (breaker?.state !== "open" && !error) return null;
  return (
    <Alert role="alert" color="red" icon={<IconDatabaseOff aria-hidden />} mb="md" title="The database of its sink does not answer">
      {breaker?.error ?? error} Nothing is lost: lines wait in their files{behind?.bytes ? ` (${formatSize(behind.bytes)})` : ""}, and are consumed when it is back.
      {breaker?.next_try != null && (
        <>
          {" "}
          {plural(breaker.tries ?? 0, "try", "tries")} so far; the next one <Ago at={breaker.next_try} />.
        </>
      )}
    </Alert>
  );
}

function standingOf(stream: WholeStream): FactLines {
  const { owner, run, breaker } = stream;
  return [
    ["Behind", <Lag key="lag" stream={stream} />],
    ["Breaker", <BreakerBadge key="breaker" breaker={breaker} />],
    ["Spool", "none is needed: lines wait in their files until the sink has them"],
    ["Followed by", owner === null ? "nobody now" : <span key="owner">process {owner.pid} on {owner.host}, since <Ago at={owner.since} /></span>],
    run !== null && ["Run", <Link key="run" to={`/runs/${run.id}`}>{run.name}{run.key ? ` · ${run.key}` : ""}</Link>],
    ["Sink", <span key="sink" className="mono">{stream.sink}</span>],
    ["Files", <span key="paths" className="mono">{stream.paths.join(", ")}</span>],
    stream.parser != null && ["Parser", <span key="parser" className="mono">{stream.parser}</span>],
    stream.updated !== null && ["Last commit", <span key="updated"><At at={stream.updated} /> (<Ago at={stream.updated} />)</span>],
  ];
}

function countsOf({ counts, commits, dead_letters }: WholeStream): FactLines {
  if (counts === null) return [["Counts", "not known while its database is away"]];
  return [
    ["Events", formatCount(counts.events)],
    ["Bytes", formatSize(counts.bytes)],
    ["Commits", formatCount(commits ?? 0)],
    ["Dead letters", `${formatCount(dead_letters ?? 0)} not settled, ${formatCount(counts.dead)} in all`],
    ["Left out on purpose", formatCount(counts.skipped)],
    ["Blank lines", formatCount(counts.blank)],
    counts.nuls > 0 && ["Holes of NUL bytes", formatCount(counts.nuls)],
  ];
}

const COLUMNS: readonly Column<Generation>[] = [
  { name: "path", title: "File", lead: true, cell: ({ path }) => <span className="mono">{path}</span> },
  { name: "state", title: "State", cell: ({ state }) => state },
  { name: "offset", title: "Consumed", numeric: true, cell: ({ offset }) => formatSize(offset) },
  { name: "size", title: "Of", numeric: true, cell: ({ size }) => formatSize(size) },
  { name: "lines", title: "Lines", numeric: true, cell: ({ lines }) => formatCount(lines) },
  { name: "unread", title: "Unread", numeric: true, cell: ({ unread }) => (unread > 0 ? formatSize(unread) : "–") },
  { name: "updated", title: "Last read", cell: ({ updated }) => <Ago at={updated} /> },
];

function Files({ stream: { generations = [] } }: { stream: WholeStream }) {
  if (generations.length === 0) return null;
  return (
    <Section title={plural(generations.length, "file")}>
      <DataTable dense caption="Files, and where each stands" columns={COLUMNS} rows={generations} rowKey={({ id }) => id} />
    </Section>
  );
}
