import { useCallback, useMemo, useRef, useState } from "react";
import type { Run } from "@/api/model";
import type { Choice } from "./runs-table";

/** Runs that are chosen for an act on all of them. Kept by id, so that it outlives what changes in the rows. */
export function useChoice(runs: readonly Run[]): Choice & { clear: () => void } {
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const rows = useRef(runs);
  rows.current = runs;
  const last = useRef<string | null>(null);
  // The same function for all rows and all times: rows would render anew with another.
  const choose = useCallback((id: string, range: boolean) => {
    const ids = rows.current.map((run) => run.id);
    const from = range && last.current !== null ? ids.indexOf(last.current) : -1;
    const to = ids.indexOf(id);
    last.current = id;
    setChosen((before) => {
      const next = new Set(before);
      if (from >= 0) for (const one of ids.slice(Math.min(from, to), Math.max(from, to) + 1)) next.add(one);
      else if (!next.delete(id)) next.add(id);
      return next;
    });
  }, []);
  return useMemo(
    () => ({
      chosen,
      choose,
      chooseAll: (all) => setChosen(all ? new Set(rows.current.map((run) => run.id)) : new Set()),
      clear: () => setChosen(new Set()),
    }),
    [chosen, choose],
  );
}
