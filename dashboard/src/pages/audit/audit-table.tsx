import { IconBan, IconCircleCheck, IconCircleX, IconPlayerPlay } from "@tabler/icons-react";
import { Link } from "react-router";
import type { AuditRow } from "@/api/documents";
import { type Column, DataTable } from "@/ui/data-table";
import { Badge } from "@/ui/status-badge";
import { At } from "@/ui/time";
import classes from "./audit.module.css";

const OUTCOMES = {
  begun: ["blue", IconPlayerPlay, "It was begun; how it ended is not written down, or is in a later row."],
  done: ["green", IconCircleCheck, "It was done."],
  refused: ["yellow", IconBan, "It was refused: nothing was changed."],
  failed: ["red", IconCircleX, "It failed."],
} as const;

const COLUMNS: readonly Column<AuditRow>[] = [
  { name: "number", title: "No.", numeric: true, wide: true, cell: ({ number }) => number },
  { name: "at", title: "When", lead: true, cell: ({ at }) => <span className={classes.when}><At at={at} /></span> },
  { name: "actor", title: "Who", cell: ({ actor }) => actor },
  { name: "act", title: "Act", cell: ({ act }) => <code className="mono">{act}</code> },
  { name: "object", title: "On", cell: (row) => <What row={row} /> },
  { name: "outcome", title: "Ended", cell: ({ outcome, damage }) => <Outcome outcome={outcome} damage={damage ?? null} /> },
  { name: "facts", title: "Facts", cell: ({ facts }) => <FactsOf facts={facts} /> },
];

export const AuditTable = ({ rows }: { rows: readonly AuditRow[] }) => <DataTable dense caption="Rows of the audit log, the newest first" columns={COLUMNS} rows={rows} rowKey={({ number }) => number} />;

function Outcome({ outcome, damage }: { outcome: AuditRow["outcome"]; damage: string | null }) {
  if (damage !== null) return <Badge tone="red" title={damage}>not readable</Badge>;
  const [tone, icon, meaning] = OUTCOMES[outcome];
  return (
    <Badge tone={tone} icon={icon} title={meaning}>
      {outcome}
    </Badge>
  );
}

/** What has a page of its own is a link to it. */
function What({ row: { act, object } }: { row: AuditRow }) {
  if (object === null) return <>–</>;
  const to = act.startsWith("backup.") ? `/backups/${object}` : act.startsWith("run.") ? `/runs/${object}` : act.startsWith("stream.") ? `/streams/${encodeURIComponent(object)}` : null;
  const name = <span className="mono">{object}</span>;
  return to === null ? name : <Link to={to}>{name}</Link>;
}

function FactsOf({ facts }: { facts: Record<string, unknown> }) {
  const entries = Object.entries(facts).filter(([, value]) => value !== null && value !== "");
  if (entries.length === 0) return null;
  return (
    <span className={classes.facts}>
      {entries.map(([name, value]) => (
        <span key={name}>
          <span className={classes.name}>{name.replaceAll("_", " ")}</span> <FactOf name={name} value={value} />
        </span>
      ))}
    </span>
  );
}

const MOMENTS = new Set(["disabled", "expires", "since", "until"]);

function FactOf({ name, value }: { name: string; value: unknown }) {
  return typeof value === "number" && MOMENTS.has(name) ? <At at={value} /> : <>{textOf(value)}</>;
}

const textOf = (value: unknown): string => (typeof value === "string" ? value : typeof value === "boolean" ? (value ? "yes" : "no") : typeof value === "number" ? value.toLocaleString() : JSON.stringify(value));
