import { IconFileStack } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link } from "react-router";
import { api } from "@/api/client";
import type { Stream, StreamList } from "@/api/documents";
import { useJobAct } from "@/api/job";
import type { Job } from "@/api/model";
import { formatCount } from "@/format/number";
import { type Column, DataTable } from "@/ui/data-table";
import { Page, Section } from "@/ui/page";
import { Empty, ErrorState, Skeleton } from "@/ui/states";
import { Ago } from "@/ui/time";
import { Lag } from "./lag";
import { ProcessButton } from "./process-button";
import { BreakerBadge, StreamBadge } from "./stream-badge";
import classes from "./streams.module.css";

/** Nothing tells of each line that a stream consumes: while somebody looks, it is asked. */
const EVERY = 5000;

const COLUMNS: readonly Column<Stream>[] = [
  {
    name: "name",
    title: "Stream",
    lead: true,
    cell: ({ name, state }) => (
      <span className={classes.what}>
        <Link to={`/streams/${encodeURIComponent(name)}`} className={classes.name}>
          {name}
        </Link>
        <StreamBadge state={state} />
      </span>
    ),
  },
  { name: "lag", title: "Behind", cell: (stream) => <Lag stream={stream} /> },
  { name: "events", title: "Events", numeric: true, cell: ({ counts }) => (counts === null ? "–" : formatCount(counts.events)) },
  { name: "dead", title: "Dead letters", numeric: true, cell: (stream) => <Dead stream={stream} /> },
  { name: "breaker", title: "Breaker", cell: ({ breaker }) => <BreakerBadge breaker={breaker} /> },
  { name: "spool", title: "Spool", cell: ({ breaker, behind }) => (breaker?.state === "open" && behind?.bytes ? "waiting in their files" : "empty") },
  { name: "updated", title: "Last commit", cell: ({ updated }) => (updated === null ? "–" : <Ago at={updated} />) },
  { name: "process", title: "", cell: (stream) => <Process stream={stream} /> },
];

function Dead({ stream: { dead_letters, name } }: { stream: Stream }) {
  if (dead_letters === null) return <>–</>;
  if (dead_letters === 0) return <>0</>;
  return (
    <Link to={`/streams/${encodeURIComponent(name)}#dead`} className={classes.dead} aria-label={`${dead_letters} dead letters of ${name}`}>
      {formatCount(dead_letters)}
    </Link>
  );
}

function Process({ stream }: { stream: Stream }) {
  const act = useJobAct<undefined>("stream.process", stream.name, () => api.post<Job>(`/streams/${encodeURIComponent(stream.name)}/process`));
  return <ProcessButton stream={stream} act={act} compact />;
}

export default function StreamsPage() {
  const list = useQuery({ queryKey: ["streams"], refetchInterval: EVERY, queryFn: ({ signal }) => api.get<StreamList>("/streams", {}, signal) });
  return (
    <Page title="Streams" note="Growing files, consumed exactly once: how far each is behind, what could not be used, and whether its database answers.">
      <Section title="Followed by runs of this store">
        <List list={list} />
      </Section>
      {list.data && list.data.registered.length > 0 && (
        <Section title="Registered, and not followed yet">
          <DataTable
            caption="Registered streams"
            rows={list.data.registered}
            rowKey={({ name }) => name}
            columns={[
              { name: "name", title: "Stream", lead: true, cell: ({ name }) => <strong>{name}</strong> },
              { name: "paths", title: "Files", cell: ({ paths }) => <span className="mono">{paths.join(", ")}</span> },
              { name: "sink", title: "Sink", cell: ({ sink }) => <span className="mono">{sink}</span> },
              { name: "process", title: "", cell: ({ name }) => <Process stream={{ name, registered: true, owner: null, may_touch: true } as Stream} /> },
            ]}
          />
        </Section>
      )}
    </Page>
  );
}

function List({ list }: { list: { data: StreamList | undefined; isError: boolean; error: unknown; refetch: () => unknown } }) {
  if (list.data && list.data.streams.length > 0) return <DataTable caption="Streams" columns={COLUMNS} rows={list.data.streams} rowKey={({ name }) => name} />;
  if (list.data)
    return (
      <Empty icon={IconFileStack} title="No run of this store follows files">
        A job that calls <code>run.follow("logs/*.jsonl", sink=engine)</code> appears here, with the files it reads and where it is in each.
      </Empty>
    );
  if (list.isError) return <ErrorState error={list.error} again={() => void list.refetch()} />;
  return <Skeleton label="Looking at the streams" />;
}
