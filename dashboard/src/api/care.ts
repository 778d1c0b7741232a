import { keepPreviousData, useQuery, useQueryClient } from "@tanstack/react-query";
import { api } from "./client";
import type { Growth, Health, Statistics } from "./documents";

export const useHealth = () => useQuery({ queryKey: ["health"], queryFn: ({ signal }) => api.get<Health>("/health", {}, signal) });
export const useStatistics = () => useQuery({ queryKey: ["stats"], queryFn: ({ signal }) => api.get<Statistics>("/stats", {}, signal) });
export const useGrowth = (days: number) =>
  useQuery({ queryKey: ["growth", days], placeholderData: keepPreviousData, queryFn: ({ signal }) => api.get<Growth>("/growth", { days }, signal) });

/** After a work on the store: everything that was counted is counted anew. */
export function useCountAnew(): () => void {
  const client = useQueryClient();
  return () => {
    for (const key of ["health", "stats", "growth", "backups", "streams"]) void client.invalidateQueries({ queryKey: [key] });
  };
}
