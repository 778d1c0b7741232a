/** Incomplete runs that somebody asked not to be shown again: until they get on, which their sequence tells. */
import type { Run } from "@/api/model";

const KEY = "waycairn-hidden-runs";
const MOST = 500;

function read(): Record<string, number> {
  try {
    const said: unknown = JSON.parse(localStorage.getItem(KEY) ?? "{}");
    return typeof said === "object" && said !== null ? (said as Record<string, number>) : {};
  } catch {
    return {}; // what cannot be read hides nothing
  }
}

export const isHidden = (run: Pick<Run, "id" | "sequence">): boolean => read()[run.id] === run.sequence;

export function hide(runs: readonly Pick<Run, "id" | "sequence">[]): void {
  const hidden = Object.entries({ ...read(), ...Object.fromEntries(runs.map((run) => [run.id, run.sequence])) });
  try {
    localStorage.setItem(KEY, JSON.stringify(Object.fromEntries(hidden.slice(-MOST))));
  } catch {
    // no storage: they are shown again
  }
}
