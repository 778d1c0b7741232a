import { Link } from "react-router";
import type { Run } from "@/api/model";
import { DataTable } from "@/ui/data-table";
import { ProgressBar, textOf } from "@/ui/progress-bar";
import { StatusBadge } from "@/ui/status-badge";
import { Ago } from "@/ui/time";
import classes from "./run.module.css";

export default function PhasesTab({ phases }: { phases: readonly Run[] }) {
  const below = new Map(phases.map((phase) => [phase.id, phase]));
  return (
    <div className={classes.panel}>
      <DataTable
        caption="Phases"
        rows={phases}
        rowKey={(phase) => phase.id}
        columns={[
          {
            name: "name",
            title: "Phase",
            lead: true,
            cell: (phase) => (
              <Link to={`/runs/${phase.id}`} style={{ paddingLeft: 18 * depthOf(phase, below) }}>
                {phase.name}
              </Link>
            ),
          },
          { name: "status", title: "Status", cell: (phase) => <StatusBadge status={phase.status} /> },
          {
            name: "progress",
            title: "Progress",
            cell: (phase) => (
              <>
                <ProgressBar progress={phase.progress} moving={phase.status === "running"} />
                <span className={classes.dim}>{textOf(phase.progress)}</span>
              </>
            ),
          },
          { name: "updated", title: "Updated", cell: (phase) => <Ago at={phase.updated} /> },
        ]}
      />
    </div>
  );
}

function depthOf(phase: Run, below: ReadonlyMap<string, Run>): number {
  const above = phase.parent === null ? undefined : below.get(phase.parent);
  return above ? 1 + depthOf(above, below) : 0;
}
