/** Curves over time or steps. What is drawn can be read as a table, too, and by the arrow keys. uPlot comes when the first one is shown. */
import { Button, Text } from "@mantine/core";
import { IconChartLine, IconTable } from "@tabler/icons-react";
import { lazy, Suspense, useId, useState } from "react";
import { Skeleton } from "../states";
import classes from "./chart.module.css";
import { ChartTable } from "./chart-table";
import { formatX, type ChartProps } from "./model";

const Plot = lazy(() => import("./plot"));

export function Chart(props: ChartProps) {
  const { label, note, series, x, height = 200 } = props;
  const [asTable, setAsTable] = useState(false);
  const [at, setAt] = useState<number | null>(null);
  const title = useId();
  return (
    <figure className={classes.chart} aria-labelledby={title}>
      <figcaption className={classes.head}>
        <div>
          <Text id={title} fw={600} size="sm">
            {label}
          </Text>
          {note && (
            <Text size="xs" c="dimmed">
              {note}
            </Text>
          )}
        </div>
        <Button
          size="compact-xs"
          variant="subtle"
          color="gray"
          leftSection={asTable ? <IconChartLine size={14} aria-hidden /> : <IconTable size={14} aria-hidden />}
          onClick={() => setAsTable(!asTable)}
          aria-label={`${label}: ${asTable ? "as a chart" : "as a table"}`}
        >
          {asTable ? "Chart" : "Table"}
        </Button>
      </figcaption>
      {asTable ? (
        <ChartTable {...props} />
      ) : (
        <>
          <div className={classes.legend}>
            {series.map(({ name, values, tone = 1 }) => (
              <span key={name} className={classes.key} data-tone={tone}>
                {name}
                <b>{textAt(values, at ?? lastOf(values), props.format)}</b>
              </span>
            ))}
            <span className={classes.where}>{at === null ? "" : formatX(props, x[at])}</span>
          </div>
          <Suspense fallback={<div style={{ height }}><Skeleton rows={3} label={`Loading the chart of ${label}`} /></div>}>
            <Plot {...props} height={height} onPoint={setAt} />
          </Suspense>
        </>
      )}
    </figure>
  );
}

const lastOf = (values: readonly (number | null)[]): number => values.findLastIndex((value) => value !== null);

function textAt(values: readonly (number | null)[], at: number, format: (value: number) => string): string {
  const value = values[at];
  return value == null ? "–" : format(value);
}
