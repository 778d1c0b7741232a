/** Rows of a list; on a phone each becomes a card, with the head of its column beside each value. */
import type { ReactNode } from "react";
import classes from "./data-table.module.css";

export interface Column<Row> {
  name: string;
  title: string;
  cell: (row: Row) => ReactNode;
  /** Numbers stand at the right edge. */
  numeric?: boolean;
  /** Says by itself what it is: on a phone without the head of its column. */
  lead?: boolean;
  /** Not worth its room on a phone. */
  wide?: boolean;
}

interface DataTableProps<Row> {
  caption: string;
  columns: readonly Column<Row>[];
  rows: readonly Row[];
  rowKey: (row: Row) => string | number;
  dense?: boolean;
}

/** The roles are said once more: a table that is shown as cards is none for browsers otherwise. */
export function DataTable<Row>({ caption, columns, rows, rowKey, dense = false }: DataTableProps<Row>) {
  return (
    <div className={classes.frame} data-dense={dense || undefined}>
      <table className={classes.table} role="table">
        <caption className="visually-hidden">{caption}</caption>
        <thead role="rowgroup">
          <tr role="row">
            {columns.map(({ name, title, numeric }) => (
              <th key={name} role="columnheader" scope="col" data-numeric={numeric || undefined}>
                {title || <span className="visually-hidden">{name}</span>}
              </th>
            ))}
          </tr>
        </thead>
        <tbody role="rowgroup">
          {rows.map((row) => (
            <tr key={rowKey(row)} role="row">
              {columns.map(({ name, title, cell, numeric, lead, wide }) => (
                <td key={name} role="cell" data-title={lead ? undefined : title} data-numeric={numeric || undefined} data-act={title === "" || undefined} data-wide={wide || undefined} data-lead={lead || undefined}>
                  {cell(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
