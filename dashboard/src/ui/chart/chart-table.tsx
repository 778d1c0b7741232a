import { DataTable } from "../data-table";
import classes from "./chart.module.css";
import { type ChartProps, formatX } from "./model";

const MOST = 200;

/** The numbers themselves, the newest first. */
export function ChartTable(props: ChartProps) {
  const { label, x, series, format, xName } = props;
  const rows = x.map((_, at) => at).reverse().slice(0, MOST);
  const columns = [
    { name: "x", title: xName, lead: true, cell: (at: number) => formatX(props, x[at]) },
    ...series.map(({ name, values }) => ({
      name,
      title: name,
      numeric: true,
      cell: (at: number) => {
        const value = values[at];
        return value == null ? "–" : format(value);
      },
    })),
  ];
  return (
    <div className={classes.table} tabIndex={0} role="group" aria-label={`${label}, as a table`}>
      <DataTable dense caption={label} columns={columns} rows={rows} rowKey={(at) => at} />
      {x.length > MOST && <p className={classes.where}>The last {MOST} of {x.length}.</p>}
    </div>
  );
}
