/** How a run is called, to people and to a shell. */
import type { Run } from "./model";

export const titleOf = (run: Pick<Run, "name" | "key">): string => (run.key ? `${run.name} · ${run.key}` : run.name);

/** The line for a shell that goes on with a run, where the server may not start it. */
export function resumeLine(run: Pick<Run, "name" | "key">, store: string): string {
  const key = run.key ? ` --key ${quoted(run.key)}` : "";
  return `waycairn resume ${quoted(run.name)}${key} --store ${quoted(store)}`;
}

const quoted = (word: string): string => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`);
