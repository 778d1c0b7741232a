import { Button, SegmentedControl } from "@mantine/core";
import { IconChecks, IconRefresh } from "@tabler/icons-react";
import { useState } from "react";
import { useAct } from "@/api/acts";
import type { Item, RunDetail } from "@/api/model";
import { usePaged } from "@/api/paged";
import { itemsKey, useFailures } from "@/api/run";
import { formatCount, plural } from "@/format/number";
import { useMay, useSession } from "@/session/session";
import { DataTable } from "@/ui/data-table";
import { More } from "@/ui/more";
import { Empty, ErrorState, Skeleton } from "@/ui/states";
import { Badge } from "@/ui/status-badge";
import { Ago } from "@/ui/time";
import classes from "./run.module.css";
import { Traceback } from "./run-summary";

export default function ItemsTab({ run }: { run: RunDetail }) {
  const [status, setStatus] = useState(run.progress.failed > 0 ? "failed" : "");
  const items = usePaged<Item>(itemsKey(run.id), `/runs/${run.id}/items`, "items", { status, limit: 50 }, run.may_touch);
  return (
    <div className={classes.panel}>
      <Failures run={run} />
      {!run.may_touch && <Empty icon={IconChecks} title="The items are not yours to see">They show what the job worked on: to {run.account ?? "its owner"}, and to admins.</Empty>}
      {run.may_touch && (
        <>
          <div className={classes.bar}>
            <SegmentedControl
              aria-label="Which items"
              size="xs"
              value={status}
              onChange={setStatus}
              data={[
                { value: "", label: "All that were tried" },
                { value: "failed", label: `Failed (${formatCount(run.progress.failed)})` },
                { value: "done", label: `Done (${formatCount(run.progress.done)})` },
              ]}
            />
          </div>
          {items.isPending && <Skeleton rows={5} label="Loading items" />}
          {items.isError && items.rows.length === 0 && <ErrorState error={items.error} again={() => void items.refetch()} />}
          {items.isSuccess && items.rows.length === 0 && <Empty icon={IconChecks} title={status === "failed" ? "No item has failed" : "No item yet"} />}
          {items.rows.length > 0 && <ItemTable items={items.rows} />}
          {items.isSuccess && (
            <More shown={items.rows.length} hasMore={items.hasNextPage} isLoading={items.isFetchingNextPage} then={() => void items.fetchNextPage()} noun="items" />
          )}
        </>
      )}
    </div>
  );
}

/** Equal errors are counted together: a thousand timeouts are one thing to know. */
function Failures({ run }: { run: RunDetail }) {
  const failures = useFailures(run.id);
  const act = useAct();
  const mayAct = useMay("operator") && run.may_touch;
  const { allow_launch } = useSession();
  const groups = failures.data?.groups ?? [];
  if (groups.length === 0) return null;
  return (
    <section aria-label="Failures, grouped">
      <div className={classes.bar}>
        <strong>
          {plural(failures.data?.total ?? 0, "item")} failed, of {plural(groups.length, "kind")}
        </strong>
        {mayAct && allow_launch && run.resumable && run.status !== "running" && (
          <Button size="xs" variant="default" leftSection={<IconRefresh size={14} aria-hidden />} loading={act.isPending} onClick={() => act.mutate({ run, act: "retry" })}>
            Retry failed
          </Button>
        )}
      </div>
      <ul className={classes.groups}>
        {groups.slice(0, 20).map((group) => (
          <li key={`${group.type}:${group.message}`} className={classes.group}>
            <b>{formatCount(group.count)}×</b>
            <span>
              <strong>{group.type}</strong>: {group.message} <span className={classes.dim}>for example {group.example}</span>
            </span>
          </li>
        ))}
      </ul>
      {groups.length > 20 && <p className={classes.dim}>and {plural(groups.length - 20, "rarer kind")}</p>}
    </section>
  );
}

function ItemTable({ items }: { items: readonly Item[] }) {
  const loops = new Set(items.map((item) => item.loop)).size > 1;
  return (
    <DataTable
      caption="Items"
      dense
      rows={items}
      rowKey={(item) => `${item.loop}\n${item.key}`}
      columns={[
        { name: "key", title: "Item", lead: true, cell: (item) => <span className={classes.value}>{item.key}</span> },
        ...(loops ? [{ name: "loop", title: "Loop", cell: (item: Item) => item.loop }] : []),
        {
          name: "status",
          title: "Status",
          cell: (item) => (
            <Badge tone={item.status === "done" ? "green" : "red"}>
              {item.status}
              {item.poison && ", killed its process"}
            </Badge>
          ),
        },
        { name: "what", title: "What came of it", cell: (item) => <What item={item} /> },
        { name: "attempts", title: "Attempts", numeric: true, cell: (item) => item.attempts ?? "–" },
        { name: "last", title: "Last", cell: (item) => (item.last === null ? "–" : <Ago at={item.last} />) },
      ]}
    />
  );
}

function What({ item }: { item: Item }) {
  if (item.error)
    return (
      <>
        <strong>{item.error.type}</strong>: {item.error.message}
        {item.error.where && <div className={classes.dim}>{item.error.where}</div>}
        {item.error.traceback && <Traceback text={item.error.traceback} />}
      </>
    );
  if (item.damage) return <Badge tone="red">{item.damage}</Badge>;
  return <Result value={item.result} />;
}

const SHORT = 160;

function Result({ value }: { value: unknown }) {
  if (value === null || value === undefined) return <span className={classes.dim}>nothing</span>;
  const text = JSON.stringify(value);
  if (text.length <= SHORT) return <span className={classes.value}>{text}</span>;
  return (
    <details className={classes.fold}>
      <summary className={classes.value}>{text.slice(0, SHORT)}…</summary>
      <pre className={classes.trace} tabIndex={0} aria-label="The whole result">
        {JSON.stringify(value, null, 2)}
      </pre>
    </details>
  );
}
