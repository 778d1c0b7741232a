import { Modal } from "@mantine/core";
import type { Checkpoint, Diff } from "@/api/model";
import { useDiff } from "@/api/run";
import { formatCount, formatPercent, formatValue, plural } from "@/format/number";
import { DataTable } from "@/ui/data-table";
import { ErrorState, Skeleton } from "@/ui/states";
import { Badge } from "@/ui/status-badge";
import classes from "./run.module.css";

type Difference = Diff["differences"][number];

const TONES = { added: "green", removed: "red", changed: "blue" } as const;

export default function DiffDialog({ older, newer, close }: { older: Checkpoint; newer: Checkpoint; close: () => void }) {
  const diff = useDiff(older.id, newer.id);
  return (
    <Modal opened onClose={close} size="80rem" title={`What changed from commit ${older.sequence} to ${newer.sequence}`}>
      {diff.isPending && <Skeleton rows={4} label="Comparing" />}
      {diff.isError && <ErrorState error={diff.error} again={() => void diff.refetch()} />}
      {diff.data && (
        <>
          <p role="status">
            {diff.data.differences.length === 0 ? "Nothing: the two states are equal." : plural(diff.data.differences.length, "difference")}
            {diff.data.cut && ", and more that are not shown"}
          </p>
          {diff.data.differences.length > 0 && <Differences rows={diff.data.differences} />}
        </>
      )}
    </Modal>
  );
}

function Differences({ rows }: { rows: readonly Difference[] }) {
  return (
    <DataTable
      caption="Differences"
      dense
      rows={rows}
      rowKey={(one) => one.path}
      columns={[
        { name: "path", title: "Where", lead: true, cell: (one) => <span className={classes.value}>{one.path || "the whole state"}</span> },
        { name: "kind", title: "What", cell: (one) => <Badge tone={TONES[one.kind]}>{one.kind}</Badge> },
        { name: "old", title: "Before", cell: (one) => <span className={classes.value}>{one.old || "–"}</span> },
        { name: "new", title: "After", cell: (one) => <span className={classes.value}>{one.new || "–"}</span> },
        { name: "by", title: "By", numeric: true, cell: byOf },
      ]}
    />
  );
}

function byOf({ by, share, array }: Difference): string {
  if (array) return `${formatCount(array.elements)} of ${formatCount(array.of)} elements${array.most === null ? "" : `, at most by ${formatValue(array.most)}`}`;
  if (by === null) return "–";
  return `${by > 0 ? "+" : ""}${formatValue(by)}${share === null ? "" : ` (${formatPercent(Math.abs(100 * share))})`}`;
}
