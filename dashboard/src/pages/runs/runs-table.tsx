import { IconArrowDown, IconArrowUp } from "@tabler/icons-react";
import { type KeyboardEvent, type ReactNode, startTransition, useEffect, useLayoutEffect, useState } from "react";
import type { Run } from "@/api/model";
import table from "@/ui/table.module.css";
import { RunRow } from "./run-row";
import classes from "./runs.module.css";

export interface Sorting {
  sort: string;
  order: string;
  by: (sort: string) => void;
}

export interface Choice {
  chosen: ReadonlySet<string>;
  choose: (id: string, range: boolean) => void;
  chooseAll: (all: boolean) => void;
}

export function RunsTable(props: { runs: readonly Run[]; sorting: Sorting; choice: Choice | null; busy: boolean }) {
  const { runs, sorting, choice, busy } = props;
  const shown = useGrowing(runs);
  const many = runs.filter((run) => choice?.chosen.has(run.id)).length;
  return (
    <div className={table.scroll}>
      <table className={`${table.table} ${classes.runs}`} aria-label="Runs" aria-busy={busy}>
        <colgroup>
          {choice && <col className={`${classes.colCheck} ${classes.colWide}`} />}
          <col />
          <col className={classes.colStatus} />
          <col className={classes.colProgress} />
          <col className={`${classes.colNumber} ${classes.colWide}`} />
          <col className={`${classes.colToGo} ${classes.colWide}`} />
          <col className={`${classes.colOwner} ${classes.colWide2}`} />
          <col className={`${classes.colTime} ${classes.colWide2} ${classes.colWide3}`} />
          <col className={classes.colTime} />
        </colgroup>
        <thead>
          <tr>
            {choice && (
              <th className={classes.check} data-wide>
                <input
                  type="checkbox"
                  className={classes.box}
                  aria-label="Choose all on this page"
                  checked={many > 0 && many === runs.length}
                  ref={(box) => {
                    if (box) box.indeterminate = many > 0 && many < runs.length;
                  }}
                  onChange={(event) => choice.chooseAll(event.currentTarget.checked)}
                />
              </th>
            )}
            <SortHead by="name" sorting={sorting}>
              Run
            </SortHead>
            <th scope="col">Status</th>
            <th scope="col">Progress</th>
            <th scope="col" className={table.number} data-wide>
              Rate
            </th>
            <th scope="col" className={table.number} data-wide>
              To go
            </th>
            <th scope="col" data-wide="2">
              Owner
            </th>
            <SortHead by="created" sorting={sorting} wide="3">
              Begun
            </SortHead>
            <SortHead by="updated" sorting={sorting}>
              Updated
            </SortHead>
          </tr>
        </thead>
        <tbody onKeyDown={(event) => moveByKeys(event, choice)}>
          {shown.map((run) => (
            <RunRow key={run.id} run={run} selected={choice?.chosen.has(run.id) ?? false} selectable={choice !== null} choose={choice?.choose ?? nothing} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

const nothing = () => undefined;

/** Of a row, in pixels, at least. */
const LEAST_HEIGHT = 50;

/** As many as the window shows, and behind the first picture the others. */
function useGrowing(runs: readonly Run[]): readonly Run[] {
  const [whole, setWhole] = useState(false);
  useLayoutEffect(() => void performance.mark("rows"), []); // bench/page.py reads it
  useEffect(() => startTransition(() => setWhole(true)), []);
  return whole ? runs : runs.slice(0, Math.ceil(innerHeight / LEAST_HEIGHT));
}

function SortHead({ by, sorting, wide, children }: { by: string; sorting: Sorting; wide?: string; children: ReactNode }) {
  const active = sorting.sort === by;
  const Arrow = sorting.order === "asc" ? IconArrowUp : IconArrowDown;
  return (
    <th scope="col" aria-sort={active ? (sorting.order === "asc" ? "ascending" : "descending") : undefined} data-wide={wide}>
      <button type="button" className={table.sorter} onClick={() => sorting.by(by)}>
        {children}
        {active && <Arrow size={13} aria-hidden />}
      </button>
    </th>
  );
}

/** Arrows (or j and k) go from row to row, x chooses; Enter follows the link, as everywhere. */
function moveByKeys(event: KeyboardEvent<HTMLTableSectionElement>, choice: Choice | null): void {
  const row = (event.target as HTMLElement).closest<HTMLTableRowElement>("tr[data-run]");
  if (!row || event.ctrlKey || event.metaKey || event.altKey) return;
  const to = { ArrowDown: row.nextElementSibling, j: row.nextElementSibling, ArrowUp: row.previousElementSibling, k: row.previousElementSibling }[event.key];
  if (to) {
    event.preventDefault();
    to.querySelector<HTMLElement>("a")?.focus();
  } else if (event.key === "x" && choice) {
    event.preventDefault();
    choice.choose(row.dataset.run ?? "", event.shiftKey);
  }
}
