import { keepPreviousData, queryOptions, useQuery } from "@tanstack/react-query";
import type { Counts, RunPage } from "./model";
import { queryOf } from "@/pages/runs/filters";
import { api } from "./client";

export const runPageQuery = (search: URLSearchParams) => {
  const key = search.toString();
  return queryOptions({
    queryKey: ["runs", "list", key],
    queryFn: ({ signal }) => api.get<RunPage>(`/runs?${queryOf(new URLSearchParams(key))}`, undefined, signal),
  });
};

export const countsQuery = queryOptions({
  queryKey: ["runs", "counts"],
  queryFn: ({ signal }) => api.get<Counts>("/runs/counts", undefined, signal),
});

export const useRunPage = (search: URLSearchParams) => useQuery({ ...runPageQuery(search), placeholderData: keepPreviousData });

export const useCounts = () => useQuery(countsQuery);
