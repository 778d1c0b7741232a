/** Events change the rows that are in the cache, each by itself: a row that did not change stays the same object, so React
 * leaves it alone, and nothing is read from the server because something happened. */
import type { QueryClient } from "@tanstack/react-query";
import type { Job, Run, RunDetail, RunPage } from "@/api/model";
import { titleOf } from "@/api/run-words";
import { announce } from "@/ui/announce";
import { listen } from "./live";
import { patchBackups } from "./patch-backups";

/** Lists hold their filters in the key: ["runs", "list", {...}]. A run that was not there yet is put on top of those whose
 * `fits` says so. */
export type Fits = (key: readonly unknown[], run: Run) => boolean;

export function patchByEvents(client: QueryClient, fits: Fits): () => void {
  let pending = new Map<string, Run>();
  let frame = 0;
  const flush = () => {
    frame = 0;
    const runs = pending;
    pending = new Map();
    for (const run of patchLists(client, runs, fits)) announce(`${titleOf(run)}: ${run.status}`);
    patchDetails(client, runs);
  };
  const stops = [
    listen<{ runs: Run[] }>("runs", ({ runs }) => {
      for (const run of runs) pending.set(run.id, run);
      frame ||= requestAnimationFrame(flush); // what came since the last frame is painted at once
    }),
    listen<{ runs: string[] }>("gone", ({ runs }) => dropRuns(client, new Set(runs))),
    listen<{ counts: Record<string, number> }>("counts", ({ counts }) =>
      client.setQueryData(["runs", "counts"], { counts, total: Object.values(counts).reduce((sum, one) => sum + one, 0) }),
    ),
    listen<{ run: string; phases: Run[] }>("phases", ({ run, phases }) => {
      client.setQueryData<RunDetail>(["run", run], (old) => old && { ...old, phases: mergePhases(old.phases, phases) });
      patchDetails(client, new Map(phases.map((phase) => [phase.id, phase])));
    }),
    listen<Job>("job", (job) => client.setQueryData(["job", job.id], job)),
    listen("health", () => void client.invalidateQueries({ queryKey: ["health"] })),
    patchBackups(client),
    listen("hello", readAnew(client)),
  ];
  return () => {
    for (const stop of stops) stop();
    cancelAnimationFrame(frame);
  };
}

/** What is shown is read again: after a loss, and once after the first hello for what happened between reading and listening.
 * At a moment that not all pages choose at once. */
function readAnew(client: QueryClient): () => void {
  let pause = 1000;
  return () => {
    setTimeout(() => void client.invalidateQueries({ predicate: ({ queryKey }) => queryKey[0] !== "session" }), pause + Math.random() * 400);
    pause = 0;
  };
}

const MOST_ROWS = 150;

/** Gives the runs whose status changed. */
export function patchLists(client: QueryClient, runs: ReadonlyMap<string, Run>, fits: Fits): Set<Run> {
  const turned = new Set<Run>();
  for (const [key, page] of client.getQueriesData<RunPage>({ queryKey: ["runs", "list"] })) {
    if (!page) continue;
    const known = new Set(page.runs.map((run) => run.id));
    const fresh = [...runs.values()].filter((run) => !known.has(run.id) && fits(key, run));
    const rows = page.runs.map((run) => newer(run, runs.get(run.id)));
    rows.forEach((run, at) => run.status !== page.runs[at]?.status && turned.add(run));
    if (fresh.length > 0 || rows.some((run, at) => run !== page.runs[at]))
      client.setQueryData<RunPage>(key, { ...page, runs: [...fresh.reverse(), ...rows] });
    // A page that was open for a day would hold every run of that day.
    if (fresh.length + rows.length > MOST_ROWS) void client.invalidateQueries({ queryKey: key, exact: true });
  }
  return turned;
}

function patchDetails(client: QueryClient, runs: ReadonlyMap<string, Run>): void {
  for (const run of runs.values()) {
    client.setQueryData<RunDetail>(["run", run.id], (old) => old && { ...old, ...run, error: errorOf(old, run) });
  }
}

/** The error of a detail says more (where, the traceback) than that of a row: it stays unless it is another one. */
const errorOf = (old: RunDetail, run: Run): RunDetail["error"] =>
  sameError(old, run) ? old.error : run.error && { where: null, traceback: null, ...run.error };

/** Phases that changed, in their places; new ones behind. */
function mergePhases(old: Run[], changed: readonly Run[]): Run[] {
  const by = new Map(changed.map((phase) => [phase.id, phase]));
  const known = new Set(old.map((phase) => phase.id));
  return [...old.map((phase) => by.get(phase.id) ?? phase), ...changed.filter((phase) => !known.has(phase.id))];
}

const sameError = (old: RunDetail, run: Run): boolean =>
  old.error?.type === run.error?.type && old.error?.message === run.error?.message;

/** Answers and events may overtake each other. */
const newer = (old: Run, run: Run | undefined): Run => (run && run.updated >= old.updated ? run : old);

export function dropRuns(client: QueryClient, gone: ReadonlySet<string>): void {
  client.setQueriesData<RunPage>({ queryKey: ["runs", "list"] }, (page) =>
    page?.runs.some((run) => gone.has(run.id)) ? { ...page, runs: page.runs.filter((run) => !gone.has(run.id)) } : page,
  );
}
