import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef } from "react";
import { api } from "./client";
import type { Diff, FailureGroups, Metrics, RunDetail, Timeline } from "./model";

export const useRun = (id: string) =>
  useQuery({ queryKey: ["run", id], queryFn: ({ signal }) => api.get<RunDetail>(`/runs/${id}`, undefined, signal) });

/** What lies below a run: all under one key, so that it is read anew together. */
const below = (id: string, what: string) => ["below", id, what];

export const useFailures = (id: string) =>
  useQuery({ queryKey: below(id, "failures"), queryFn: ({ signal }) => api.get<FailureGroups>(`/runs/${id}/failures`, undefined, signal) });

export const useMetrics = (id: string) =>
  useQuery({ queryKey: below(id, "metrics"), queryFn: ({ signal }) => api.get<Metrics>(`/runs/${id}/metrics`, { points: 600 }, signal) });

export const useTimeline = (id: string) =>
  useQuery({ queryKey: below(id, "timeline"), queryFn: ({ signal }) => api.get<Timeline>(`/runs/${id}/timeline`, undefined, signal) });

export const useDiff = (from: string, to: string) =>
  useQuery({
    queryKey: ["diff", from, to],
    queryFn: ({ signal }) => api.get<Diff>(`/checkpoints/${from}/diff`, { to }, signal),
    staleTime: Infinity, // checkpoints never change
  });

export const itemsKey = (id: string) => below(id, "items");
export const checkpointsKey = (id: string) => below(id, "checkpoints");
export const iterationsKey = (id: string) => below(id, "iterations");

const PAUSE = 5000;

/** As the run goes on, what is shown of it is read again: every few seconds at most, however often it commits. */
export function useFollow(run: RunDetail | undefined): void {
  const client = useQueryClient();
  const last = useRef<{ sequence: number; at: number } | null>(null);
  const { id, sequence, status } = run ?? {};
  useEffect(() => {
    if (id === undefined || sequence === undefined) return;
    last.current ??= { sequence, at: Date.now() };
    const since = last.current;
    if (since.sequence === sequence) return;
    const timer = setTimeout(
      () => {
        last.current = { sequence, at: Date.now() };
        void client.invalidateQueries({ queryKey: ["below", id] });
      },
      Math.max(0, since.at + PAUSE - Date.now()),
    );
    return () => clearTimeout(timer);
  }, [client, id, sequence]);
  useEffect(() => {
    // Entering and leaving are events of the timeline, with no commit of their own.
    if (id !== undefined && last.current !== null) void client.invalidateQueries({ queryKey: ["below", id] });
  }, [client, id, status]);
}
