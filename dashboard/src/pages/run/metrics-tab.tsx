import { IconChartLine } from "@tabler/icons-react";
import type { Iteration, RunDetail } from "@/api/model";
import { usePaged } from "@/api/paged";
import { iterationsKey, useMetrics } from "@/api/run";
import { formatValue, plural } from "@/format/number";
import { formatDuration } from "@/format/time";
import { Chart } from "@/ui/chart/chart";
import { DataTable } from "@/ui/data-table";
import { More } from "@/ui/more";
import { Empty, ErrorState, Skeleton } from "@/ui/states";
import { Ago } from "@/ui/time";
import classes from "./run.module.css";

export default function MetricsTab({ run }: { run: RunDetail }) {
  const metrics = useMetrics(run.id);
  const iterations = usePaged<Iteration>(iterationsKey(run.id), `/runs/${run.id}/iterations`, "iterations", { limit: 50 });
  if (metrics.isPending) return <Skeleton rows={4} label="Loading metrics" />;
  if (metrics.isError && !metrics.data) return <ErrorState error={metrics.error} again={() => void metrics.refetch()} />;
  const series = metrics.data.series;
  if (series.length === 0 && iterations.rows.length === 0)
    return (
      <Empty icon={IconChartLine} title="Nothing was logged">
        <code>run.log(loss=0.3)</code> in the job draws a curve here; <code>run.session.iteration(metrics=…)</code> does it by the round.
      </Empty>
    );
  return (
    <div className={classes.panel}>
      <div className={classes.charts}>
        {series.map((one) => (
          <Chart
            key={`${one.source}:${one.name}`}
            label={one.name}
            note={`by ${one.source}${one.thinned ? "; of each stretch the lowest and the highest" : ""}`}
            x={one.steps}
            xKind="number"
            xName={one.source}
            series={[{ name: one.name, values: one.values }]}
            format={formatValue}
          />
        ))}
      </div>
      {metrics.data.more > 0 && <p className={classes.dim}>{plural(metrics.data.more, "metric")} more: waycairn report shows them.</p>}
      {iterations.rows.length > 0 && <Iterations rows={iterations.rows} />}
      {iterations.isSuccess && iterations.rows.length > 0 && (
        <More shown={iterations.rows.length} hasMore={iterations.hasNextPage} isLoading={iterations.isFetchingNextPage} then={() => void iterations.fetchNextPage()} noun="iterations" />
      )}
    </div>
  );
}

function Iterations({ rows }: { rows: readonly Iteration[] }) {
  const names = [...new Set(rows.flatMap((row) => Object.keys(row.metrics)))].slice(0, 6);
  return (
    <section aria-label="Iterations" className={classes.panel}>
      <DataTable
        caption="Iterations"
        dense
        rows={rows}
        rowKey={(row) => row.number}
        columns={[
          { name: "number", title: "Iteration", numeric: true, lead: true, cell: (row) => row.number },
          ...names.map((name) => ({
            name,
            title: name,
            numeric: true,
            cell: (row: Iteration) => (row.metrics[name] == null ? "–" : formatValue(row.metrics[name])),
          })),
          { name: "improvement", title: "Improvement", numeric: true, cell: (row) => (row.improvement === null ? "–" : formatValue(row.improvement)) },
          { name: "took", title: "Took", numeric: true, cell: (row) => formatDuration(row.took) },
          { name: "created", title: "Ended", cell: (row) => <Ago at={row.created} /> },
          { name: "said", title: "Note", wide: true, cell: (row) => (row.error ? `${row.error.type}: ${row.error.message}` : (row.description ?? "")) },
        ]}
      />
    </section>
  );
}
