import { useMutation } from "@tanstack/react-query";
import { api } from "./client";
import { titleOf } from "./run-words";
import type { ActOutcome, Run, RunDetail } from "./model";
import { queryClient } from "./query-client";
import { notify, notifyError } from "@/ui/notify";
import { patchLists } from "@/live/patch";

export type Act = "resume" | "retry" | "discard" | "cancel" | "takeover";

const DONE: Record<Act, string> = {
  resume: "is resumed",
  retry: "tries its failed items again",
  discard: "is discarded",
  cancel: "was asked to stop",
  takeover: "is free to be taken over",
};

export const useAct = () =>
  useMutation({
    mutationFn: ({ run, act }: { run: Pick<Run, "id" | "name" | "key">; act: Act }) =>
      act === "resume" || act === "retry"
        ? api.post<unknown>(`/runs/${run.id}/resume`, act === "retry" ? { retry_failed: true } : {})
        : api.post<RunDetail>(`/runs/${run.id}/${act}`),
    onSuccess: (answer, { run, act }) => {
      notify({ title: `${titleOf(run)} ${DONE[act]}`, tone: "good" });
      adopt(answer);
      void queryClient.invalidateQueries({ queryKey: ["run", run.id] });
    },
    onError: (error, { run }) => notifyError(`${titleOf(run)}: nothing was changed`, error),
  });

/** Acts answer how the run stands now: shown at once, without waiting for the event. */
function adopt(answer: unknown): void {
  if (typeof answer !== "object" || answer === null || !("status" in answer && "id" in answer)) return;
  const run = answer as Run;
  patchLists(queryClient, new Map([[run.id, run]]), () => false);
}

export type BulkFilter = { status?: string[]; name?: string; key?: string; task?: string; tag?: string; account?: string; text?: string };
export type BulkAsk = { act: "resume" | "retry" | "discard" | "cancel"; runs?: string[]; filter?: BulkFilter; dry_run: boolean };

export const actOnMany = (ask: BulkAsk) => api.post<{ outcomes: ActOutcome[] }>("/runs/acts", ask);
