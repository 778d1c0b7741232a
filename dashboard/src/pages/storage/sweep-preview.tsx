import { Button } from "@mantine/core";
import { useState } from "react";
import type { SweepReport } from "@/api/documents";
import { formatCount, formatSize, plural } from "@/format/number";
import { type Column, DataTable } from "@/ui/data-table";
import { Badge } from "@/ui/status-badge";
import { Ago } from "@/ui/time";
import classes from "./storage.module.css";

type Rule = SweepReport["rules"][number];
type Decision = SweepReport["decisions"][number];
const FIRST = 30;

const RULES: readonly Column<Rule>[] = [
  { name: "what", title: "What becomes of them", cell: (rule) => <Fate stays={rule.stays} /> },
  { name: "rule", title: "By which rule", cell: (rule) => rule.rule },
  { name: "checkpoints", title: "Checkpoints", numeric: true, cell: (rule) => formatCount(rule.checkpoints) },
  { name: "bytes", title: "Size", numeric: true, cell: (rule) => formatSize(rule.bytes) },
];

const DECISIONS: readonly Column<Decision>[] = [
  { name: "what", title: "It", cell: (one) => <Fate stays={one.stays} /> },
  { name: "run", title: "Run", cell: (one) => `${one.run}${one.phase ? ` / ${one.phase}` : ""}` },
  { name: "made", title: "Made", cell: (one) => <Ago at={one.created} /> },
  { name: "rule", title: "By which rule", cell: (one) => one.rule },
  { name: "bytes", title: "Size", numeric: true, cell: (one) => formatSize(one.bytes) },
];

const Fate = ({ stays }: { stays: boolean }) => <Badge tone={stays ? "green" : "orange"}>{stays ? "stays" : "goes"}</Badge>;

/** Of a dry run: which rule lets go of how much, and each checkpoint, those that go first. */
export function SweepPreview({ report }: { report: SweepReport }) {
  const [all, setAll] = useState(false);
  const { rules, decisions } = report;
  if (rules.length === 0) return null;
  const shown = all ? decisions : decisions.slice(0, FIRST);
  return (
    <>
      <h3 className={classes.heading}>By rule</h3>
      <div className={classes.rules} tabIndex={0} role="group" aria-label="Checkpoints by rule">
        <DataTable dense caption="Checkpoints by rule" columns={RULES} rows={rules} rowKey={(rule) => `${rule.stays} ${rule.rule}`} />
      </div>
      {shown.length > 0 && (
        <>
          <h3 className={classes.heading}>One by one</h3>
          <div className={classes.rules} tabIndex={0} role="group" aria-label="Checkpoints one by one">
            <DataTable dense caption="Checkpoints one by one, those that go first" columns={DECISIONS} rows={shown} rowKey={(one) => one.checkpoint} />
          </div>
          {!all && decisions.length > FIRST && (
            <Button variant="subtle" onClick={() => setAll(true)}>
              Show all {formatCount(decisions.length)}
            </Button>
          )}
          {report.more_decisions > 0 && <p className={classes.means}>And {plural(report.more_decisions, "more")}; the rules above count them all.</p>}
        </>
      )}
    </>
  );
}
