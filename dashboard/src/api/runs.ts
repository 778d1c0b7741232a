import { keepPreviousData, useQuery } from "@tanstack/react-query";
import type { Counts, RunPage } from "./model";
import { queryOf } from "@/pages/runs/filters";
import { api } from "./client";

export const useRunPage = (search: URLSearchParams) => {
  const key = search.toString();
  return useQuery({
    queryKey: ["runs", "list", key],
    queryFn: ({ signal }) => api.get<RunPage>(`/runs?${queryOf(new URLSearchParams(key))}`, undefined, signal),
    placeholderData: keepPreviousData,
  });
};

export const useCounts = () =>
  useQuery({ queryKey: ["runs", "counts"], queryFn: ({ signal }) => api.get<Counts>("/runs/counts", undefined, signal) });
