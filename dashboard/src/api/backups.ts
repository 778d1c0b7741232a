import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { api } from "./client";
import type { Backup, BackupSource, Question } from "./documents";
import type { Job } from "./model";

export const useBackup = (id: string | undefined) =>
  useQuery({ queryKey: ["backup", id], enabled: id !== undefined, queryFn: ({ signal }) => api.get<Backup>(`/backups/${id}`, {}, signal) });

/** Looked at, and nothing done; asked anew each time, because what is there may have changed. */
export const usePlan = (source: BackupSource | null, keep: string | null) =>
  useQuery({
    queryKey: ["backup-plan", source, keep],
    enabled: source !== null,
    staleTime: 0,
    gcTime: 0,
    queryFn: () => api.post<Question>("/backups/plan", { source, ...(keep && { keep }) }),
  });

export const useMakeBackup = () =>
  useMutation({
    mutationFn: ({ source, keep }: { source: BackupSource; keep: string | null }) =>
      api.post<Job>("/backups", { source, ...(keep && { keep }) }),
    onError: () => {}, // shown where it was asked
  });

export const useDeleteSource = () =>
  useMutation({
    mutationFn: ({ backup, confirm }: { backup: string; confirm: string }) => api.post<Job>(`/backups/${backup}/delete-source`, { confirm }),
    onError: () => {},
  });

/** Acts that answer the backup as it is then. */
export function useBackupAct(backup: string) {
  const client = useQueryClient();
  const adopt = (now: Backup) => {
    client.setQueryData(["backup", backup], now);
    void client.invalidateQueries({ queryKey: ["backups"] });
  };
  const act = <T>(mutationFn: (said: T) => Promise<Backup>) => ({ mutationFn, onSuccess: adopt, onError: () => {} });
  return {
    extend: useMutation(act((keep: string) => api.post<Backup>(`/backups/${backup}/extend`, { keep }))),
    pin: useMutation(act(() => api.post<Backup>(`/backups/${backup}/pin`))),
    unpin: useMutation(act(() => api.post<Backup>(`/backups/${backup}/unpin`))),
    giveUp: useMutation(act((lastCopy: boolean) => api.delete<Backup>(`/backups/${backup}${lastCopy ? "?last_copy=true" : ""}`))),
  };
}

export const archiveOf = (backup: string): string => `/api/v1/backups/${backup}/archive`;
export const memberOf = (backup: string, name: string): string =>
  `/api/v1/backups/${backup}/members/${name.split("/").map(encodeURIComponent).join("/")}`;
